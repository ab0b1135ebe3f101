//! Deletion, and what hangs on the deleted record.

use std::sync::Arc;

use http::StatusCode;
use uuid::Uuid;

use super::super::cell::Cell;
use super::super::error::{ApiError, Outcome};
use super::super::schema::{Cascade, Table};
use super::super::security::Right;
use super::super::store::Row;
use super::Work;
use super::update::Condition;

/// How far a deletion may spread.
const MAX_DEPTH: usize = 8;

impl Work<'_> {
    /// Deletes a record.
    pub(crate) fn delete(
        &mut self,
        table: &Arc<Table>,
        id: Uuid,
        condition: &Condition,
    ) -> Outcome<()> {
        self.caller.check(table, Right::Delete)?;
        let row = Arc::clone(self.store.existing(&table.name, id)?);
        self.caller.check_row(table, &row, Right::Delete)?;
        condition.check(table, &row)?;
        if table.managed {
            return Err(ApiError::not_simulated(&format!(
                "Deleting rows of '{}'",
                table.name
            )));
        }
        self.delete_row(table, id, 0)
    }

    fn delete_row(&mut self, table: &Arc<Table>, id: Uuid, depth: usize) -> Outcome<()> {
        for referrer in self.store.referrers(&table.name, id) {
            let from = Arc::clone(self.store.table(&referrer.table)?);
            let Some(column) = from.columns.get(referrer.position) else {
                continue;
            };
            let cascade = column
                .targets()
                .iter()
                .find(|target| target.table == table.name)
                .map_or(Cascade::RemoveLink, |target| target.cascade);
            // A row that this deletion has already taken along.
            let Some(other) = self.store.row(&from.name, referrer.id).cloned() else {
                continue;
            };
            match cascade {
                Cascade::Restrict => {
                    return Err(ApiError::new(
                        StatusCode::METHOD_NOT_ALLOWED,
                        "0x80040227",
                        "The object you tried to delete is associated with another object and cannot be deleted.",
                    ));
                }
                Cascade::Delete if depth < MAX_DEPTH => {
                    self.delete_row(&from, referrer.id, depth + 1)?;
                }
                Cascade::Delete | Cascade::RemoveLink => {
                    if column.name == "ownerid" {
                        return Err(ApiError::new(
                            StatusCode::METHOD_NOT_ALLOWED,
                            "0x80040227",
                            "The team owns records and cannot be deleted.",
                        ));
                    }
                    let mut changed = Row::clone(&other);
                    changed.set(&from, &column.name, Cell::Null);
                    self.store.replace(&from, changed)?;
                }
            }
        }
        self.store.remove(table, id)
    }
}
