//! The stored records, with the indexes that keep single-record work independent of how many there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::cell::Cell;
use super::id::RecordId;
use super::schema::{FieldIx, ObjectIx, ObjectType, Schema};
use crate::clock::Clock;
use crate::effects::{Effects, Kind};

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) id: RecordId,
    /// In the order of [`ObjectType::fields`].
    pub(crate) cells: Vec<Cell>,
    pub(crate) deleted: bool,
    /// Grows with every change of any record; what entity tags are made of.
    pub(crate) version: u64,
}

/// All records of the org.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    schema: Arc<Schema>,
    tables: Vec<Table>,
    version: u64,
    /// What changed since the outermost transaction began, newest last: the record as it was.
    changed: Vec<(ObjectIx, RecordId, Option<Row>)>,
    /// Transactions that are open, one in another.
    open: usize,
    effects: Effects,
}

/// Where a transaction began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize, u64);

#[derive(Clone, Debug, Default)]
struct Table {
    rows: BTreeMap<RecordId, Row>,
    last_number: u64,
    /// Live records by the value of an indexed field.
    by_value: HashMap<FieldIx, HashMap<String, Vec<RecordId>>>,
    /// Live records by the parent that a lookup field names.
    by_parent: HashMap<FieldIx, HashMap<RecordId, BTreeSet<RecordId>>>,
}

static NULL: Cell = Cell::Null;

impl Row {
    /// The value of a field.
    pub(crate) fn cell(&self, field: FieldIx) -> &Cell {
        self.cells.get(field).unwrap_or(&NULL)
    }

    /// The value of a field by its exact name.
    pub(crate) fn named(&self, object: &ObjectType, name: &str) -> &Cell {
        object.find(name).map_or(&NULL, |(ix, _)| self.cell(ix))
    }

    /// Puts a value; a field that the row doesn't have is left out.
    pub(crate) fn put(&mut self, field: FieldIx, cell: Cell) {
        if let Some(place) = self.cells.get_mut(field) {
            *place = cell;
        }
    }
}

impl Store {
    pub(crate) fn new(schema: Arc<Schema>) -> Self {
        let table = |object: &ObjectType| {
            let mut table = Table::default();
            for (ix, field) in object.fields.iter().enumerate() {
                if field.indexed() && field.name != "Id" {
                    table.by_value.insert(ix, HashMap::new());
                }
                if field.child_relationship.is_some() {
                    table.by_parent.insert(ix, HashMap::new());
                }
            }
            table
        };
        let tables = schema.objects.iter().map(table).collect();
        Self {
            schema,
            tables,
            version: 0,
            changed: Vec::new(),
            open: 0,
            effects: Effects::default(),
        }
    }

    /// Begins a transaction, which may stand in another.
    pub(crate) fn begin(&mut self) -> Mark {
        self.open += 1;
        Mark(self.changed.len(), self.effects.last())
    }

    /// Ends the innermost transaction; what it did stays.
    pub(crate) fn commit(&mut self) {
        self.open = self.open.saturating_sub(1);
        if self.open == 0 {
            self.changed.clear();
        }
    }

