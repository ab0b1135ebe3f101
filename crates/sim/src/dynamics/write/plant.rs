//! Rows put in without asking anyone: the seeded data.

use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::cell::{Cell, Reference, from_json};
use super::super::error::{ApiError, Outcome};
use super::super::schema::{Table, stable_id};
use super::super::store::Row;
use super::{Work, close, create};

impl Work<'_> {
    /// Puts a row in. Texts such as `@contact/ada` in lookups name other seeded rows, which may come later.
    pub(crate) fn plant(
        &mut self,
        table: &Arc<Table>,
        id: Uuid,
        values: &Map<String, Value>,
    ) -> Outcome<()> {
        let mut row = Row::new(id, table);
        create::defaults(table, &mut row)?;
        for (name, value) in values {
            let column = table
                .column(name)
                .ok_or_else(|| ApiError::no_property(name, &table.type_name()))?;
            let cell = match (column.is_lookup(), value.as_str()) {
                (true, Some(text)) => planted(text).map(Cell::Lookup).ok_or_else(|| {
                    ApiError::query(format!("'{text}' in '{name}' is no reference"))
                })?,
                _ => from_json(table, column, value)?,
            };
            row.set(table, name, cell);
        }
        self.own(table, &mut row)?;
        if table.has_state() {
            let given = |name: &str| values.get(name).and_then(Value::as_i64);
            let first = row.get(table, "statecode").as_int().unwrap_or(0);
            close(
                table,
                &mut row,
                given("statecode").unwrap_or(first),
                given("statuscode"),
            )?;
        }
        let touched: Vec<String> = values.keys().cloned().collect();
        self.complete(table, &mut row, &touched)?;
        self.stamp(table, &mut row, true);
        self.store.insert(table, row).map(drop)
    }
}

/// `@contact/ada` → the row that is seeded by this name.
pub(crate) fn planted(text: &str) -> Option<Reference> {
    let path = text.strip_prefix('@')?;
    let (table, _) = path.split_once('/')?;
    Some(Reference {
        table: Arc::from(table),
        id: stable_id("row", path),
    })
}
