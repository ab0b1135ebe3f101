//! Writes that go in one call.
//!
//! | form | what goes by it | what happens when one fails |
//! |---|---|---|
//! | `CreateMultiple` | creates of one table whose keys the gate gave | nothing was written; all go once more, as a batch |
//! | batch | creates, updates and deletes, each with its own precondition | each has its own answer |
//! | change set | the same, when they belong together | all are undone |
//!
//! A batch that is refused as a whole, before any of it was done, is sent again in halves: what one
//! write is refused for must not stop the others.

mod atomic;
mod bulk;
mod parts;

use std::time::Duration;

use crmgate_connector::{
    Credential, Delivered, Desk, Failure, Form, NativeChange, Outgoing, Parcel, Written,
};
use crmgate_store::attempt::Locate;
use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, PRAGMA, USER_AGENT,
};
use http::{HeaderMap, HeaderName, Method};

use crate::auth::random_guid;
use crate::connector::Dynamics;
use crate::fault;
use crate::upstream::{Answer, Call};
use crate::write::{OWN_ID, STALE, Sending, set_of};

pub(crate) use bulk::Bulkless;

/// Most writes in one call: beyond some hundred the environment's execution time grows as fast as
/// the number of calls falls.
const MOST: usize = 100;
/// Most bytes of bodies in one call.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Headers that change nothing about a create, so that those of one call may do without.
const PLAIN: [HeaderName; 7] = [
    ACCEPT,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    CONTENT_TYPE,
    OWN_ID,
    PRAGMA,
    USER_AGENT,
];
const PLAIN_OWN: [&str; 5] = [
    "odata-version",
    "odata-maxversion",
    "x-ms-client-request-id",
    "x-ms-client-session-id",
    "x-ms-correlation-id",
];

/// By which form a change can go.
pub(crate) fn form(change: &dyn NativeChange, atomic: bool) -> Option<Form> {
    let outgoing = change.outgoing();
    let too_long = outgoing.body.len() > MOST_BYTES;
    if too_long || outgoing.headers.contains_key(STALE) || !is_safe(change, &outgoing) {
        return None;
    }
    let version = outgoing.path_and_query.split('/').nth(3)?;
    let key = match (atomic, bulk_set(&outgoing)) {
        (true, _) => format!("change set {version}"),
        (false, Some(set)) => format!("CreateMultiple {version} {set}"),
        (false, None) => format!("batch {version}"),
    };
    Some(Form {
        key,
        most: MOST,
        most_bytes: MOST_BYTES,
    })
}

/// Whether it is found out what became of it when no answer comes.
fn is_safe(change: &dyn NativeChange, outgoing: &Outgoing) -> bool {
    match outgoing.method {
        Method::POST if outgoing.headers.contains_key(OWN_ID) => true,
        Method::POST => change.read_back(None).locate != Locate::Nowhere,
        _ => matches!(outgoing.method, Method::PATCH | Method::DELETE),
    }
}

/// The table's set, for a create that `CreateMultiple` can do.
fn bulk_set(outgoing: &Outgoing) -> Option<&str> {
    let plain = outgoing
        .headers
        .keys()
        .all(|name| PLAIN.contains(name) || PLAIN_OWN.contains(&name.as_str()));
    let by_own_key = outgoing.method == Method::POST && outgoing.headers.contains_key(OWN_ID);
    let bare = !outgoing.path_and_query.contains('?');
    (plain && by_own_key && bare).then(|| set_of(&outgoing.path_and_query))?
}

/// A write of a call, and its place among those that were given.
struct Row {
    index: usize,
    bulk: bool,
    sending: Sending,
}

/// One delivery.
struct Run<'a> {
    connector: &'a Dynamics,
    credential: &'a Credential,
    desk: Desk,
}

