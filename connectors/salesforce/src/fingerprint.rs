//! Looking for a create without a key among the records that its user made; deleted ones included.

use std::collections::BTreeSet;

use crmgate_connector::unkeyed::{MOST, uncertain, verdict, window};
use crmgate_connector::{Failure, ReadBackResult};
use crmgate_domain::{Document, Object, Timestamp};
use crmgate_store::ReadBack;

use crate::connector::SalesforceConnector;
use crate::metadata::Describe;
use crate::own_key::{CREATED, differing};

/// The longest list of fields: a query goes in the line of the request.
const LONGEST_LIST: usize = 8_000;
impl SalesforceConnector {
    pub(crate) async fn look_for(
        &self,
        asked: &ReadBack,
        describe: &Describe,
        since: Timestamp,
    ) -> Result<ReadBackResult, Failure> {
        let Some(query) = query(asked, describe, since) else {
            let why = "its object does not tell who made its records, and when";
            return Ok(uncertain(why));
        };
        let page = match self.run_query_all(&query).await {
            Ok(page) => page,
            Err(Failure::Refused { code, message, .. }) => {
                return Ok(uncertain(&format!(
                    "the records of that time cannot be queried ({code}: {message}): {query}"
                )));
            }
            Err(failure) => return Err(failure),
        };
        if page.next.is_some() || page.rows.len() > MOST {
            return Ok(uncertain(&format!(
                "more than {MOST} records were made at that time: {query}"
            )));
        }
        let mut made = Vec::new();
        for row in &page.rows {
            // What another write of this process made is not what this one made.
            if let Some(id) = id(row)
                && self.made.get(id).await.is_none()
            {
                made.push((id, differing(&asked.expect, row).is_empty()));
            }
        }
        Ok(match verdict(since, self.ambient.now(), &made)? {
            // Whoever has to find it out looks at the same records.
            ReadBackResult::Uncertain(why) => ReadBackResult::Uncertain(format!("{why}: {query}")),
            found => found,
        })
    }
}

fn id(row: &Object) -> Option<&str> {
    row.get("Id").and_then(Document::as_str)
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
    let [from, to] = window(since)?;
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
