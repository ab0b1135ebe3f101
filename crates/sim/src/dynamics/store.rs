//! The records: tables of rows with unique keys, links between rows, and an undo log, so that a request happens wholly
//! or not at all.

mod index;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Map;
use uuid::Uuid;

use super::cell::Cell;
use super::error::{ApiError, Outcome};
use super::schema::{Link, Schema, Table};
use crate::clock::Clock;
use crate::effects::{Effects, Kind};
use index::{join, key_of, pointers};

/// Tables that so many rows point at that nobody walks back from them on a hot path.
const UNTRACKED: [&str; 5] = [
    "systemuser",
    "team",
    "businessunit",
    "transactioncurrency",
    "organization",
];
/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    /// The order in which rows were made.
    pub(crate) seq: u64,
    pub(crate) version: i64,
    cells: Vec<Cell>,
}

static NULL: Cell = Cell::Null;

impl Row {
    pub(crate) fn new(id: Uuid, table: &Table) -> Self {
        let mut row = Self {
            id,
            seq: 0,
            version: 0,
            cells: vec![Cell::Null; table.columns.len()],
        };
        row.set(table, &table.id, Cell::Guid(id));
        row
    }

    pub(crate) fn at(&self, position: usize) -> &Cell {
        self.cells.get(position).unwrap_or(&NULL)
    }

    pub(crate) fn get(&self, table: &Table, column: &str) -> &Cell {
        table
            .position(column)
            .map_or(&NULL, |position| self.at(position))
    }

    pub(crate) fn set(&mut self, table: &Table, column: &str, cell: Cell) {
        if let Some(position) = table.position(column)
            && let Some(slot) = self.cells.get_mut(position)
        {
            *slot = cell;
        }
    }

    pub(crate) fn etag(&self) -> String {
        format!("W/\"{}\"", self.version)
    }
}

/// A row that points at another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Referrer {
    pub(crate) table: Arc<str>,
    pub(crate) position: usize,
    seq: u64,
    pub(crate) id: Uuid,
}

#[derive(Clone, Debug, Default)]
struct Rows {
    by_id: HashMap<Uuid, Arc<Row>>,
    in_order: BTreeMap<u64, Arc<Row>>,
    /// One map per alternate key.
    keys: Vec<HashMap<String, Uuid>>,
    next: u64,
}

#[derive(Clone, Debug, Default)]
struct Pairs {
    left: HashMap<Uuid, BTreeSet<Uuid>>,
    right: HashMap<Uuid, BTreeSet<Uuid>>,
}

#[derive(Clone, Debug)]
enum Undo {
    Remove(Arc<Table>, Uuid),
    Restore(Arc<Table>, Arc<Row>),
    Unlink(Arc<Link>, Uuid, Uuid),
    Relink(Arc<Link>, Uuid, Uuid),
}

/// All records. A clone is a snapshot; it shares the rows until they change.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    schema: Arc<Schema>,
    tables: HashMap<Arc<str>, Rows>,
    links: HashMap<String, Pairs>,
    referrers: HashMap<Uuid, BTreeSet<Referrer>>,
    version: i64,
    undo: Vec<Undo>,
    effects: Effects,
    /// The last effect before [`Store::begin`].
    stays: u64,
}

impl Store {
    pub(crate) fn new(schema: Arc<Schema>) -> Self {
        let tables = schema
            .tables()
            .map(|table| {
                let rows = Rows {
                    keys: vec![HashMap::new(); table.keys.len()],
                    ..Rows::default()
                };
                (Arc::clone(&table.name), rows)
            })
            .collect();
        let links = schema
            .links
            .iter()
            .map(|link| (link.name.clone(), Pairs::default()))
            .collect();
        Self {
            schema,
            tables,
            links,
            referrers: HashMap::new(),
            version: 1_204_000,
            undo: Vec::new(),
            effects: Effects::default(),
            stays: 0,
        }
    }

    pub(crate) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    pub(crate) fn table(&self, name: &str) -> Outcome<&Arc<Table>> {
        self.schema
            .table(name)
            .ok_or_else(|| ApiError::internal(format!("no table `{name}`")))
    }

    pub(crate) fn row(&self, table: &str, id: Uuid) -> Option<&Arc<Row>> {
        self.tables.get(table)?.by_id.get(&id)
    }

    pub(crate) fn existing(&self, table: &str, id: Uuid) -> Outcome<&Arc<Row>> {
        self.row(table, id)
            .ok_or_else(|| ApiError::no_row(table, id))
    }

