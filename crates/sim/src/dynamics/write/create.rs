//! New records.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::cell::{Cell, Reference, from_json};
use super::super::error::{ApiError, Outcome};
use super::super::schema::{Nav, Required, Table};
use super::super::security::Right;
use super::super::store::Row;
use super::payload::Payload;
use super::{Work, steps};

impl Work<'_> {
    /// Makes a record, with all that its body brings along.
    pub(crate) fn create(&mut self, table: &Arc<Table>, payload: Payload) -> Outcome<Arc<Row>> {
        self.make(table, payload, None)
    }

    /// Makes a record in a collection of another one.
    pub(crate) fn create_in(
        &mut self,
        table: &Arc<Table>,
        row: &Row,
        nav: &str,
        record: Map<String, Value>,
    ) -> Outcome<(Arc<Table>, Arc<Row>)> {
        match table.nav(nav) {
            Some(Nav::Many(relation)) => {
                let from = Arc::clone(self.store.table(&relation.from)?);
                let payload = Payload::read(&from, record)?;
                let parent = (
                    relation.column.clone(),
                    Reference {
                        table: Arc::clone(&table.name),
                        id: row.id,
                    },
                );
                let made = self.make(&from, payload, Some(parent))?;
                Ok((from, made))
            }
            Some(Nav::Linked(link)) => {
                let link = Arc::clone(link);
                let other = Arc::clone(self.store.table(link.other(&table.name))?);
                let payload = Payload::read(&other, record)?;
                let made = self.make(&other, payload, None)?;
                self.connect(&link, table, row.id, made.id);
                Ok((other, made))
            }
            Some(Nav::One { .. }) | None => Err(ApiError::no_segment(nav)),
        }
    }

    fn make(
        &mut self,
        table: &Arc<Table>,
        mut payload: Payload,
        parent: Option<(String, Reference)>,
    ) -> Outcome<Arc<Row>> {
        self.caller.check(table, Right::Create)?;
        if table.managed {
            return Err(ApiError::not_simulated(&format!(
                "Creating rows of '{}'",
                table.name
            )));
        }
        let id = payload.id.unwrap_or_else(|| self.new_id());
        if self.store.row(&table.name, id).is_some() {
            return Err(ApiError::duplicate_id());
        }
        let mut row = Row::new(id, table);
        defaults(table, &mut row)?;
        if let Some((column, to)) = parent {
            self.check_append(table, &to.table)?;
            row.set(table, &column, Cell::Lookup(to));
        }
        let touched = self.apply(table, &mut row, &payload, true)?;
        self.deep_lookups(table, &mut row, &mut payload)?;
        self.own(table, &mut row)?;
        self.start_state(table, &mut row, &touched)?;
        self.complete(table, &mut row, &touched)?;
        check_required(table, &row)?;
        self.stamp(table, &mut row, true);
        if !self.caller.covers(table, &row, Right::Create) {
            self.caller.check_row(table, &row, Right::Create)?;
        }
        steps::run(&self.terms.bypass, self.caller, table, &row)?;
        self.find_duplicates(table, &row)?;
        let row = self.store.insert(table, row)?;
        self.deep_collections(table, &row, payload)?;
        Ok(row)
    }

    /// Gives the row an owner, or the unit that it belongs to.
    pub(super) fn own(&self, table: &Table, row: &mut Row) -> Outcome<()> {
        if table.position("ownerid").is_none() {
            if table.position("businessunitid").is_some()
                && row.get(table, "businessunitid").is_null()
                && table.id != "businessunitid"
            {
                row.set(table, "businessunitid", unit(self.caller.user.unit));
            }
            return Ok(());
        }
        let owner = match row.get(table, "ownerid").as_lookup() {
            Some(owner) => owner.clone(),
            None => Reference {
                table: Arc::from("systemuser"),
                id: self.caller.user.id,
            },
        };
        let owners = self.store.table(&owner.table)?;
        let owner_row = self.store.existing(&owner.table, owner.id)?;
        let home = owner_row.get(owners, "businessunitid").clone();
        let is_user = &*owner.table == "systemuser";
        let owner = Cell::Lookup(owner);
        let (user, team) = if is_user {
            (owner.clone(), Cell::Null)
        } else {
            (Cell::Null, owner.clone())
        };
        row.set(table, "ownerid", owner);
        row.set(table, "owninguser", user);
        row.set(table, "owningteam", team);
        row.set(table, "owningbusinessunit", home);
        Ok(())
    }
}

fn unit(id: uuid::Uuid) -> Cell {
    Cell::Lookup(Reference {
        table: Arc::from("businessunit"),
        id,
    })
}

pub(super) fn defaults(table: &Table, row: &mut Row) -> Outcome<()> {
    for column in &table.columns {
        if let Some(value) = &column.default {
            row.set(table, &column.name, from_json(table, column, value)?);
        }
    }
    if table.activity {
        row.set(table, "activitytypecode", Cell::text(&table.name));
    }
    Ok(())
}

/// What the platform insists on; what only forms ask for may be missing.
pub(super) fn check_required(table: &Table, row: &Row) -> Outcome<()> {
    for column in &table.columns {
        if column.required == Required::System && row.get(table, &column.name).is_null() {
            if &*table.name == "incident" && column.name == "customerid" {
                return Err(ApiError::bad_request(
                    "0x80040203",
                    "You should specify a parent contact or account.",
                ));
            }
            return Err(ApiError::bad_request(
                "0x80040200",
                format!("Attribute '{}' cannot be NULL", column.name),
            ));
        }
    }
    Ok(())
}
