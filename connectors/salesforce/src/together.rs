//! Creates that go in one call: a collection of records, each with its own key and its own answer.
//!
//! Nothing else goes with others. A collection has no preconditions for its records, so updates
//! and deletes would lose their pins; a create without a key could not be found again when the
//! answer is lost.

mod rows;

use std::collections::BTreeMap;

use bytes::Bytes;
use crmgate_connector::{
    Credential, Delivered, Desk, Failure, Form, Malformed, NativeChange, Outgoing, Parcel,
};
use crmgate_domain::PayloadHash;
use crmgate_store::attempt::Locate;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::change::{CREATE_ONLY, OWN_KEY};
use crate::connector::SalesforceConnector;
use crate::door::version_number;
use crate::failure::{Answer, Effect};
use crate::upstream::Call;
use crate::write::{Sent, record_of};
use rows::Row;

/// Most records of a collection.
const MOST: usize = 200;
/// Most bytes of records in one call.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Most runs of records of one object in a collection.
const MOST_RUNS: usize = 10;
/// The first version that has collections.
const SINCE: u32 = 420;

/// Headers in which the creates of one call may differ.
const PLAIN: [HeaderName; 7] = [
    CREATE_ONLY,
    OWN_KEY,
    header::ACCEPT,
    header::CACHE_CONTROL,
    header::CONTENT_TYPE,
    header::PRAGMA,
    header::USER_AGENT,
];

/// The collection by which a change can go.
pub(crate) fn form(change: &dyn NativeChange, atomic: bool) -> Option<Form> {
    let outgoing = change.outgoing();
    if why_alone(change, &outgoing).is_some() {
        return None;
    }
    let (version, object) = place(&outgoing.path_and_query)?;
    let headers = headers_key(&outgoing.headers);
    let key = if atomic {
        format!("collection {version} {headers}")
    } else {
        format!("collection {version} {object} {headers}")
    };
    Some(Form {
        key,
        most: MOST,
        most_bytes: MOST_BYTES,
    })
}

/// Why a change cannot be part of what happens together or not at all.
pub(crate) fn cannot_be_atomic(change: &dyn NativeChange) -> Malformed {
    let why = why_alone(change, &change.outgoing())
        .unwrap_or("a group may hold no more than 200 records of ten objects");
    Malformed::new("not_atomic", why)
}

/// Why a change must go alone.
fn why_alone(change: &dyn NativeChange, outgoing: &Outgoing) -> Option<&'static str> {
    if outgoing.method != Method::POST {
        return Some(
            "Salesforce cannot pin an update or delete that goes together with others to the \
             version that was judged: expected creates only",
        );
    }
    let Some((version, _)) = place(&outgoing.path_and_query) else {
        return Some("only records are created together");
    };
    if version_number(version).is_none_or(|number| number < SINCE) {
        return Some("records are created together from API version 42.0 on");
    }
    if !matches!(change.read_back(None).locate, Locate::Key { .. }) {
        return Some(
            "a create that goes together with others needs a unique external id, so that it can \
             be found again: name one for its object in `external_id_fields`, or send one",
        );
    }
    if outgoing.body.len() > MOST_BYTES {
        return Some("the record is too long to go together with others");
    }
    None
}

/// Version and object of `/services/data/{version}/sobjects/{object}`.
fn place(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/services/data/")?;
    let (version, object) = rest.split_once("/sobjects/")?;
    (!object.is_empty() && !object.contains(['/', '?'])).then_some((version, object))
}

/// What the headers of creates must have in common.
fn headers_key(headers: &HeaderMap) -> String {
    let mut lines: Vec<(&str, &[u8])> = headers
        .iter()
        .filter(|(name, _)| !PLAIN.contains(name))
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    if lines.is_empty() {
        return "plain".to_owned();
    }
    lines.sort_unstable();
    let parts: Vec<&[u8]> = lines
        .iter()
        .flat_map(|(name, value)| [name.as_bytes(), value])
        .collect();
    PayloadHash::of(&parts).to_hex()
}

/// One call to be made.
struct Batch {
    rows: Vec<Row>,
    atomic: bool,
}

impl SalesforceConnector {
    pub(crate) async fn send_together(
        &self,
        parcels: Vec<Parcel>,
        atomic: bool,
        credential: &Credential,
    ) -> Delivered {
        let count = parcels.len();
        let mut desk = Desk::new(count);
        let mut rows = Vec::with_capacity(count);
        for (index, parcel) in parcels.into_iter().enumerate() {
            match self.row_of(index, parcel) {
                Ok(row) => rows.push(row),
                Err(failure) => desk.put(index, Err(failure)),
            }
        }
        if atomic && (rows.len() < count || rows.len() > MOST) {
            desk.put_all(places(&rows), || {
                Failure::rolled_back("its group could not be sent as a whole", None)
            });
            return desk.delivered();
        }
        if atomic {
            in_few_runs(&mut rows);
        }
        let mut waiting = batches(rows, atomic);
        while let Some(batch) = waiting.pop() {
            waiting.extend(self.send_batch(batch, &mut desk, credential).await);
        }
        desk.delivered()
    }

