//! Changes to records: everything that happens between a body and the store.

mod apply;
mod complete;
mod create;
mod delete;
mod links;
pub(crate) mod payload;
mod plant;
mod state;
mod steps;
mod update;

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::cell::{Cell, Reference};
use super::schema::Table;
use super::security::Caller;
use super::store::{Row, Store};
use crate::Entropy;

pub(crate) use complete::base_currency;
pub(crate) use payload::Payload;
pub(crate) use plant::planted;
pub(crate) use state::close;
pub(crate) use steps::{Bypass, step_id};
pub(crate) use update::{Condition, Upserted};

/// One request's changes. The request rolls the store back if any of them fails.
pub(crate) struct Work<'a> {
    pub(crate) store: &'a mut Store,
    pub(crate) caller: &'a Caller,
    pub(crate) terms: &'a Terms<'a>,
}

/// On what terms a request changes records.
pub(crate) struct Terms<'a> {
    pub(crate) now: Timestamp,
    /// Absolute references in bodies must begin with this.
    pub(crate) base_url: &'a str,
    pub(crate) bypass: Bypass,
    pub(crate) detect_duplicates: bool,
    pub(crate) entropy: &'a Entropy,
}

impl Work<'_> {
    /// A new identifier: version 4, as the platform gives for rows that bring none.
    pub(crate) fn new_id(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.terms.entropy.draw16()).into_uuid()
    }

    fn user(id: Uuid) -> Cell {
        Cell::Lookup(Reference {
            table: Arc::from("systemuser"),
            id,
        })
    }

    /// Notes who changed a row, and when.
    fn stamp(&self, table: &Table, row: &mut Row, new: bool) {
        let user = Self::user(self.caller.user.id);
        let behind = self
            .caller
            .behind
            .as_ref()
            .map_or(Cell::Null, |behind| Self::user(behind.id));
        let now = Timestamp::from_second(self.terms.now.as_second()).unwrap_or(self.terms.now);
        if new {
            row.set(table, "createdon", Cell::Time(now));
            row.set(table, "createdby", user.clone());
            row.set(table, "createdonbehalfby", behind.clone());
        }
        row.set(table, "modifiedon", Cell::Time(now));
        row.set(table, "modifiedby", user);
        row.set(table, "modifiedonbehalfby", behind);
    }
}
