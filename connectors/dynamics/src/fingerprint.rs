//! Looking for a create without a key among the records that its user made.

use std::collections::BTreeSet;

use crmgate_connector::unkeyed::{MOST, uncertain, verdict, window};
use crmgate_connector::{Credential, Failure, ReadBackResult};
use crmgate_domain::{Document, Object, Timestamp};
use crmgate_store::ReadBack;
use serde::Deserialize;

use crate::connector::Dynamics;
use crate::read_back::differing;
use crate::row;
use crate::table::{Table, read_name};
use crate::value;

/// The longest query: addresses may have 32,768 characters.
const LONGEST: usize = 16_000;
const CREATED_ON: &str = "createdon";
const CREATED_BY: &str = "createdby";

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
        let Some(query) = query(asked, table, (since, writer)) else {
            let why = "its table does not tell who made its records, and when";
            return Ok(uncertain(why));
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
                return Ok(uncertain(&format!(
                    "the records of that time cannot be queried ({code}: {message})"
                )));
            }
            Err(failure) => return Err(failure),
        };
        if page.value.len() > MOST {
            return Ok(uncertain(&format!(
                "more than {MOST} records were made at that time"
            )));
        }
        let rows: Vec<_> = page.value.iter().map(|one| row::read(table, one)).collect();
        let made = rows.iter().map(|row| {
            let alike = differing(&asked.expect, &row.fields).is_empty();
            (row.id.as_deref().unwrap_or_default(), alike)
        });
        verdict(since, self.ambient.now(), &made.collect::<Vec<_>>())
    }
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
    let [from, to] = window(since)?;
    let query = format!(
        "{}?$select={}&$filter=_{CREATED_BY}_value%20eq%20{writer}%20and%20{CREATED_ON}%20ge%20\
         {from}%20and%20{CREATED_ON}%20le%20{to}&$orderby={CREATED_ON}&$top={}",
        table.set,
        list.join(","),
        MOST + 1
    );
    (query.len() <= LONGEST).then_some(query)
}

/// Whether a create said anything that a record could be told by.
pub(crate) fn tells(expect: &Object) -> bool {
    expect.iter().any(|(_, value)| *value != Document::Null)
}
