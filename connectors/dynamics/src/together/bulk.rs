//! Creates by `CreateMultiple`: all of them or none.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crmgate_connector::{Credential, Failure};
use crmgate_domain::{Document, Object, Timestamp};
use http::Method;
use jiff::SignedDuration;
use serde::Deserialize;

use super::{Row, Run, whole};
use crate::fault;
use crate::upstream::{Answer, Call};
use crate::write::set_of;

const TYPE: &str = "@odata.type";
const NAMESPACE: &str = "Microsoft.Dynamics.CRM";

/// For how long a table is taken to refuse the message.
const WITHOUT: SignedDuration = SignedDuration::from_mins(10);

/// Tables that refused the message and took each of its records: not every table has it. A batch
/// needs as few calls, so one that is noted wrongly costs nothing but some of the CRM's time.
#[derive(Debug, Default)]
pub(crate) struct Bulkless {
    until: Mutex<HashMap<String, Timestamp>>,
}

impl Bulkless {
    fn has(&self, set: &str, now: Timestamp) -> bool {
        let known = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(set).is_some_and(|until| now < *until)
    }

    fn note(&self, set: String, now: Timestamp) {
        let mut known = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(set, now + WITHOUT);
    }
}

fn set(row: &Row) -> Option<String> {
    set_of(&row.sending.call.path_and_query).map(str::to_owned)
}

#[derive(Deserialize)]
struct Made {
    #[serde(rename = "Ids")]
    ids: Vec<String>,
}

impl Run<'_> {
    /// Creates of one table.
    pub(super) async fn creates(&mut self, rows: Vec<Row>) {
        let now = self.connector.ambient.now();
        let set = rows.first().and_then(set).unwrap_or_default();
        if rows.len() < 2 || self.connector.bulkless.has(&set, now) {
            return self.apart(rows).await;
        }
        let Some(call) = self.message(&rows).await else {
            return self.apart(rows).await;
        };
        match self.call(&call).await {
            Ok(answer) if answer.status.is_success() => self.made(&rows, &answer),
            Ok(answer) => match fault::check(answer.clone(), true) {
                // Nothing was written: which row it was for is not said.
                Err(failure) if is_about_a_row(&failure) => {
                    let indices: Vec<usize> = rows.iter().map(|row| row.index).collect();
                    self.apart(rows).await;
                    if indices.iter().all(|index| self.succeeded(*index)) {
                        self.connector.bulkless.note(set, now);
                    }
                }
                _ => self.put_all(&rows, || whole(&answer)),
            },
            Err(failure) => self.put_all(&rows, || failure.of_one()),
        }
    }

    fn succeeded(&self, index: usize) -> bool {
        matches!(self.desk.result(index), Some(Ok(_)))
    }

    fn made(&mut self, rows: &[Row], answer: &Answer) {
        let told: Option<Made> = serde_json::from_slice(&answer.body).ok();
        if told.is_some_and(|made| made.ids.len() != rows.len()) {
            let failure =
                || Failure::unknown("the answer names another number of records than were sent");
            return self.put_all(rows, failure);
        }
        for row in rows {
            let id = row.sending.own_id.as_deref().unwrap_or_default();
            let written = self.connector.repeated(&row.sending.call, id);
            self.desk.put(row.index, Ok(written));
        }
    }

    /// The call; `None` when a body is not what it must be.
    async fn message(&self, rows: &[Row]) -> Option<Call> {
        let first = &rows.first()?.sending.call;
        let set = set_of(&first.path_and_query)?;
        let token = match self.credential {
            Credential::Caller(token) => Some(token.clone()),
            Credential::Service | Credential::OnBehalfOf(_) => None,
        };
        let reader = self.connector.metadata_reader(token);
        let directory = self.connector.metadata.directory(&reader).await.ok()?;
        let kind = format!("{NAMESPACE}.{}", directory.by_set(set)?.name);
        let targets: Vec<Document> = rows
            .iter()
            .map(|row| typed(&row.sending.call.body, &kind))
            .collect::<Option<_>>()?;
        let mut body = Object::new();
        body.set("Targets", Document::Array(targets));
        Some(Call {
            method: Method::POST,
            path_and_query: format!("{}/{NAMESPACE}.CreateMultiple", first.path_and_query),
            headers: first.headers.clone(),
            body: Document::from(body).to_json().into(),
        })
    }
}

/// A record that says its type, which all of them must.
fn typed(body: &[u8], kind: &str) -> Option<Document> {
    let Ok(Document::Object(record)) = Document::parse(body) else {
        return None;
    };
    let mut typed = Object::new();
    typed.push(TYPE.to_owned(), kind.into());
    for (name, value) in record {
        if name != TYPE {
            typed.push(name, value);
        }
    }
    Some(typed.into())
}

fn is_about_a_row(failure: &Failure) -> bool {
    match failure {
        Failure::Refused { .. } => true,
        Failure::Repeatable { code, .. } => code == "locked",
        Failure::VersionMismatch | Failure::Unknown { .. } => false,
    }
}
