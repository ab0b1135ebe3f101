//! A payload's values put into a row.

use std::sync::Arc;

use super::super::address::reference;
use super::super::cell::{Cell, Reference};
use super::super::error::{ApiError, Outcome};
use super::super::schema::{Access, Nav, Table};
use super::super::security::Right;
use super::super::store::Row;
use super::Work;
use super::payload::{Bind, Payload};

impl Work<'_> {
    /// Puts the payload's own values and lookups into the row, and says which columns were touched.
    pub(super) fn apply(
        &mut self,
        table: &Arc<Table>,
        row: &mut Row,
        payload: &Payload,
        new: bool,
    ) -> Outcome<Vec<String>> {
        let mut touched = Vec::new();
        for (position, cell) in &payload.cells {
            let Some(column) = table.columns.get(*position) else {
                continue;
            };
            // The service passes over values for columns that callers may not set.
            let open = match column.access {
                Access::Write => true,
                Access::Create => new,
                Access::Read => false,
            };
            if !open {
                continue;
            }
            self.caller.check_column(table, column, new)?;
            row.set(table, &column.name, cell.clone());
            touched.push(column.name.clone());
        }
        for bind in &payload.binds {
            self.bind(table, row, bind)?;
            touched.push(bind.column.clone());
        }
        Ok(touched)
    }

    fn bind(&self, table: &Arc<Table>, row: &mut Row, bind: &Bind) -> Outcome<()> {
        let open = table
            .column(&bind.column)
            .is_some_and(|column| column.access == Access::Write);
        if !open {
            return Ok(());
        }
        let Some(text) = &bind.reference else {
            row.set(table, &bind.column, Cell::Null);
            return Ok(());
        };
        let to = self.resolve(table, &bind.nav, &bind.targets, text)?;
        if bind.column != "ownerid" {
            self.check_append(table, &to.table)?;
        }
        row.set(table, &bind.column, Cell::Lookup(to));
        Ok(())
    }

    /// The row that a reference names, which must be in one of the tables that the lookup takes.
    pub(super) fn resolve(
        &self,
        table: &Table,
        nav: &str,
        targets: &[Arc<str>],
        text: &str,
    ) -> Outcome<Reference> {
        let (to, key) = reference(self.store.schema(), self.terms.base_url, text)?;
        if !targets.contains(&to.name) {
            return Err(ApiError::payload(
                &table.set,
                format!(
                    "The reference '{text}' in '{nav}' names a '{}', which can't be bound there.",
                    to.type_name()
                ),
            ));
        }
        let row = key.require(self.store, &to)?;
        Ok(Reference {
            table: Arc::clone(&to.name),
            id: row.id,
        })
    }

    pub(super) fn check_append(&self, from: &Table, to: &str) -> Outcome<()> {
        let to = self.store.table(to)?;
        self.caller.check(from, Right::Append)?;
        self.caller.check(to, Right::AppendTo)
    }

    /// Makes the records that stand in the body in the place of a lookup, and points the row at them.
    pub(super) fn deep_lookups(
        &mut self,
        table: &Arc<Table>,
        row: &mut Row,
        payload: &mut Payload,
    ) -> Outcome<()> {
        let (singles, collections) = std::mem::take(&mut payload.deep)
            .into_iter()
            .partition(|(nav, _)| matches!(table.nav(nav), Some(Nav::One { .. })));
        payload.deep = collections;
        let singles: Vec<(String, Vec<_>)> = singles;
        for (nav, records) in singles {
            let Some(Nav::One { column, targets }) = table.nav(&nav) else {
                continue;
            };
            let [target] = targets.as_slice() else {
                return Err(ApiError::payload(
                    &table.set,
                    format!("'{nav}' leads to several types; a record can't be made in its place."),
                ));
            };
            let to = Arc::clone(self.store.table(target)?);
            for record in records {
                let made = self.create(&to, Payload::read(&to, record)?)?;
                let reference = Reference {
                    table: Arc::clone(&to.name),
                    id: made.id,
                };
                row.set(table, column, Cell::Lookup(reference));
            }
        }
        Ok(())
    }

    /// Makes or links the records that stand in the body's collections.
    pub(super) fn deep_collections(
        &mut self,
        table: &Arc<Table>,
        row: &Row,
        payload: Payload,
    ) -> Outcome<()> {
        let here = Reference {
            table: Arc::clone(&table.name),
            id: row.id,
        };
        for (nav, records) in payload.deep {
            for record in records {
                self.create_in(table, row, &nav, record)?;
            }
        }
        for (nav, references) in payload.associations {
            for text in references {
                self.associate(table, here.id, &nav, &text)?;
            }
        }
        Ok(())
    }
}