    /// Ends the innermost transaction; all is as it was before.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        for (object, id, before) in self.changed.split_off(mark.0).into_iter().rev() {
            self.replace(object, id, before);
        }
        self.effects.take_back(mark.1);
        self.commit();
    }

    /// The schema, for use while the store changes.
    pub(crate) fn schema_handle(&self) -> Arc<Schema> {
        Arc::clone(&self.schema)
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The record, deleted or not.
    pub(crate) fn any_row(&self, object: ObjectIx, id: RecordId) -> Option<&Row> {
        self.tables.get(object)?.rows.get(&id)
    }

    /// The record, unless it is deleted.
    pub(crate) fn row(&self, object: ObjectIx, id: RecordId) -> Option<&Row> {
        self.any_row(object, id).filter(|row| !row.deleted)
    }

    /// The record of this identifier, whatever its object, unless it is deleted.
    pub(crate) fn by_id(&self, id: RecordId) -> Option<(ObjectIx, &Row)> {
        let (object, _) = self.schema.object_of(id)?;
        Some((object, self.row(object, id)?))
    }

    /// All records of an object, oldest first, deleted ones included.
    pub(crate) fn rows(&self, object: ObjectIx) -> impl Iterator<Item = &Row> {
        self.tables
            .get(object)
            .into_iter()
            .flat_map(|table| table.rows.values())
    }

    /// Live records whose indexed field has this value; `None` if the field isn't indexed.
    pub(crate) fn find(&self, object: ObjectIx, field: FieldIx, text: &str) -> Option<&[RecordId]> {
        let index = self.tables.get(object)?.by_value.get(&field)?;
        let key = self.schema.object(object)?.field(field)?.index_key(text);
        Some(index.get(&key).map_or(&[], Vec::as_slice))
    }

    /// Live records whose lookup field names this parent; `None` if the field isn't indexed.
    pub(crate) fn children(
        &self,
        object: ObjectIx,
        field: FieldIx,
        parent: RecordId,
    ) -> Option<Vec<RecordId>> {
        let index = self.tables.get(object)?.by_parent.get(&field)?;
        Some(
            index
                .get(&parent)
                .map(|ids| ids.iter().copied().collect())
                .unwrap_or_default(),
        )
    }

    /// An identifier and a running number that no record of the object has had.
    pub(crate) fn next_id(&mut self, object: ObjectIx) -> Option<(RecordId, u64)> {
        let prefix = &self.schema.object(object)?.prefix;
        let table = self.tables.get_mut(object)?;
        table.last_number += 1;
        Some((
            RecordId::numbered(prefix, table.last_number),
            table.last_number,
        ))
    }

    /// Stores a new or changed record.
    pub(crate) fn put(&mut self, object: ObjectIx, mut row: Row) {
        self.version += 1;
        row.version = self.version;
        let id = row.id;
        let before = self.replace(object, id, Some(row));
        self.note(object, id, before.as_ref());
        if self.open > 0 {
            self.changed.push((object, id, before));
        }
    }

    /// What happened to the records, without what was taken back. Whoever looks waits until no
    /// transaction is open.
    pub(crate) fn effects(&self) -> &Effects {
        &self.effects
    }

    /// What happened until now is how it all begins; from now on it is told, with this clock's time.
    pub(crate) fn tell_effects(&mut self, clock: Clock) {
        self.effects = Effects::new(clock);
    }

    fn note(&mut self, object: ObjectIx, id: RecordId, before: Option<&Row>) {
        let schema = Arc::clone(&self.schema);
        let (Some(kind), Some(row)) = (schema.object(object), self.any_row(object, id)) else {
            return;
        };
        let what = match before {
            _ if row.deleted => Kind::Delete,
            Some(before) if !before.deleted => Kind::Update,
            _ => Kind::Create,
        };
        let changed = kind.fields.iter().enumerate().filter_map(|(ix, field)| {
            let was = before.map_or(&NULL, |before| before.cell(ix));
            let is = row.cell(ix);
            (is != was).then(|| (field.name.clone(), is.to_json()))
        });
        let values = changed.collect();
        self.effects.push(&kind.name, id.to_string(), what, values);
    }

    /// Puts a record, or none, in place of another; gives the other.
    fn replace(&mut self, object: ObjectIx, id: RecordId, row: Option<Row>) -> Option<Row> {
        let kind = self.schema.object(object)?;
        let table = self.tables.get_mut(object)?;
        let before = table.rows.remove(&id);
        if let Some(before) = before.as_ref().filter(|before| !before.deleted) {
            table.unindex(kind, before);
        }
        if let Some(row) = row {
            if !row.deleted {
                table.index(kind, &row);
            }
            table.rows.insert(id, row);
        }
        before
    }
}

