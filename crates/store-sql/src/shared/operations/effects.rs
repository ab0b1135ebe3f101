//! What a transaction of moves does beside the rows themselves, in few statements at its end.

use std::collections::BTreeMap;

use async_trait::async_trait;
use crmgate_domain::{DecisionId, HoldId, OperationId, State, Timestamp};
use crmgate_store::{By, CALLBACK_TRIES, CALLBACKS, NewJob, StoreError, Why, queue_of};
use futures::future::BoxFuture;

use super::super::many::{Kind, Many, Value, run_all};
use super::super::steps::Slot;
use super::super::writer::{Command, Step, Writer};
use super::rows::Seen;
use super::{Connection, Store, jobs, plain};
use crate::bells::Rung;

/// How often a worker may break off over an operation before its job is dead.
const MOST_ATTEMPTS: u32 = 10;

/// One entry of a history.
pub(crate) struct Entry {
    pub(crate) nr: i64,
    pub(crate) version: i64,
    pub(crate) at: i64,
    pub(crate) was: Option<State>,
    pub(crate) state: State,
    pub(crate) by: By,
    pub(crate) why: Option<Why>,
    pub(crate) decision: Option<DecisionId>,
    pub(crate) hold: Option<HoldId>,
}

/// What is to be done at the end of a transaction, and after it.
pub(crate) struct Effects {
    now: i64,
    moved: Vec<OperationId>,
    history: Vec<Entry>,
    counts: BTreeMap<(String, &'static str), i64>,
    wakes: Vec<NewJob>,
}

impl Effects {
    /// None yet, of a step that is done now.
    pub(crate) const fn at(now: i64) -> Self {
        Self {
            now,
            moved: Vec::new(),
            history: Vec::new(),
            counts: BTreeMap::new(),
            wakes: Vec::new(),
        }
    }

    /// None yet, of the same step.
    pub(crate) const fn more(&self) -> Self {
        Self::at(self.now)
    }

    /// An operation moved.
    pub(crate) fn moved(&mut self, id: OperationId, entry: Entry) {
        self.moved.push(id);
        self.history.push(entry);
    }

    /// An operation came to be, its history written already.
    pub(crate) fn came(&mut self, id: OperationId) {
        self.moved.push(id);
    }

    /// So many operations of a connection came to a state, or left it. Ended ones are not counted.
    pub(crate) fn count(&mut self, connection: &str, state: State, by: i64) {
        if !state.is_final() {
            let key = (connection.to_owned(), state.as_str());
            *self.counts.entry(key).or_default() += by;
        }
    }

    /// Somebody should look at an operation, or at the group of that name, of which it is.
    pub(crate) fn wake(&mut self, id: OperationId, row: &Seen) {
        self.wake_group(id, std::iter::once(row));
    }

    /// Somebody should look at a group, of which these are open.
    pub(crate) fn wake_group<'a>(
        &mut self,
        id: OperationId,
        mut open: impl Iterator<Item = &'a Seen> + Clone,
    ) {
        let due = open.clone().map(|row| row.due_by(self.now)).max();
        let priority = open.clone().map(|row| row.priority).max();
        if let (Some(row), Some(due), Some(priority)) = (open.next(), due, priority) {
            self.wake_at(id, &row.connection, due, priority);
        }
    }

    fn wake_at(&mut self, id: OperationId, connection: &str, due: i64, priority: i64) {
        // A name that no connection can have leads to no queue.
        let (Ok(connection), Ok(due)) = (
            connection.parse(),
            Timestamp::from_nanosecond(i128::from(due)),
        ) else {
            return;
        };
        self.wakes.push(NewJob {
            queue: queue_of(&connection),
            id: id.to_string(),
            due,
            priority: i16::try_from(priority).unwrap_or(if priority < 0 {
                i16::MIN
            } else {
                i16::MAX
            }),
            most_attempts: MOST_ATTEMPTS,
        });
    }

    /// Somebody is to be told of an operation's end.
    pub(crate) fn call_back(&mut self, id: OperationId, at: Timestamp) {
        self.wakes.push(NewJob {
            queue: CALLBACKS.to_owned(),
            id: id.to_string(),
            due: at,
            priority: 0,
            most_attempts: CALLBACK_TRIES,
        });
    }

    /// The same for jobs that are made already.
    pub(crate) fn wake_all(&mut self, jobs: Vec<NewJob>) {
        self.wakes.extend(jobs);
    }

    /// The jobs alone.
    pub(crate) fn into_wakes(self) -> Vec<NewJob> {
        self.wakes
    }

