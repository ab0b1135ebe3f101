//! Whether a write whose answer was lost happened.

use std::collections::BTreeSet;

use crmgate_connector::{Credential, Failure, Fields, Locator, ReadBackResult};
use crmgate_domain::{Document, Object};
use crmgate_store::ReadBack;
use crmgate_store::attempt::Locate;

use crate::connector::SalesforceConnector;
use crate::records::Row;

impl SalesforceConnector {
    pub(crate) async fn look_back(&self, asked: &ReadBack) -> Result<ReadBackResult, Failure> {
        let locator = match &asked.locate {
            Locate::Id(id) => Locator::Id(id.clone()),
            Locate::Key { field, value } => Locator::Key(vec![(field.clone(), value.clone())]),
            Locate::Nowhere => {
                let why = "the create carried no unique external id by which to find it";
                return Ok(ReadBackResult::Uncertain(why.to_owned()));
            }
        };
        let describe = self
            .metadata
            .describe(&asked.native_object, &Credential::Service)
            .await?;
        let mut names: BTreeSet<String> = asked
            .expect
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        for name in ["LastModifiedById", "CreatedById"] {
            names.insert(name.to_owned());
        }
        let values = self.plain_values(&describe);
        let row = self
            .row(
                &Credential::Service,
                &values,
                &locator,
                &Fields::Only(names),
            )
            .await?;
        Ok(match locator {
            Locator::Key(_) => created(asked, row.as_ref()),
            Locator::Id(_) if asked.deleted => deleted(row.as_ref()),
            Locator::Id(_) => updated(asked, row.as_ref()),
        })
    }
}

fn created(asked: &ReadBack, row: Option<&Row>) -> ReadBackResult {
    let Some(row) = row else {
        return ReadBackResult::DidNotHappen;
    };
    let fields = &row.record.fields;
    if is_ours(asked, fields, "CreatedById") && equal(asked, fields) {
        return ReadBackResult::Happened(Some(row.record.id.clone()));
    }
    uncertain("a record with this key exists, but it holds other values or is another's")
}

fn deleted(row: Option<&Row>) -> ReadBackResult {
    match row {
        None => ReadBackResult::Happened(None),
        Some(_) => ReadBackResult::DidNotHappen,
    }
}

fn updated(asked: &ReadBack, row: Option<&Row>) -> ReadBackResult {
    let Some(row) = row else {
        return uncertain("the record is gone");
    };
    let fields = &row.record.fields;
    let equal = equal(asked, fields);
    if equal && is_ours(asked, fields, "LastModifiedById") {
        return ReadBackResult::Happened(Some(row.record.id.clone()));
    }
    if asked.version.is_some() && asked.version == row.record.version {
        return ReadBackResult::DidNotHappen;
    }
    uncertain(if equal {
        "the record holds these values, but another user wrote last"
    } else {
        "the record has changed since, and does not hold these values"
    })
}

/// Whether the writer is ours, as far as that is known.
fn is_ours(asked: &ReadBack, fields: &Object, by: &str) -> bool {
    let writer = fields.get(by).and_then(Document::as_str);
    match (&asked.actor, writer) {
        (Some(actor), Some(writer)) => {
            crate::id::normalize(actor).is_none_or(|actor| actor == writer)
        }
        _ => true,
    }
}

/// Fields that do not come back (not readable, not stored) tell nothing.
fn equal(asked: &ReadBack, fields: &Object) -> bool {
    asked
        .expect
        .iter()
        .all(|(name, value)| fields.get(name).is_none_or(|found| found == value))
}

fn uncertain(why: &str) -> ReadBackResult {
    ReadBackResult::Uncertain(why.to_owned())
}