impl Dynamics {
    pub(crate) async fn send_together(
        &self,
        parcels: Vec<Parcel>,
        atomic: bool,
        credential: &Credential,
    ) -> Delivered {
        let count = parcels.len();
        let mut run = Run {
            connector: self,
            credential,
            desk: Desk::new(count),
        };
        let mut rows = Vec::with_capacity(count);
        for (index, parcel) in parcels.into_iter().enumerate() {
            let Parcel {
                permit, outgoing, ..
            } = parcel;
            let bulk = bulk_set(&outgoing).is_some();
            match self.admitted(permit, outgoing) {
                Ok(sending) => rows.push(Row {
                    index,
                    bulk,
                    sending,
                }),
                Err(failure) => run.desk.put(index, Err(failure)),
            }
        }
        if atomic && rows.len() < count {
            run.put_all(&rows, || rolled_back(None));
        } else if atomic {
            run.all_or_none(rows).await;
        } else if same_table(&rows) {
            run.creates(rows).await;
        } else {
            run.apart(rows).await;
        }
        run.desk.delivered()
    }
}

/// Whether one `CreateMultiple` can do them all.
fn same_table(rows: &[Row]) -> bool {
    let place = |row: &Row| row.sending.call.path_and_query.clone();
    let first = rows.first().map(place);
    rows.iter().all(|row| row.bulk && Some(place(row)) == first)
}

impl Run<'_> {
    async fn call(&mut self, call: &Call) -> Result<Answer, Failure> {
        self.desk.calls += 1;
        self.connector.upstream.call(call, self.credential).await
    }

    /// As if the others were not there.
    async fn alone(&mut self, row: Row) {
        let result = match self.call(&row.sending.call).await {
            Ok(answer) => self.settled(&row, answer).await,
            Err(failure) => Err(failure),
        };
        self.desk.put(row.index, result);
    }

    async fn settled(&mut self, row: &Row, answer: Answer) -> Result<Written, Failure> {
        let connector = self.connector;
        connector
            .settled(&row.sending, answer, self.credential, &mut self.desk.calls)
            .await
    }

    /// One thing that happened to all of these.
    fn put_all(&mut self, rows: &[Row], failure: impl Fn() -> Failure) {
        self.desk.put_all(rows.iter().map(|row| row.index), failure);
    }

    /// A boundary that stands in no body.
    fn boundary(&self, name: &str, rows: &[Row]) -> String {
        loop {
            let boundary = format!("{name}_{}", random_guid(&*self.connector.ambient));
            let holds = |row: &Row| contains(&row.sending.call.body, boundary.as_bytes());
            if !rows.iter().any(holds) {
                return boundary;
            }
        }
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|part| part == wanted)
}

/// A call of `$batch`, in the version of the API by which these writes go.
fn batch(rows: &[Row], boundary: &str, body: Vec<u8>) -> Call {
    let path = rows
        .first()
        .map(|row| row.sending.call.path_and_query.as_str());
    let version = path.and_then(|path| path.split('/').nth(3));
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_str(&format!("multipart/mixed; boundary={boundary}"));
    if let Ok(kind) = kind {
        headers.insert(CONTENT_TYPE, kind);
    }
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    for name in ["odata-version", "odata-maxversion"] {
        headers.insert(name, HeaderValue::from_static("4.0"));
    }
    Call {
        method: Method::POST,
        path_and_query: format!("/api/data/{}/$batch", version.unwrap_or_default()),
        headers,
        body: body.into(),
    }
}

/// What an answer to the call as a whole, and not to its writes, means for one of them.
fn whole(answer: &Answer) -> Failure {
    let status = answer.status.as_u16();
    match fault::check(answer.clone(), true) {
        Ok(_) => Failure::unknown(format!(
            "the answer to the batch, of status {status}, is none"
        )),
        // Something broke after some of it may have been done.
        Err(Failure::Refused { message, .. }) if status >= 500 && status != 501 => {
            Failure::unknown(format!("the batch broke off: {message}"))
        }
        Err(failure) => failure,
    }
}

/// `retry_after`: what the write that failed has to wait.
fn rolled_back(retry_after: Option<Duration>) -> Failure {
    Failure::rolled_back(
        "another write of its group failed, so that none was done",
        retry_after,
    )
}