impl Table {
    fn index(&mut self, object: &ObjectType, row: &Row) {
        for (ix, index) in &mut self.by_value {
            if let (Cell::Text(text), Some(field)) = (row.cell(*ix), object.field(*ix)) {
                index.entry(field.index_key(text)).or_default().push(row.id);
            }
        }
        for (ix, index) in &mut self.by_parent {
            if let Cell::Ref(parent) = row.cell(*ix) {
                index.entry(*parent).or_default().insert(row.id);
            }
        }
    }

    fn unindex(&mut self, object: &ObjectType, row: &Row) {
        for (ix, index) in &mut self.by_value {
            let (Cell::Text(text), Some(field)) = (row.cell(*ix), object.field(*ix)) else {
                continue;
            };
            let key = field.index_key(text);
            if let Some(ids) = index.get_mut(&key) {
                ids.retain(|id| *id != row.id);
                if ids.is_empty() {
                    index.remove(&key);
                }
            }
        }
        for (ix, index) in &mut self.by_parent {
            let Cell::Ref(parent) = row.cell(*ix) else {
                continue;
            };
            if let Some(ids) = index.get_mut(parent) {
                ids.remove(&row.id);
                if ids.is_empty() {
                    index.remove(parent);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(object: &ObjectType, id: RecordId, email: &str) -> Row {
        let mut row = Row {
            id,
            cells: vec![Cell::Null; object.fields.len()],
            deleted: false,
            version: 0,
        };
        row.put(object.find("Email").unwrap().0, Cell::text(email));
        row
    }

    #[test]
    fn indexes_follow_every_change() {
        let schema = Arc::new(Schema::load().unwrap());
        let mut store = Store::new(Arc::clone(&schema));
        let (contacts, object) = schema.find("Contact").unwrap();
        let email = object.find("Email").unwrap().0;
        let (one, _) = store.next_id(contacts).unwrap();
        let (two, _) = store.next_id(contacts).unwrap();
        store.put(contacts, row(object, one, "Ada@Example.com"));
        store.put(contacts, row(object, two, "ada@example.com"));
        assert_eq!(
            store.find(contacts, email, "ADA@example.com").unwrap(),
            [one, two]
        );
        store.put(contacts, row(object, one, "new@example.com"));
        assert_eq!(
            store.find(contacts, email, "ada@example.com").unwrap(),
            [two]
        );
        store.put(
            contacts,
            Row {
                deleted: true,
                ..row(object, two, "ada@example.com")
            },
        );
        assert!(
            store
                .find(contacts, email, "ada@example.com")
                .unwrap()
                .is_empty()
        );
        assert!(store.row(contacts, two).is_none() && store.any_row(contacts, two).is_some());
        assert!(
            store.any_row(contacts, one).unwrap().version
                < store.any_row(contacts, two).unwrap().version
        );
    }

    #[test]
    fn transactions_are_taken_back() {
        let schema = Arc::new(Schema::load().unwrap());
        let mut store = Store::new(Arc::clone(&schema));
        let (contacts, object) = schema.find("Contact").unwrap();
        let email = object.find("Email").unwrap().0;
        let (one, _) = store.next_id(contacts).unwrap();
        let (two, _) = store.next_id(contacts).unwrap();
        store.put(contacts, row(object, one, "first@example.com"));
        let before = store.any_row(contacts, one).unwrap().clone();
        let outer = store.begin();
        store.put(contacts, row(object, one, "second@example.com"));
        let inner = store.begin();
        store.put(contacts, row(object, two, "two@example.com"));
        store.put(contacts, row(object, one, "third@example.com"));
        store.roll_back(inner);
        let found = |store: &Store, text: &str| store.find(contacts, email, text).unwrap().to_vec();
        assert_eq!(found(&store, "second@example.com"), [one]);
        assert!(store.any_row(contacts, two).is_none());
        assert!(found(&store, "two@example.com").is_empty());
        let inner = store.begin();
        store.put(contacts, row(object, two, "two@example.com"));
        store.commit();
        assert!(inner.0 > 0);
        store.roll_back(outer);
        assert_eq!(store.any_row(contacts, one), Some(&before));
        assert_eq!(found(&store, "first@example.com"), [one]);
        assert!(found(&store, "two@example.com").is_empty());
    }
}
