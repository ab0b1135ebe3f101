//! Records as JSON: selection, annotations, related records, lists and pages.

mod expand;
mod list;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::cell::{Cell, formatted};
use super::error::{ApiError, Outcome};
use super::query::bind::Here;
use super::query::{Options, Prefer, bind::property};
use super::schema::{Column, Kind, Nav, Table};
use super::security::{Caller, Right};
use super::store::{Row, Store};

pub(crate) use list::{List, Rows};

const FORMATTED: &str = "OData.Community.Display.V1.FormattedValue";
const LOOKUP_TABLE: &str = "Microsoft.Dynamics.CRM.lookuplogicalname";
const LOOKUP_NAV: &str = "Microsoft.Dynamics.CRM.associatednavigationproperty";

/// Reads records on behalf of a caller.
pub(crate) struct Reader<'a> {
    pub(crate) store: &'a Store,
    pub(crate) caller: &'a Caller,
    pub(crate) prefer: &'a Prefer,
    pub(crate) here: Here,
    /// `https://host/api/data/v9.2`.
    pub(crate) service: &'a str,
    /// The longest page.
    pub(crate) page_size: usize,
    /// Leave out what only describes the answer.
    pub(crate) bare: bool,
}

/// The columns that are shown, by position.
pub(crate) struct Selection {
    positions: Vec<usize>,
    /// As they stand in the context address; empty for all.
    pub(crate) names: Vec<String>,
}

impl Selection {
    pub(crate) fn of(table: &Table, options: &Options) -> Outcome<Self> {
        let Some(select) = options
            .select
            .as_ref()
            .filter(|names| !names.iter().any(|name| name == "*"))
        else {
            return Ok(Self {
                positions: (0..table.columns.len()).collect(),
                names: Vec::new(),
            });
        };
        let mut positions = Vec::new();
        for name in select {
            let by_nav = || match table.nav(name) {
                Some(Nav::One { column, .. }) => table.position(column),
                // A collection in `$select` is allowed and shows nothing.
                Some(Nav::Many(_) | Nav::Linked(_)) => Some(usize::MAX),
                None => None,
            };
            let position = property(table, name)
                .or_else(by_nav)
                .ok_or_else(|| ApiError::no_property(name, &table.type_name()))?;
            positions.push(position);
        }
        let amounts = positions
            .iter()
            .filter_map(|position| table.columns.get(*position))
            .any(|column| matches!(column.kind, Kind::Money { .. }));
        // The primary key is always there, and amounts bring their currency.
        if amounts {
            positions.extend(table.position("transactioncurrencyid"));
        }
        positions.extend(table.position(&table.id));
        let mut seen = std::collections::HashSet::new();
        positions.retain(|position| seen.insert(*position));
        Ok(Self {
            positions,
            names: select.clone(),
        })
    }
}

