//! Changes to a record, and upserts.

use std::sync::Arc;

use uuid::Uuid;

use super::super::address::RowKey;
use super::super::cell::{Cell, Reference};
use super::super::error::{ApiError, Outcome};
use super::super::schema::{Nav, Table};
use super::super::security::Right;
use super::super::store::Row;
use super::payload::Payload;
use super::{Work, create, steps};

/// Under which condition a record may be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// `If-Match`: `*`, or the version that the caller saw.
    pub(crate) matches: Option<String>,
    /// `If-None-Match: *`.
    pub(crate) absent: bool,
}

/// What an upsert did.
pub(crate) enum Upserted {
    Created(Arc<Row>),
    Updated(Arc<Row>),
}

impl Condition {
    /// Refuses a version other than the one that was seen.
    pub(crate) fn check(&self, table: &Table, row: &Row) -> Outcome<()> {
        match &self.matches {
            Some(tag) if tag != "*" && *tag != row.etag() => {
                Err(ApiError::version_mismatch(&table.name))
            }
            _ => Ok(()),
        }
    }
}

impl Work<'_> {
    /// Writes the record that the key names, or makes it where that is allowed.
    pub(crate) fn upsert(
        &mut self,
        table: &Arc<Table>,
        key: &RowKey,
        payload: Payload,
        condition: &Condition,
    ) -> Outcome<Upserted> {
        let found = key.find(self.store, table).map(|row| row.id);
        let Some(id) = found else {
            if condition.matches.is_some() {
                return Err(match key {
                    RowKey::Id(id) => ApiError::no_row(&table.name, *id),
                    RowKey::Key { .. } => ApiError::no_row_by_key(&table.name),
                });
            }
            let payload = self.keyed(table, key, payload)?;
            return self.create(table, payload).map(Upserted::Created);
        };
        if condition.absent {
            return Err(ApiError::duplicate_id());
        }
        let payload = match key {
            RowKey::Id(_) => payload,
            RowKey::Key { values, .. } => without(table, payload, values),
        };
        self.update(table, id, payload, condition)
            .map(Upserted::Updated)
    }

    /// On create the key in the address counts, except where the body says otherwise.
    fn keyed(&self, table: &Table, key: &RowKey, mut payload: Payload) -> Outcome<Payload> {
        let values = match key {
            RowKey::Id(id) => {
                if payload.id.is_some_and(|given| given != *id) {
                    return Err(ApiError::invalid_argument(format!(
                        "The primary key '{}' in the body is not the one in the address.",
                        table.id
                    )));
                }
                payload.id = Some(*id);
                return Ok(payload);
            }
            RowKey::Key { values, .. } => values,
        };
        for (name, cell) in values {
            let (Some(position), Some(column)) = (table.position(name), table.column(name)) else {
                continue;
            };
            let bound = payload.binds.iter().any(|bind| bind.column == *name);
            if bound || payload.cell(position).is_some() {
                continue;
            }
            let cell = match cell {
                // The address names only the identifier; the row says of which table it is.
                Cell::Lookup(to) => {
                    let found = column
                        .targets()
                        .iter()
                        .find(|target| self.store.row(&target.table, to.id).is_some())
                        .ok_or_else(|| ApiError::no_row(&to.table, to.id))?;
                    Cell::Lookup(Reference {
                        table: Arc::clone(&found.table),
                        id: to.id,
                    })
                }
                other => other.clone(),
            };
            payload.cells.push((position, cell));
        }
        Ok(payload)
    }

    /// Saves a row that a message of its own has changed.
    pub(crate) fn save(&mut self, table: &Arc<Table>, mut row: Row) -> Outcome<()> {
        self.complete(table, &mut row, &[])?;
        self.stamp(table, &mut row, false);
        steps::run(&self.terms.bypass, self.caller, table, &row)?;
        self.store.replace(table, row).map(drop)
    }

    /// Changes a record.
    pub(crate) fn update(
        &mut self,
        table: &Arc<Table>,
        id: Uuid,
        payload: Payload,
        condition: &Condition,
    ) -> Outcome<Arc<Row>> {
        self.caller.check(table, Right::Write)?;
        let old = Arc::clone(self.store.existing(&table.name, id)?);
        self.caller.check_row(table, &old, Right::Write)?;
        condition.check(table, &old)?;
        if payload.id.is_some_and(|given| given != id) {
            return Err(ApiError::invalid_argument(format!(
                "The primary key '{}' of a record can't be changed.",
                table.id
            )));
        }
        let inserts_collection = payload
            .deep
            .iter()
            .any(|(nav, _)| !matches!(table.nav(nav), Some(Nav::One { .. })));
        if inserts_collection || !payload.deep.is_empty() {
            return Err(ApiError::payload(
                &table.set,
                "Deep updates are not supported: related records can't be made in an update.",
            ));
        }
        let mut row = Row::clone(&old);
        let touched = self.apply(table, &mut row, &payload, false)?;
        if touched.iter().any(|column| column == "ownerid") {
            self.caller.check_row(table, &old, Right::Assign)?;
            if row.get(table, "ownerid").is_null() {
                return Err(ApiError::invalid_argument("A record must have an owner."));
            }
            self.own(table, &mut row)?;
        }
        self.change_state(table, &old, &mut row, &touched)?;
        self.complete(table, &mut row, &touched)?;
        create::check_required(table, &row)?;
        self.stamp(table, &mut row, false);
        steps::run(&self.terms.bypass, self.caller, table, &row)?;
        self.find_duplicates(table, &row)?;
        let row = self.store.replace(table, row)?;
        self.deep_collections(table, &row, payload)?;
        Ok(row)
    }
}

/// On update the columns of the key are left as they are.
fn without(table: &Table, mut payload: Payload, values: &[(String, Cell)]) -> Payload {
    let is_key = |column: &str| values.iter().any(|(name, _)| name == column);
    payload.cells.retain(|(position, _)| {
        table
            .columns
            .get(*position)
            .is_none_or(|column| !is_key(&column.name))
    });
    payload.binds.retain(|bind| !is_key(&bind.column));
    payload
}