    /// Does it. What remains is to be rung after the commit.
    pub(crate) async fn flush(
        self,
        connection: &mut Connection,
        elsewhere: bool,
    ) -> Result<Rung, sqlx::Error> {
        let history = self.history.into_iter().map(Entry::values).collect();
        let mut all: Vec<(&Many, _)> = vec![(&HISTORY, history), (&RECOUNT, counted(&self.counts))];
        let mut rung = Rung {
            moved: self.moved,
            ..Rung::default()
        };
        if elsewhere {
            rung.elsewhere = self.wakes;
        } else {
            all.push((&jobs::PUSH, jobs::pushed(&self.wakes, self.now)));
            rung.queues = self.wakes.into_iter().map(|job| job.queue).collect();
        }
        run_all(connection, all).await?;
        Ok(rung)
    }
}

const HISTORY: Many = Many {
    head: "INSERT INTO operation_history (operation, version, at, was, state, who, why_code, \
           why_message, decision, hold) SELECT * FROM",
    columns: &[
        ("operation", Kind::Number),
        ("version", Kind::Number),
        ("at", Kind::Number),
        ("was", Kind::Word),
        ("state", Kind::Word),
        ("who", Kind::Word),
        ("why_code", Kind::Word),
        ("why_message", Kind::Word),
        ("decision", Kind::Bytes),
        ("hold", Kind::Bytes),
    ],
    tail: "",
};

impl Entry {
    fn values(self) -> Vec<Value> {
        let why = self.why.as_ref();
        vec![
            self.nr.into(),
            self.version.into(),
            self.at.into(),
            self.was.map(State::as_str).into(),
            self.state.as_str().into(),
            plain(&self.by.0).as_ref().into(),
            why.map(|why| plain(&why.code).into_owned()).into(),
            why.map(|why| plain(&why.message).into_owned()).into(),
            self.decision.map(|id| id.uuid()).into(),
            self.hold.map(|id| id.uuid()).into(),
        ]
    }
}

const RECOUNT: Many = Many {
    head: "INSERT INTO operation_counts (connection, state, count) SELECT * FROM",
    columns: &[
        ("connection", Kind::Word),
        ("state", Kind::Word),
        ("count", Kind::Number),
    ],
    tail: " WHERE true ON CONFLICT (connection, state) DO UPDATE \
           SET count = operation_counts.count + excluded.count",
};

/// Counts up and down. The last statement of whatever transaction it is in but for jobs, so that
/// its rows are locked for a short time.
pub(crate) async fn recount(
    connection: &mut Connection,
    counts: &BTreeMap<(String, &'static str), i64>,
) -> Result<(), sqlx::Error> {
    RECOUNT.run(connection, counted(counts)).await.map(|_| ())
}

fn counted(counts: &BTreeMap<(String, &'static str), i64>) -> Vec<Vec<Value>> {
    let changed = counts.iter().filter(|(_, by)| **by != 0);
    let changed = changed.map(|((connection, state), by)| {
        vec![connection.as_str().into(), (*state).into(), (*by).into()]
    });
    changed.collect()
}

/// A write that moves operations.
struct Act<F, T> {
    work: F,
    slot: Slot<T>,
}

#[async_trait]
impl<F, T> Step for Act<F, T>
where
    F: for<'w> FnMut(&'w mut Writer, &'w mut Effects) -> BoxFuture<'w, Result<T, sqlx::Error>>
        + Send,
    T: Send,
{
    async fn run(&mut self, writer: &mut Writer) -> Result<(), sqlx::Error> {
        let mut effects = writer.effects();
        self.slot.said = Some((self.work)(writer, &mut effects).await?);
        writer.finish(effects).await
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        self.slot.answer(result);
    }
}

/// Has a function move operations, inside the next transaction of the task that appends to the
/// record: one at a time, over all processes. It may be called again when that fails. Whoever waits
/// is told after the commit, even when whoever asked has gone.
pub(crate) async fn act<F, T>(store: &Store, work: F) -> Result<T, StoreError>
where
    F: for<'w> FnMut(&'w mut Writer, &'w mut Effects) -> BoxFuture<'w, Result<T, sqlx::Error>>
        + Send
        + 'static,
    T: Send + 'static,
{
    let step = |reply| Act {
        work,
        slot: Slot::new(reply),
    };
    let queue = store.queue();
    queue
        .ask(|reply| Command::Other(Box::new(step(reply))))
        .await
}