    /// Takes a parcel apart, and spends its permit.
    fn row_of(&self, index: usize, parcel: Parcel) -> Result<Row, Failure> {
        let Parcel {
            permit,
            mut outgoing,
            change,
        } = parcel;
        if let Some(why) = why_alone(change.as_ref(), &outgoing) {
            return Err(Failure::not_sent(why));
        }
        let record = record_of(&outgoing.body)
            .ok_or_else(|| Failure::not_sent("the body holds no record"))?;
        let (version, object) = place(&outgoing.path_and_query)
            .map(|(version, object)| (version.to_owned(), object.to_owned()))
            .ok_or_else(|| Failure::not_sent("only records are created together"))?;
        self.admit(permit, &outgoing)?;
        let sent = Sent::of(&mut outgoing);
        Ok(Row {
            index,
            version,
            object,
            record,
            headers: outgoing.headers,
            sent,
        })
    }

    /// Makes one call. Gives the calls to be made instead of it where it was refused as a whole
    /// because of some record: then nothing was written, and the others can go without that one.
    async fn send_batch(
        &self,
        batch: Batch,
        desk: &mut Desk,
        credential: &Credential,
    ) -> Vec<Batch> {
        let Batch { mut rows, atomic } = batch;
        let Some(call) = call(&rows, atomic) else {
            return Vec::new();
        };
        desk.calls += 1;
        let answer = match self.upstream.call(credential, &call, Effect::Writes).await {
            Ok(answer) => answer,
            Err(failure) => {
                desk.put_all(places(&rows), || failure.of_one());
                return Vec::new();
            }
        };
        if answer.status == StatusCode::OK {
            self.take_apart(rows, &answer, atomic, desk, credential)
                .await;
            return Vec::new();
        }
        let is_of_a_record = matches!(
            answer.status,
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE
        );
        let failure = answer.clone().failure(Effect::Writes);
        if is_of_a_record && matches!(failure, Failure::Refused { .. }) && !atomic && rows.len() > 1
        {
            let second = rows.split_off(rows.len() / 2);
            return [second, rows]
                .map(|rows| Batch { rows, atomic })
                .into_iter()
                .collect();
        }
        desk.put_all(places(&rows), || answer.clone().failure(Effect::Writes));
        Vec::new()
    }

    /// Gives each record its own answer.
    async fn take_apart(
        &self,
        rows: Vec<Row>,
        answer: &Answer,
        atomic: bool,
        desk: &mut Desk,
        credential: &Credential,
    ) {
        let Some(answers) = rows::answers(&rows, answer, atomic) else {
            desk.put_all(places(&rows), || {
                Failure::unknown("the answer does not tell what became of each record")
            });
            return;
        };
        let mut sent_before = false;
        for (row, answer) in rows.iter().zip(answers) {
            let result = match answer {
                Ok(answer) => {
                    let looks = row.sent.looks_at_key(&answer);
                    desk.calls += u32::from(looks);
                    let result = self.concluded(&row.sent, answer, credential).await;
                    sent_before |= looks && matches!(result, Ok(_) | Err(Failure::Unknown { .. }));
                    result
                }
                Err(failure) => Err(failure),
            };
            desk.put(row.index, result);
        }
        if atomic && sent_before {
            desk.doubt_the_rolled_back();
        }
    }
}

/// The places of these records among those that were given.
fn places(rows: &[Row]) -> impl Iterator<Item = usize> {
    rows.iter().map(|row| row.index)
}

/// The calls for these records; the last is made first.
fn batches(rows: Vec<Row>, atomic: bool) -> Vec<Batch> {
    if atomic {
        return vec![Batch { rows, atomic }];
    }
    let mut kinds: BTreeMap<(String, String, String), Vec<Row>> = BTreeMap::new();
    for row in rows {
        let headers = headers_key(&row.headers);
        let kind = (row.version.clone(), row.object.clone(), headers);
        kinds.entry(kind).or_default().push(row);
    }
    let mut batches = Vec::new();
    for mut rows in kinds.into_values().rev() {
        let mut later = Vec::new();
        while rows.len() > MOST {
            let rest = rows.split_off(MOST);
            later.push(Batch { rows, atomic });
            rows = rest;
        }
        later.push(Batch { rows, atomic });
        batches.extend(later.into_iter().rev());
    }
    batches
}

/// Puts records of one object beside each other where the collection would have too many runs.
fn in_few_runs(rows: &mut [Row]) {
    let borders = rows.windows(2).filter(|pair| match pair {
        [one, other] => one.object != other.object,
        _ => false,
    });
    if borders.count() >= MOST_RUNS {
        rows.sort_by(|one, other| one.object.cmp(&other.object));
    }
}

/// The call that carries these records; `None` where there are none.
fn call(rows: &[Row], atomic: bool) -> Option<Call> {
    let first = rows.first()?;
    let records: Vec<String> = rows.iter().map(Row::json).collect();
    let body = format!(
        r#"{{"allOrNone":{atomic},"records":[{}]}}"#,
        records.join(",")
    );
    let mut headers = first.headers.clone();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=UTF-8"),
    );
    Some(Call {
        method: Method::POST,
        target: format!("/services/data/{}/composite/sobjects", first.version),
        headers,
        body: Bytes::from(body),
    })
}
