//! Tables, columns and relationships of the simulated environment, read from the files in `tables/`.

mod build;
mod column;
mod relation;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use uuid::Uuid;

pub(crate) use column::{Access, Column, Kind, Required, StatusOption};
pub(crate) use relation::{Cascade, Link, Nav, Relation};

/// Why the data files that ship with the simulator can't be used. A test shows that they can.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A file isn't the YAML that it should be.
    #[error("`{file}` can't be read: {source}")]
    Unreadable {
        /// Which file.
        file: &'static str,
        /// What the parser says.
        source: yaml_serde::Error,
    },
    /// A lookup, key or link names something that isn't there.
    #[error("`{place}` names `{name}`, which does not exist")]
    Dangling {
        /// Where.
        place: String,
        /// What is missing.
        name: String,
    },
}

/// Who owns the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ownership {
    /// A user or a team.
    User,
    /// The business unit in which they were made.
    BusinessUnit,
    /// The organization as a whole.
    Organization,
}

/// One table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    pub(crate) name: Arc<str>,
    pub(crate) schema: String,
    pub(crate) set: String,
    pub(crate) label: String,
    pub(crate) plural: String,
    pub(crate) code: i64,
    pub(crate) ownership: Ownership,
    pub(crate) id: String,
    pub(crate) primary: String,
    /// Rows come and go with the platform, not by the record calls.
    #[serde(default)]
    pub(crate) managed: bool,
    #[serde(default)]
    pub(crate) activity: bool,
    pub(crate) columns: Vec<Column>,
    #[serde(default)]
    pub(crate) keys: Vec<Key>,
    #[serde(skip)]
    index: HashMap<String, usize>,
    #[serde(skip)]
    navs: HashMap<String, Nav>,
}

/// One alternate key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) columns: Vec<String>,
}

/// All tables and how they hang together.
#[derive(Debug)]
pub(crate) struct Schema {
    tables: Vec<Arc<Table>>,
    by_name: HashMap<Arc<str>, usize>,
    by_set: HashMap<String, usize>,
    pub(crate) relations: Vec<Arc<Relation>>,
    pub(crate) links: Vec<Arc<Link>>,
}

impl Schema {
    /// The schema that ships with the simulator.
    ///
    /// # Errors
    /// A data file is broken.
    pub(crate) fn shipped() -> Result<Arc<Self>, SchemaError> {
        static SHIPPED: OnceLock<Arc<Schema>> = OnceLock::new();
        if let Some(schema) = SHIPPED.get() {
            return Ok(Arc::clone(schema));
        }
        let schema = Arc::new(build::build()?);
        Ok(Arc::clone(SHIPPED.get_or_init(|| schema)))
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.iter()
    }

    /// By logical name.
    pub(crate) fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(*self.by_name.get(name)?)
    }

    /// By the name of the entity set, which is what stands in addresses.
    pub(crate) fn set(&self, set: &str) -> Option<&Arc<Table>> {
        self.tables.get(*self.by_set.get(set)?)
    }

    /// The lookups that point at `table`.
    pub(crate) fn pointing_at(&self, table: &str) -> impl Iterator<Item = &Arc<Relation>> {
        self.relations
            .iter()
            .filter(move |relation| &*relation.to == table)
    }
}

impl Table {
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.get(*self.index.get(name)?)
    }

    /// Where a column's value stands in a row.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    pub(crate) fn nav(&self, name: &str) -> Option<&Nav> {
        self.navs.get(name)
    }

    /// Navigation properties, by name.
    pub(crate) fn navs(&self) -> impl Iterator<Item = (&String, &Nav)> {
        self.navs.iter()
    }

    /// `_ownerid_value` → the column `ownerid`, if that is a lookup.
    pub(crate) fn lookup_value(&self, property: &str) -> Option<&Column> {
        let name = property.strip_prefix('_')?.strip_suffix("_value")?;
        self.column(name).filter(|column| column.is_lookup())
    }

    /// The name of the table's type in the service's namespace.
    pub(crate) fn type_name(&self) -> String {
        format!("Microsoft.Dynamics.CRM.{}", self.name)
    }

    /// Whether rows carry a state and a status.
    pub(crate) fn has_state(&self) -> bool {
        self.index.contains_key("statecode")
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.name.contains('_')
    }
}

/// An identifier that is made up but always the same.
pub(crate) fn stable_id(kind: &str, name: &str) -> Uuid {
    /// An arbitrary name space.
    const SPACE: Uuid = Uuid::from_u128(0x6f1c_7c3e_52a1_4b0d_9a64_0e5d_c2b7_81f3);
    Uuid::new_v5(&SPACE, format!("{kind}/{name}").as_bytes())
}
