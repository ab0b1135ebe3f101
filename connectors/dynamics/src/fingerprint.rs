//! Finding a create without a key again: by who made it, when, and with which values.
//!
//! Certain is only that nothing was made: no record of the table came from that user in the time in
//! which it could have come. One record that holds the values is likely the one; another write may
//! have made it.

use std::collections::BTreeSet;
use std::time::Duration;

use crmgate_connector::{Credential, Failure, ReadBackResult};
use crmgate_domain::{Document, Object, Timestamp};
use crmgate_store::ReadBack;
use jiff::SignedDuration;
use serde::Deserialize;

use crate::connector::Dynamics;
use crate::read_back::{CLOCKS, differing};
use crate::row::{self, Row};
use crate::table::{Table, read_name};
use crate::value;

/// After this nothing more comes of a create that was judged: a permit lives 30 seconds, and a call
/// runs 10 minutes at most.
const OVER: SignedDuration = SignedDuration::from_mins(11);
/// Most records that are looked at.
const MOST: usize = 200;
/// Most ids that a text names.
const MOST_NAMED: usize = 10;
/// The longest query: addresses may have 32,768 characters.
const LONGEST: usize = 16_000;
const CREATED_ON: &str = "createdon";
const CREATED_BY: &str = "createdby";
const KEYLESS: &str = "the create carried no key of its own";

#[derive(Deserialize)]
struct Page {
    value: Vec<Object>,
}

impl Dynamics {
    /// `since`: when the create was looked up. `writer`: the CRM's id of who wrote.
    pub(crate) async fn look_for(
        &self,
        asked: &ReadBack,
        table: &Table,
        (since, writer): (Timestamp, &str),
    ) -> Result<ReadBackResult, Failure> {
        let uncertain =
            |why: String| Ok(ReadBackResult::Uncertain(format!("{KEYLESS}, and {why}")));
        let Some(query) = query(asked, table, (since, writer)) else {
            return uncertain("its table does not tell who made its records, and when".to_owned());
        };
        let path = self.upstream.api(&query);
        let answer = self
            .upstream
            .read(&path, Some(row::PREFER), &Credential::Service)
            .await;
        let page: Page = match answer {
            Ok(answer) => serde_json::from_slice(&answer.body)
                .map_err(|_| Failure::not_sent("the environment's answer cannot be read"))?,
            Err(Failure::Refused { code, message, .. }) => {
                return uncertain(format!(
                    "the records of that time cannot be queried ({code}: {message})"
                ));
            }
            Err(failure) => return Err(failure),
        };
        if page.value.len() > MOST {
            return uncertain(format!("more than {MOST} records were made at that time"));
        }
        let rows: Vec<Row> = page.value.iter().map(|one| row::read(table, one)).collect();
        let alike: Vec<&Row> = rows
            .iter()
            .filter(|row| differing(&asked.expect, &row.fields).is_empty())
            .collect();
        let over = since.saturating_add(OVER).unwrap_or(Timestamp::MAX);
        let left = over.duration_since(self.ambient.now());
        match alike.as_slice() {
            [one] => uncertain(format!(
                "the record {} holds what was written, and another write may have made it",
                id(one)
            )),
            [] if left.is_positive() => Err(Failure::Repeatable {
                code: "unavailable".to_owned(),
                reason: "the create may still be under way".to_owned(),
                retry_after: Duration::try_from(left).ok(),
                response: None,
            }),
            [] if rows.is_empty() => Ok(ReadBackResult::DidNotHappen),
            [] => {
                let others: Vec<&Row> = rows.iter().collect();
                uncertain(format!(
                    "of the records made by its user at that time none holds all that was written: {}",
                    named(&others)
                ))
            }
            several => uncertain(format!(
                "several records hold what was written: {}",
                named(several)
            )),
        }
    }
}

fn id(row: &Row) -> &str {
    row.id.as_deref().unwrap_or_default()
}

fn named(rows: &[&Row]) -> String {
    let shown: Vec<&str> = rows.iter().take(MOST_NAMED).map(|row| id(row)).collect();
    let more = if rows.len() > MOST_NAMED { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// The query for all records that a create may have made. It holds no value that was written:
/// comparing texts is not the environment's to do, which minds no case.
fn query(asked: &ReadBack, table: &Table, (since, writer): (Timestamp, &str)) -> Option<String> {
    let readable = |name: &str| table.column(name).is_some_and(|column| column.readable);
    if !readable(CREATED_ON) || !readable(CREATED_BY) {
        return None;
    }
    let writer = value::guid(writer)?;
    let mut names: BTreeSet<String> = asked
        .expect
        .iter()
        .filter_map(|(name, _)| table.column(name).map(read_name))
        .collect();
    names.insert(table.primary_id.clone());
    let list: Vec<String> = names.into_iter().collect();
    let from = moment(since.saturating_sub(CLOCKS).ok()?);
    let to = moment(since.saturating_add(OVER + CLOCKS).ok()?);
    let query = format!(
        "{}?$select={}&$filter=_{CREATED_BY}_value%20eq%20{writer}%20and%20{CREATED_ON}%20ge%20\
         {from}%20and%20{CREATED_ON}%20le%20{to}&$orderby={CREATED_ON}&$top={}",
        table.set,
        list.join(","),
        MOST + 1
    );
    (query.len() <= LONGEST).then_some(query)
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// When a create without a key was looked up, by what stands for its version.
pub(crate) fn looked_up(version: Option<&String>) -> Option<Timestamp> {
    version?.strip_prefix('*')?.parse().ok()
}

/// Whether a create said anything that a record could be told by.
pub(crate) fn tells(expect: &Object) -> bool {
    expect.iter().any(|(_, value)| *value != Document::Null)
}
