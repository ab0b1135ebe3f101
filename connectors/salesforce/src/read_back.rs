//! Whether a write whose answer was lost happened.

use std::collections::BTreeSet;

use crmgate_connector::unkeyed::looked_up;
use crmgate_connector::{Credential, Failure, Fields, Locator, ReadBackResult};
use crmgate_domain::{Document, Object};
use crmgate_store::ReadBack;
use crmgate_store::attempt::Locate;

use crate::connector::SalesforceConnector;
use crate::own_key::{CREATED, MODIFIED, differing, is_own, was_changed};
use crate::records::Row;

impl SalesforceConnector {
    pub(crate) async fn look_back(&self, asked: &ReadBack) -> Result<ReadBackResult, Failure> {
        let locator = match &asked.locate {
            Locate::Id(id) => Locator::Id(id.clone()),
            Locate::Key { field, value } => Locator::Key(vec![(field.clone(), value.clone())]),
            Locate::Nowhere => return self.look_without_key(asked).await,
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
        for name in ["LastModifiedById", "CreatedById", CREATED, MODIFIED] {
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

    async fn look_without_key(&self, asked: &ReadBack) -> Result<ReadBackResult, Failure> {
        let Some(since) = looked_up(asked.version.as_deref()) else {
            return Ok(uncertain(
                "the create carried no unique external id by which to find it",
            ));
        };
        let describe = self
            .metadata
            .describe(&asked.native_object, &Credential::Service)
            .await?;
        self.look_for(asked, &describe, since).await
    }
}

fn created(asked: &ReadBack, row: Option<&Row>) -> ReadBackResult {
    let Some(row) = row else {
        return ReadBackResult::DidNotHappen;
    };
    let fields = &row.record.fields;
    let id = &row.record.id;
    if !is_ours(asked, fields, "CreatedById") {
        return ReadBackResult::Uncertain(format!(
            "record {id} has this key, but another user made it"
        ));
    }
    let others = differing(&asked.expect, fields);
    // Under a key that only this operation has, a later change explains other values.
    let explained = || has_own_key(asked) && was_changed(fields);
    if others.is_empty() || explained() {
        return ReadBackResult::Happened(Some(id.clone()));
    }
    ReadBackResult::Uncertain(format!(
        "record {id} has this key, but holds other values: {}",
        others.join(", ")
    ))
}

fn has_own_key(asked: &ReadBack) -> bool {
    matches!(&asked.locate, Locate::Key { value, .. } if is_own(value))
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
    let equal = differing(&asked.expect, fields).is_empty();
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

fn uncertain(why: &str) -> ReadBackResult {
    ReadBackResult::Uncertain(why.to_owned())
}
