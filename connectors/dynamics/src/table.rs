//! A table of the environment: columns, lookups, keys.

#[cfg(test)]
pub(crate) mod sample;

use std::collections::{BTreeMap, HashMap};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    Text,
    Integer,
    BigInteger,
    /// Decimal, money and floating-point columns: numbers with a fraction.
    Decimal,
    Money,
    Boolean,
    Choice,
    Choices,
    Date,
    DateTime,
    Id,
    Lookup,
    /// Files, images, party lists and what else does not travel as a plain value.
    Other,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: ColumnKind,
    pub(crate) readable: bool,
    pub(crate) creatable: bool,
    pub(crate) updatable: bool,
    /// Reads as null to whoever may not see it.
    pub(crate) secured: bool,
}

/// A lookup, as the navigation property that leads to one of its target tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// The navigation property.
    pub(crate) nav: String,
    /// The lookup column.
    pub(crate) column: String,
    /// The target's logical name.
    pub(crate) target: String,
}

/// One table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) set: String,
    pub(crate) primary_id: String,
    /// Whether `If-Match` with an ETag is honoured.
    pub(crate) versioned: bool,
    columns: BTreeMap<String, Column>,
    lookups: Vec<Lookup>,
    by_nav: HashMap<String, Vec<usize>>,
    keys: Vec<Vec<String>>,
}

/// What a name in an address or a body means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Property<'a> {
    /// A plain column.
    Column(&'a Column),
    /// A lookup, by navigation property, and the targets it leads to.
    Nav(&'a Column, Vec<&'a str>),
    /// A lookup by its read-only form `_x_value`.
    LookupValue(&'a Column),
}

impl Table {
    pub(crate) fn new(
        (name, set, primary_id): (String, String, String),
        versioned: bool,
        columns: Vec<Column>,
        lookups: Vec<Lookup>,
        keys: Vec<Vec<String>>,
    ) -> Self {
        let mut by_nav: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, lookup) in lookups.iter().enumerate() {
            by_nav.entry(lookup.nav.clone()).or_default().push(index);
        }
        Self {
            name,
            set,
            primary_id,
            versioned,
            columns: columns
                .into_iter()
                .map(|column| (column.name.clone(), column))
                .collect(),
            lookups,
            by_nav,
            keys,
        }
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.get(name)
    }

    /// The table's own columns that travel in records.
    pub(crate) fn readable(&self) -> impl Iterator<Item = &Column> {
        self.columns
            .values()
            .filter(|column| column.readable && column.kind != ColumnKind::Other)
    }

    /// What a name means; names are case-sensitive.
    pub(crate) fn property(&self, name: &str) -> Option<Property<'_>> {
        if let Some(indices) = self.by_nav.get(name) {
            let lookups: Vec<&Lookup> = indices
                .iter()
                .filter_map(|index| self.lookups.get(*index))
                .collect();
            let column = self.columns.get(&lookups.first()?.column)?;
            let targets = lookups
                .iter()
                .map(|lookup| lookup.target.as_str())
                .collect();
            return Some(Property::Nav(column, targets));
        }
        if let Some(column) = self.columns.get(name) {
            return Some(Property::Column(column));
        }
        let inner = name.strip_prefix('_')?.strip_suffix("_value")?;
        let column = self.columns.get(inner)?;
        (column.kind == ColumnKind::Lookup).then_some(Property::LookupValue(column))
    }

    /// The tables a lookup can point to.
    pub(crate) fn targets(&self, column: &str) -> Vec<&str> {
        let mut targets: Vec<&str> = self
            .lookups
            .iter()
            .filter(|lookup| lookup.column == column)
            .map(|lookup| lookup.target.as_str())
            .collect();
        targets.dedup();
        targets
    }

    /// The navigation property by which a lookup is pointed at that table; any of them where no
    /// table is named, to clear it.
    pub(crate) fn nav(&self, column: &str, target: Option<&str>) -> Option<&str> {
        self.lookups
            .iter()
            .find(|lookup| {
                lookup.column == column && target.is_none_or(|target| lookup.target == target)
            })
            .map(|lookup| lookup.nav.as_str())
    }

    /// Whether these columns, in any order, are an alternate key.
    pub(crate) fn is_key(&self, columns: &[&str]) -> bool {
        self.keys.iter().any(|key| {
            key.len() == columns.len()
                && key.iter().all(|column| columns.contains(&column.as_str()))
        })
    }
}

/// `_x_value` for a lookup `x`; the name itself for other columns.
pub(crate) fn read_name(column: &Column) -> String {
    if column.kind == ColumnKind::Lookup {
        format!("_{}_value", column.name)
    } else {
        column.name.clone()
    }
}