    /// In the order in which they were made.
    pub(crate) fn rows(&self, table: &str) -> impl Iterator<Item = &Arc<Row>> {
        self.tables
            .get(table)
            .into_iter()
            .flat_map(|rows| rows.in_order.values())
    }

    pub(crate) fn count(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, |rows| rows.by_id.len())
    }

    /// The row that holds these values of the table's alternate key number `key`.
    pub(crate) fn by_key(&self, table: &Table, key: usize, values: &[String]) -> Option<&Arc<Row>> {
        let rows = self.tables.get(&table.name)?;
        let id = rows.keys.get(key)?.get(&join(values))?;
        rows.by_id.get(id)
    }

    /// Puts a row in.
    pub(crate) fn insert(&mut self, table: &Arc<Table>, mut row: Row) -> Outcome<Arc<Row>> {
        if self.row(&table.name, row.id).is_some() {
            return Err(ApiError::duplicate_id());
        }
        self.check_keys(table, &row)?;
        self.version += 1;
        row.version = self.version;
        row.set(table, "versionnumber", Cell::Int(self.version));
        row.seq = self.tables.get(&table.name).map_or(0, |rows| rows.next);
        let row = Arc::new(row);
        self.put(table, &row);
        self.undo.push(Undo::Remove(Arc::clone(table), row.id));
        self.note(table, None, &row);
        Ok(row)
    }

    /// Puts `row` in the place of the row with its identifier.
    pub(crate) fn replace(&mut self, table: &Arc<Table>, mut row: Row) -> Outcome<Arc<Row>> {
        let old = Arc::clone(self.existing(&table.name, row.id)?);
        self.check_keys(table, &row)?;
        self.version += 1;
        row.version = self.version;
        row.seq = old.seq;
        row.set(table, "versionnumber", Cell::Int(self.version));
        let row = Arc::new(row);
        self.take(table, &old);
        self.put(table, &row);
        self.note(table, Some(&old), &row);
        self.undo.push(Undo::Restore(Arc::clone(table), old));
        Ok(row)
    }

    /// Takes a row out, with all its links.
    pub(crate) fn remove(&mut self, table: &Arc<Table>, id: Uuid) -> Outcome<()> {
        let old = Arc::clone(self.existing(&table.name, id)?);
        let schema = Arc::clone(&self.schema);
        for link in &schema.links {
            for other in self.linked(link, &table.name, id) {
                let (left, right) = if *link.left == *table.name {
                    (id, other)
                } else {
                    (other, id)
                };
                self.unlink(link, left, right);
            }
        }
        self.take(table, &old);
        self.undo.push(Undo::Restore(Arc::clone(table), old));
        self.effects
            .push(&table.name, id.to_string(), Kind::Delete, Map::new());
        Ok(())
    }

    /// Says whether the link is new.
    pub(crate) fn link(&mut self, link: &Arc<Link>, left: Uuid, right: Uuid) -> bool {
        let Some(pairs) = self.links.get_mut(&link.name) else {
            return false;
        };
        let new = pairs.left.entry(left).or_default().insert(right);
        pairs.right.entry(right).or_default().insert(left);
        if new {
            self.undo.push(Undo::Unlink(Arc::clone(link), left, right));
        }
        new
    }

    /// Says whether there was a link.
    pub(crate) fn unlink(&mut self, link: &Arc<Link>, left: Uuid, right: Uuid) -> bool {
        let Some(pairs) = self.links.get_mut(&link.name) else {
            return false;
        };
        let was = pairs
            .left
            .get_mut(&left)
            .is_some_and(|rights| rights.remove(&right));
        if let Some(lefts) = pairs.right.get_mut(&right) {
            lefts.remove(&left);
        }
        if was {
            self.undo.push(Undo::Relink(Arc::clone(link), left, right));
        }
        was
    }

    /// What is linked with a row of `table`.
    pub(crate) fn linked(&self, link: &Link, table: &str, id: Uuid) -> Vec<Uuid> {
        let Some(pairs) = self.links.get(&link.name) else {
            return Vec::new();
        };
        let side = if *link.left == *table {
            &pairs.left
        } else {
            &pairs.right
        };
        side.get(&id)
            .map(|others| others.iter().copied().collect())
            .unwrap_or_default()
    }

    /// The rows that point at a row of `table`, each with the lookup by which it does.
    pub(crate) fn referrers(&self, table: &str, id: Uuid) -> Vec<Referrer> {
        if !UNTRACKED.contains(&table) {
            return self
                .referrers
                .get(&id)
                .map(|found| found.iter().cloned().collect())
                .unwrap_or_default();
        }
        let mut found = Vec::new();
        for relation in self.schema.pointing_at(table) {
            let Some(from) = self.schema.table(&relation.from) else {
                continue;
            };
            let Some(position) = from.position(&relation.column) else {
                continue;
            };
            let points = |row: &&Arc<Row>| {
                row.at(position)
                    .as_lookup()
                    .is_some_and(|to| to.id == id && *to.table == *table)
            };
            found.extend(self.rows(&from.name).filter(points).map(|row| Referrer {
                table: Arc::clone(&from.name),
                position,
                seq: row.seq,
                id: row.id,
            }));
        }
        found
    }

    /// From here on changes can be taken back.
    pub(crate) fn begin(&mut self) {
        self.undo.clear();
        self.stays = self.effects.last();
    }

    /// Takes back all changes since [`Store::begin`].
    pub(crate) fn roll_back(&mut self) {
        self.effects.take_back(self.stays);
        while let Some(step) = self.undo.pop() {
            match step {
                Undo::Remove(table, id) => {
                    if let Some(row) = self.row(&table.name, id).cloned() {
                        self.take(&table, &row);
                    }
                }
                Undo::Restore(table, old) => {
                    if let Some(row) = self.row(&table.name, old.id).cloned() {
                        self.take(&table, &row);
                    }
                    self.put(&table, &old);
                }
                Undo::Unlink(link, left, right) => {
                    self.unlink(&link, left, right);
                    self.undo.pop();
                }
                Undo::Relink(link, left, right) => {
                    self.link(&link, left, right);
                    self.undo.pop();
                }
            }
        }
    }

    /// What happened to the rows, without what was taken back.
    pub(crate) fn effects(&self) -> &Effects {
        &self.effects
    }

    /// What happened until now is how it all begins; from now on it is told, with this clock's time.
    pub(crate) fn tell_effects(&mut self, clock: Clock) {
        self.effects = Effects::new(clock);
        self.stays = 0;
    }

    fn note(&mut self, table: &Table, before: Option<&Row>, row: &Row) {
        let kind = if before.is_some() {
            Kind::Update
        } else {
            Kind::Create
        };
        let changed = table.columns.iter().enumerate().filter_map(|(at, column)| {
            let was = before.map_or(&NULL, |before| before.at(at));
            let is = row.at(at);
            (is != was).then(|| (column.name.clone(), is.to_json(column)))
        });
        let values = changed.collect();
        self.effects
            .push(&table.name, row.id.to_string(), kind, values);
    }

    fn check_keys(&self, table: &Table, row: &Row) -> Outcome<()> {
        let Some(rows) = self.tables.get(&table.name) else {
            return Ok(());
        };
        for (key, index) in table.keys.iter().zip(&rows.keys) {
            let holder = key_of(table, key, row).and_then(|text| index.get(&text));
            if holder.is_some_and(|holder| *holder != row.id) {
                let columns: Vec<&str> = key
                    .columns
                    .iter()
                    .filter_map(|name| table.column(name))
                    .map(|column| column.label.as_str())
                    .collect();
                return Err(ApiError::duplicate_key(&key.label, &columns.join(", ")));
            }
        }
        Ok(())
    }

    fn put(&mut self, table: &Table, row: &Arc<Row>) {
        let Some(rows) = self.tables.get_mut(&table.name) else {
            return;
        };
        rows.next = rows.next.max(row.seq + 1);
        for (key, index) in table.keys.iter().zip(&mut rows.keys) {
            if let Some(text) = key_of(table, key, row) {
                index.insert(text, row.id);
            }
        }
        rows.by_id.insert(row.id, Arc::clone(row));
        rows.in_order.insert(row.seq, Arc::clone(row));
        for (to, referrer) in pointers(table, row) {
            self.referrers.entry(to).or_default().insert(referrer);
        }
    }

    fn take(&mut self, table: &Table, row: &Row) {
        let Some(rows) = self.tables.get_mut(&table.name) else {
            return;
        };
        for (key, index) in table.keys.iter().zip(&mut rows.keys) {
            if let Some(text) = key_of(table, key, row) {
                index.remove(&text);
            }
        }
        rows.by_id.remove(&row.id);
        rows.in_order.remove(&row.seq);
        for (to, referrer) in pointers(table, row) {
            if let Some(found) = self.referrers.get_mut(&to) {
                found.remove(&referrer);
                if found.is_empty() {
                    self.referrers.remove(&to);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
