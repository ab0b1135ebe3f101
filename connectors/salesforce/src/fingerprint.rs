//! Finding a create without a key again: by who made it, when, and with which values.
//!
//! What can be certain is that nothing was made: no record of the object came from that user in
//! the time in which it could have come, deleted ones included. A record that holds the values is
//! likely the one; another write may have made it.

use std::collections::BTreeSet;
use std::time::Duration;

use crmgate_connector::{Failure, ReadBackResult};
use crmgate_domain::{Document, Object, Timestamp};
use crmgate_store::ReadBack;
use jiff::SignedDuration;

use crate::connector::SalesforceConnector;
use crate::metadata::Describe;
use crate::own_key::{CREATED, differing};

/// How far the clocks of the gate and of the org are taken to be apart at most.
const CLOCKS: SignedDuration = SignedDuration::from_secs(60);
/// After this nothing more comes of a create that was judged: a permit lives 30 seconds, and a
/// call runs 10 minutes at most.
const OVER: SignedDuration = SignedDuration::from_mins(11);
/// Most records that are looked at.
const MOST: usize = 200;
/// The longest list of fields: a query goes in the line of the request.
const LONGEST_LIST: usize = 8_000;
/// Most ids that a text names.
const MOST_NAMED: usize = 10;

/// What stands for the version of a create without a key: when it was looked up.
pub(crate) fn since(at: Timestamp) -> String {
    format!("*{at}")
}

/// When a create without a key was looked up.
pub(crate) fn looked_up(version: Option<&str>) -> Option<Timestamp> {
    version?.strip_prefix('*')?.parse().ok()
}

impl SalesforceConnector {
    pub(crate) async fn look_for(
        &self,
        asked: &ReadBack,
        describe: &Describe,
        since: Timestamp,
    ) -> Result<ReadBackResult, Failure> {
        let uncertain = |why: String| Ok(ReadBackResult::Uncertain(why));
        let Some(query) = query(asked, describe, since) else {
            let why = "the create carried no unique external id, and its object does not tell who made its records, and when";
            return uncertain(why.to_owned());
        };
        let page = match self.run_query_all(&query).await {
            Ok(page) => page,
            Err(Failure::Refused { code, message, .. }) => {
                return uncertain(format!(
                    "the create carried no unique external id, and the records of that time cannot be queried ({code}: {message}): {query}"
                ));
            }
            Err(failure) => return Err(failure),
        };
        if page.next.is_some() || page.rows.len() > MOST {
            return uncertain(format!(
                "the create carried no unique external id, and more than {MOST} records were made at that time: {query}"
            ));
        }
        let mut others = Vec::new();
        for row in &page.rows {
            // What another write of this process made is not what this one made.
            if let Some(id) = id(row)
                && self.made.get(id).await.is_none()
            {
                others.push(row);
            }
        }
        let alike: Vec<&str> = others
            .iter()
            .filter(|row| differing(&asked.expect, row).is_empty())
            .filter_map(|row| id(row))
            .collect();
        let over = since.saturating_add(OVER).unwrap_or(Timestamp::MAX);
        let left = over.duration_since(self.ambient.now());
        match (alike.as_slice(), others.len()) {
            ([one], _) => uncertain(format!(
                "the create carried no unique external id; the record {one} holds what was \
                 written, and another write may have made it"
            )),
            ([], _) if left.is_positive() => Err(Failure::Repeatable {
                code: "unavailable".to_owned(),
                reason: "the create may still be under way".to_owned(),
                retry_after: Duration::try_from(left).ok(),
                response: None,
            }),
            ([], 0) => Ok(ReadBackResult::DidNotHappen),
            ([], count) => {
                let ids: Vec<&str> = others.iter().filter_map(|row| id(row)).collect();
                uncertain(format!(
                    "the create carried no unique external id; of {count} records made by its user at that time none holds all that was written ({}): {query}",
                    named(&ids)
                ))
            }
            (several, _) => uncertain(format!(
                "the create carried no unique external id, and {} records hold what was written ({}): {query}",
                several.len(),
                named(several)
            )),
        }
    }
}

fn id(row: &Object) -> Option<&str> {
    row.get("Id").and_then(Document::as_str)
}

fn named(ids: &[&str]) -> String {
    let shown: Vec<&str> = ids.iter().take(MOST_NAMED).copied().collect();
    let more = if ids.len() > MOST_NAMED { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// The query for all records that a create may have made. It holds no value that was written:
/// comparing texts is not the org's to do, which minds no case.
fn query(asked: &ReadBack, describe: &Describe, since: Timestamp) -> Option<String> {
    describe.field(CREATED)?;
    let mut names: BTreeSet<&str> = asked
        .expect
        .iter()
        .filter_map(|(name, _)| Some(describe.field(name)?.name.as_str()))
        .collect();
    names.insert("Id");
    let list: Vec<&str> = names.into_iter().collect();
    let list = list.join(", ");
    if list.len() > LONGEST_LIST {
        return None;
    }
    let from = moment(since.saturating_sub(CLOCKS).ok()?);
    let to = moment(since.saturating_add(OVER + CLOCKS).ok()?);
    let by = asked.actor.as_deref().and_then(crate::id::normalize);
    let by = by
        .filter(|_| describe.field("CreatedById").is_some())
        .map(|id| format!("CreatedById = '{id}' AND "))
        .unwrap_or_default();
    Some(format!(
        "SELECT {list} FROM {} WHERE {by}{CREATED} >= {from} AND {CREATED} <= {to} ORDER BY {CREATED}, Id LIMIT {}",
        describe.name,
        MOST + 1
    ))
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
