//! A CRM in memory: records with versions, a journal of what reached it, faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crmgate_domain::{DecisionId, Document, Object};
use crmgate_store::Basis;
use http::Method;
use tokio::sync::Semaphore;

/// What the CRM does to the next write instead of its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Says that the record has another version, if the write is pinned.
    Mismatch,
    /// Gives no answer; `committed`: after having done it.
    Lost {
        /// Whether it was done.
        committed: bool,
    },
    /// Says "try again".
    Busy {
        /// When.
        retry_after: Option<Duration>,
    },
    /// Says no, with this code.
    Refuse(String),
    /// Does not accept the token any more.
    Unauthorized,
}

/// Something that reached the CRM.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Body.
    pub body: String,
    /// What the permit rested on; `None` for a read.
    pub basis: Option<Basis>,
    /// The decision it rested on.
    pub decision: Option<DecisionId>,
}

/// A record and its version.
pub(crate) type Versioned = (Object, u64);

/// The CRM. Its records are seen and changed from outside as if by somebody else.
pub struct FakeCrm {
    state: Mutex<State>,
    closed: AtomicBool,
    /// While closed, writes wait for a leave of this before they are carried out.
    doors: Semaphore,
}

#[derive(Default)]
struct State {
    records: BTreeMap<(String, String), Versioned>,
    journal: Vec<Sent>,
    faults: VecDeque<Fault>,
    lookups_fail: bool,
    identifications: usize,
    lookups: usize,
    read_backs_fail: bool,
    last_id: u64,
}

impl Default for FakeCrm {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            closed: AtomicBool::new(false),
            doors: Semaphore::new(0),
        }
    }
}

impl FakeCrm {
    /// Stores a record, as somebody else would: its version changes.
    pub fn put(&self, object: &str, id: &str, fields: &[(&str, Document)]) {
        let mut state = self.state.lock().unwrap();
        let record = state
            .records
            .entry((object.to_owned(), id.to_owned()))
            .or_default();
        for (name, value) in fields {
            record.0.set(name, value.clone());
        }
        record.1 += 1;
    }

    /// A stored record.
    #[must_use]
    pub fn get(&self, object: &str, id: &str) -> Option<Object> {
        self.versioned(object, id).map(|(fields, _)| fields)
    }

    /// All records of an object.
    #[must_use]
    pub fn all(&self, object: &str) -> Vec<(String, Object)> {
        let state = self.state.lock().unwrap();
        let of_it = state.records.iter().filter(|((name, _), _)| name == object);
        of_it
            .map(|((_, id), (fields, _))| (id.clone(), fields.clone()))
            .collect()
    }

    /// Everything that reached it, oldest first.
    #[must_use]
    pub fn journal(&self) -> Vec<Sent> {
        self.state.lock().unwrap().journal.clone()
    }

    /// The writes that reached it.
    #[must_use]
    pub fn writes(&self) -> Vec<Sent> {
        let mut all = self.journal();
        all.retain(|sent| sent.method != Method::GET);
        all
    }

    /// What it does to the next writes.
    pub fn fault(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().faults.extend(faults);
    }

    /// Whether look-ups before a judgement fail as repeatable.
    pub fn fail_lookups(&self, fail: bool) {
        self.state.lock().unwrap().lookups_fail = fail;
    }

    /// Whether reading back fails.
    pub fn fail_read_backs(&self, fail: bool) {
        self.state.lock().unwrap().read_backs_fail = fail;
    }

    /// How often a token's owner was asked for.
    #[must_use]
    pub fn identifications(&self) -> usize {
        self.state.lock().unwrap().identifications
    }

    /// How often something was looked up before a judgement.
    #[must_use]
    pub fn lookups(&self) -> usize {
        self.state.lock().unwrap().lookups
    }

    /// Makes writes wait, from now on.
    pub fn close_doors(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Lets `count` waiting writes go on.
    pub fn open_doors(&self, count: usize) {
        self.doors.add_permits(count);
    }

    pub(crate) async fn wait_at_door(&self) {
        if self.closed.load(Ordering::SeqCst) {
            self.doors.acquire().await.unwrap().forget();
        }
    }

    pub(crate) fn versioned(&self, object: &str, id: &str) -> Option<Versioned> {
        let state = self.state.lock().unwrap();
        let key = (object.to_owned(), id.to_owned());
        state.records.get(&key).cloned()
    }

    pub(crate) fn find(&self, object: &str, field: &str, value: &str) -> Option<String> {
        let all = self.all(object);
        let found = all
            .into_iter()
            .find(|(_, fields)| fields.get(field).and_then(Document::as_str) == Some(value));
        found.map(|(id, _)| id)
    }

    pub(crate) fn log(&self, sent: Sent) {
        self.state.lock().unwrap().journal.push(sent);
    }

    pub(crate) fn next_fault(&self) -> Option<Fault> {
        self.state.lock().unwrap().faults.pop_front()
    }

    pub(crate) fn lookups_fail(&self) -> bool {
        self.state.lock().unwrap().lookups_fail
    }

    pub(crate) fn read_backs_fail(&self) -> bool {
        self.state.lock().unwrap().read_backs_fail
    }

    pub(crate) fn count_lookup(&self) {
        self.state.lock().unwrap().lookups += 1;
    }

    pub(crate) fn count_identification(&self) {
        self.state.lock().unwrap().identifications += 1;
    }

    pub(crate) fn next_id(&self) -> String {
        let mut state = self.state.lock().unwrap();
        state.last_id += 1;
        format!("id-{}", state.last_id)
    }

    pub(crate) fn remove(&self, object: &str, id: &str) -> bool {
        let key = (object.to_owned(), id.to_owned());
        self.state.lock().unwrap().records.remove(&key).is_some()
    }
}
