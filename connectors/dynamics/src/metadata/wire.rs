//! Metadata as the environment answers it.

use std::collections::{BTreeMap, HashSet};

use crmgate_connector::assemble::Currency;
use serde::Deserialize;

use crate::table::{Column, ColumnKind, Lookup, Table};

pub(super) const ENTRY_SELECT: &str = "LogicalName,EntitySetName,PrimaryIdAttribute";
pub(super) const TABLE_SELECT: &str =
    "LogicalName,EntitySetName,PrimaryIdAttribute,IsOptimisticConcurrencyEnabled";
pub(super) const TABLE_EXPAND: &str = "Attributes($select=LogicalName,AttributeOf,AttributeType,\
     AttributeTypeName,IsValidForRead,IsValidForCreate,IsValidForUpdate,IsSecured),\
     Keys($select=KeyAttributes),\
     ManyToOneRelationships($select=ReferencingAttribute,ReferencedEntity,\
     ReferencingEntityNavigationPropertyName)";
pub(super) const DATE_SELECT: &str = "LogicalName,Format,DateTimeBehavior";

#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) value: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    logical_name: String,
    /// Tables that cannot be reached by the Web API have none.
    entity_set_name: Option<String>,
    primary_id_attribute: Option<String>,
}

impl Entry {
    pub(super) fn read(self) -> Option<super::Entry> {
        Some(super::Entry {
            name: self.logical_name,
            set: self.entity_set_name.filter(|set| !set.is_empty())?,
            primary_id: self.primary_id_attribute?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Definition {
    logical_name: String,
    #[serde(default)]
    entity_set_name: Option<String>,
    #[serde(default)]
    primary_id_attribute: Option<String>,
    #[serde(default)]
    is_optimistic_concurrency_enabled: Option<bool>,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    keys: Vec<Key>,
    #[serde(default)]
    many_to_one_relationships: Vec<Relationship>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    logical_name: String,
    #[serde(default)]
    attribute_of: Option<String>,
    #[serde(default)]
    attribute_type: Option<String>,
    #[serde(default)]
    attribute_type_name: Option<TypeName>,
    #[serde(default)]
    is_valid_for_read: Option<bool>,
    #[serde(default)]
    is_valid_for_create: Option<bool>,
    #[serde(default)]
    is_valid_for_update: Option<bool>,
    #[serde(default)]
    is_secured: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TypeName {
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Key {
    key_attributes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Relationship {
    referencing_attribute: String,
    referenced_entity: String,
    referencing_entity_navigation_property_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DateColumn {
    logical_name: String,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    date_time_behavior: Option<TypeName>,
}

impl DateColumn {
    /// Such a column is an `Edm.Date`; one that only shows no time is not.
    fn is_date(&self) -> bool {
        let behavior = self.date_time_behavior.as_ref();
        behavior.map_or(self.format.as_deref() == Some("DateOnly"), |behavior| {
            behavior.value == "DateOnly"
        })
    }
}

impl Definition {
    pub(super) fn read(self, dates: &[DateColumn]) -> Table {
        let dates: HashSet<&str> = dates
            .iter()
            .filter(|column| column.is_date())
            .map(|column| column.logical_name.as_str())
            .collect();
        let columns = self
            .attributes
            .iter()
            .map(|attribute| attribute.read(dates.contains(attribute.logical_name.as_str())))
            .collect();
        let lookups = self
            .many_to_one_relationships
            .into_iter()
            .filter_map(|relationship| {
                Some(Lookup {
                    nav: relationship.referencing_entity_navigation_property_name?,
                    column: relationship.referencing_attribute,
                    target: relationship.referenced_entity,
                })
            })
            .collect();
        let names = (
            self.logical_name,
            self.entity_set_name.unwrap_or_default(),
            self.primary_id_attribute.unwrap_or_default(),
        );
        Table::new(
            names,
            self.is_optimistic_concurrency_enabled.unwrap_or_default(),
            columns,
            owners(lookups),
            self.keys
                .into_iter()
                .map(|key| key.key_attributes)
                .collect(),
        )
    }
}

/// The owner is a user or a team by one navigation property. The metadata names that relationship
/// to the table `owner`, which stands for both, or to each of them, or to all three.
fn owners(lookups: Vec<Lookup>) -> Vec<Lookup> {
    let mut by_place: BTreeMap<(String, String), Lookup> = BTreeMap::new();
    let mut add = |lookup: Lookup| {
        by_place.insert((lookup.column.clone(), lookup.target.clone()), lookup);
    };
    for lookup in lookups {
        if lookup.target == "owner" {
            for target in ["systemuser", "team"] {
                add(Lookup {
                    target: target.to_owned(),
                    ..lookup.clone()
                });
            }
        } else {
            add(lookup);
        }
    }
    by_place.into_values().collect()
}

impl Attribute {
    fn read(&self, is_date: bool) -> Column {
        let type_name = self
            .attribute_type_name
            .as_ref()
            .map(|name| name.value.as_str());
        let kind = match (self.attribute_type.as_deref(), type_name) {
            // Companions of other columns (labels, names) are no values of their own.
            _ if self.attribute_of.is_some() => ColumnKind::Other,
            (_, Some("MultiSelectPicklistType")) => ColumnKind::Choices,
            (Some("String" | "Memo" | "EntityName"), _) => ColumnKind::Text,
            (Some("Integer"), _) => ColumnKind::Integer,
            (Some("BigInt"), _) => ColumnKind::BigInteger,
            (Some("Decimal" | "Double"), _) => ColumnKind::Decimal,
            (Some("Money"), _) => ColumnKind::Money,
            (Some("Boolean"), _) => ColumnKind::Boolean,
            (Some("Picklist" | "State" | "Status"), _) => ColumnKind::Choice,
            (Some("DateTime"), _) if is_date => ColumnKind::Date,
            (Some("DateTime"), _) => ColumnKind::DateTime,
            (Some("Uniqueidentifier"), _) => ColumnKind::Id,
            (Some("Lookup" | "Owner" | "Customer"), _) => ColumnKind::Lookup,
            _ => ColumnKind::Other,
        };
        Column {
            name: self.logical_name.clone(),
            kind,
            readable: self.is_valid_for_read.unwrap_or(true),
            creatable: self.is_valid_for_create.unwrap_or(true),
            updatable: self.is_valid_for_update.unwrap_or(true),
            secured: self.is_secured.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct CurrencyRow {
    transactioncurrencyid: String,
    isocurrencycode: String,
}

impl CurrencyRow {
    pub(super) fn read(self) -> (String, Currency) {
        let currency = Currency::of(&self.isocurrencycode);
        (self.transactioncurrencyid.to_ascii_lowercase(), currency)
    }
}

#[derive(Deserialize)]
pub(super) struct Organization {
    #[serde(rename = "_basecurrencyid_value")]
    pub(super) base: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Versioned {
    #[serde(rename = "@Microsoft.Dynamics.CRM.globalmetadataversion")]
    pub(super) version: Option<String>,
}