impl Reader<'_> {
    /// One record with its related ones.
    pub(crate) fn record(
        &self,
        table: &Arc<Table>,
        row: &Row,
        options: &Options,
    ) -> Outcome<Map<String, Value>> {
        let selection = Selection::of(table, options)?;
        let mut record = self.own(table, row, &selection);
        self.expand(table, row, &options.expand, &mut record)?;
        Ok(record)
    }

    /// The record under its context, as the answer to a read of it alone.
    pub(crate) fn single(
        &self,
        table: &Arc<Table>,
        row: &Row,
        options: &Options,
    ) -> Outcome<Map<String, Value>> {
        let mut answer = Map::new();
        let selected = self.context_list(table, options)?;
        self.put_context(&mut answer, &format!("{}{selected}/$entity", table.set));
        answer.extend(self.record(table, row, options)?);
        Ok(answer)
    }

    fn own(&self, table: &Table, row: &Row, selection: &Selection) -> Map<String, Value> {
        let mut record = Map::new();
        if !self.bare {
            record.insert("@odata.etag".to_owned(), Value::String(row.etag()));
        }
        for position in &selection.positions {
            let Some(column) = table.columns.get(*position) else {
                continue;
            };
            let cell = if self.caller.sees(column) {
                row.at(*position)
            } else {
                &Cell::Null
            };
            let name = column.property();
            if !self.prefer.annotations.is_empty() {
                self.annotate(table, row, column, cell, &mut record);
            }
            record.insert(name, cell.to_json(column));
        }
        record
    }

    fn annotate(
        &self,
        table: &Table,
        row: &Row,
        column: &Column,
        cell: &Cell,
        record: &mut Map<String, Value>,
    ) {
        let name = column.property();
        let mut put = |annotation: &str, text: String| {
            if self.prefer.wants(annotation) {
                record.insert(format!("{name}@{annotation}"), Value::String(text));
            }
        };
        if let Cell::Lookup(to) = cell {
            if let Some(label) = self.label(&to.table, to.id) {
                put(FORMATTED, label);
            }
            let nav = column
                .targets()
                .iter()
                .find(|target| target.table == to.table)
                .and_then(|target| target.nav.clone());
            let nav = nav.unwrap_or_else(|| {
                if column.is_custom() {
                    column.schema.clone()
                } else {
                    column.name.clone()
                }
            });
            put(LOOKUP_NAV, nav);
            put(LOOKUP_TABLE, to.table.to_string());
            return;
        }
        let symbol = match column.kind {
            Kind::Money { ref base_of, .. } => self.symbol(table, row, base_of.is_some()),
            _ => String::new(),
        };
        if let Some(text) = formatted(column, cell, &symbol) {
            put(FORMATTED, text);
        }
    }

    /// A row's name.
    fn label(&self, table: &str, id: uuid::Uuid) -> Option<String> {
        let table = self.store.schema().table(table)?;
        let row = self.store.row(&table.name, id)?;
        row.get(table, &table.primary).as_text().map(str::to_owned)
    }

    fn symbol(&self, table: &Table, row: &Row, base: bool) -> String {
        let currency = if base {
            super::write::base_currency(self.store)
        } else {
            row.get(table, "transactioncurrencyid").clone()
        };
        let symbol = || {
            let to = currency.as_lookup()?;
            let currencies = self.store.schema().table(&to.table)?;
            let row = self.store.row(&to.table, to.id)?;
            row.get(currencies, "currencysymbol").as_text()
        };
        symbol().unwrap_or_default().to_owned()
    }

    /// `(name,revenue,primarycontactid(fullname))`, as the context names what was selected.
    pub(crate) fn context_list(&self, table: &Arc<Table>, options: &Options) -> Outcome<String> {
        let mut parts = Selection::of(table, options)?.names;
        for expand in &options.expand {
            let inner = match table.nav(&expand.nav) {
                Some(Nav::One { targets, .. }) => targets.first().cloned(),
                Some(Nav::Many(relation)) => Some(Arc::clone(&relation.from)),
                Some(Nav::Linked(link)) => Some(Arc::clone(link.other(&table.name))),
                None => None,
            };
            let inner =
                inner.ok_or_else(|| ApiError::no_property(&expand.nav, &table.type_name()))?;
            let inner = Arc::clone(self.store.table(&inner)?);
            let list = self.context_list(&inner, &expand.options)?;
            parts.push(format!(
                "{}{}",
                expand.nav,
                if list.is_empty() { "()" } else { &list }
            ));
        }
        Ok(if parts.is_empty() {
            String::new()
        } else {
            format!("({})", parts.join(","))
        })
    }

    pub(crate) fn put_context(&self, answer: &mut Map<String, Value>, what: &str) {
        if !self.bare {
            answer.insert(
                "@odata.context".to_owned(),
                Value::String(format!("{}/$metadata#{what}", self.service)),
            );
        }
    }

    /// Whether the caller may see a row of a table.
    pub(crate) fn may_see(&self, table: &Table, row: &Row) -> bool {
        self.caller.covers(table, row, Right::Read)
    }
}
