//! Related records inside a record.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::error::{ApiError, Outcome};
use super::super::query::Expand;
use super::super::schema::{Nav, Table};
use super::super::security::Right;
use super::super::store::Row;
use super::{List, Reader, Rows};

impl Reader<'_> {
    pub(super) fn expand(
        &self,
        table: &Arc<Table>,
        row: &Row,
        expands: &[Expand],
        record: &mut Map<String, Value>,
    ) -> Outcome<()> {
        for expand in expands {
            let nav = table
                .nav(&expand.nav)
                .ok_or_else(|| ApiError::no_property(&expand.nav, &table.type_name()))?;
            match nav {
                Nav::One { column, targets } => {
                    let value = self.expand_one(table, row, (column, targets), expand)?;
                    record.insert(expand.nav.clone(), value);
                }
                Nav::Many(_) | Nav::Linked(_) => {
                    self.expand_collection(table, row, expand, record)?;
                }
            }
        }
        Ok(())
    }

    fn expand_one(
        &self,
        table: &Table,
        row: &Row,
        (column, targets): (&str, &[Arc<str>]),
        expand: &Expand,
    ) -> Outcome<Value> {
        for target in targets {
            self.caller.check(self.store.table(target)?, Right::Read)?;
        }
        let Some(to) = row.get(table, column).as_lookup() else {
            return Ok(Value::Null);
        };
        if !targets.contains(&to.table) {
            return Ok(Value::Null);
        }
        // An owner is a principal, of which the type knows only the identifier.
        if targets.len() > 1 {
            let mut principal = Map::new();
            principal.insert(column.to_owned(), Value::String(to.id.to_string()));
            return Ok(Value::Object(principal));
        }
        let other = self.store.table(&to.table)?;
        let Some(found) = self.store.row(&to.table, to.id) else {
            return Ok(Value::Null);
        };
        if !self.may_see(other, found) {
            return Ok(Value::Null);
        }
        self.record(other, found, &expand.options)
            .map(Value::Object)
    }

    fn expand_collection(
        &self,
        table: &Arc<Table>,
        row: &Row,
        expand: &Expand,
        record: &mut Map<String, Value>,
    ) -> Outcome<()> {
        let (other, rows) = self.related(table, row, &expand.nav)?;
        self.caller.check(&other, Right::Read)?;
        let address = format!("{}/{}({})/{}", self.service, table.set, row.id, expand.nav);
        let list = List {
            table: &other,
            rows: Rows::These(rows),
            options: &expand.options,
            address: &address,
        };
        let page = self.page(&list)?;
        let mut items = Vec::new();
        for found in &page.rows {
            items.push(Value::Object(self.record(
                &other,
                found,
                &expand.options,
            )?));
        }
        record.insert(expand.nav.clone(), Value::Array(items));
        if let Some(link) = page.next {
            record.insert(
                format!("{}@odata.nextLink", expand.nav),
                Value::String(link),
            );
        }
        Ok(())
    }

    /// The rows of a collection.
    pub(crate) fn related(
        &self,
        table: &Arc<Table>,
        row: &Row,
        nav: &str,
    ) -> Outcome<(Arc<Table>, Vec<Arc<Row>>)> {
        match table.nav(nav) {
            Some(Nav::Many(relation)) => {
                let from = Arc::clone(self.store.table(&relation.from)?);
                let position = from.position(&relation.column);
                let rows = self
                    .store
                    .referrers(&table.name, row.id)
                    .into_iter()
                    .filter(|one| one.table == from.name && Some(one.position) == position)
                    .filter_map(|one| self.store.row(&from.name, one.id).cloned())
                    .collect();
                Ok((from, rows))
            }
            Some(Nav::Linked(link)) => {
                let other = Arc::clone(self.store.table(link.other(&table.name))?);
                let rows = self
                    .store
                    .linked(link, &table.name, row.id)
                    .into_iter()
                    .filter_map(|id| self.store.row(&other.name, id).cloned())
                    .collect();
                Ok((other, rows))
            }
            Some(Nav::One { .. }) | None => Err(ApiError::no_segment(nav)),
        }
    }
}
