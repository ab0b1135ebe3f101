//! Objects and fields, as the org's metadata describes them. The data files stand beside this module.

mod load;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::cell::Cell;
use super::id::RecordId;
use super::soql::Filter;

pub(crate) use load::LoadError;

/// Which object, by its place in [`Schema::objects`].
pub(crate) type ObjectIx = usize;
/// Which field, by its place in [`ObjectType::fields`].
pub(crate) type FieldIx = usize;

/// All objects of the org.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) objects: Vec<ObjectType>,
    by_name: HashMap<String, ObjectIx>,
    by_prefix: HashMap<String, ObjectIx>,
}

/// One object.
#[derive(Debug)]
pub(crate) struct ObjectType {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) label_plural: String,
    pub(crate) prefix: String,
    pub(crate) verbs: Verbs,
    pub(crate) searchable: bool,
    pub(crate) fields: Vec<Field>,
    pub(crate) children: Vec<ChildRelationship>,
    pub(crate) rules: Vec<Rule>,
    /// The picklist whose values carry [`PickValue::closed`] and the like.
    pub(crate) state_field: Option<FieldIx>,
    pub(crate) name_field: Option<FieldIx>,
    by_name: HashMap<String, FieldIx>,
    by_relationship: HashMap<String, FieldIx>,
}

/// What the interface lets anyone do with an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verbs {
    pub(crate) create: bool,
    pub(crate) update: bool,
    pub(crate) delete: bool,
}

/// The way from a parent to its children.
#[derive(Debug)]
pub(crate) struct ChildRelationship {
    pub(crate) name: String,
    pub(crate) object: ObjectIx,
    pub(crate) field: FieldIx,
    pub(crate) cascade: bool,
}

/// A validation rule: a filter in the query language that must not hold.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) when: Filter,
    pub(crate) message: String,
    pub(crate) field: Option<String>,
}

/// A field's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Id,
    String,
    TextArea,
    LongText,
    Email,
    Phone,
    Url,
    Picklist,
    MultiPicklist,
    Boolean,
    Int,
    Double,
    Currency,
    Percent,
    Date,
    DateTime,
    Reference,
    Address,
}

/// How a field's value comes about where nobody writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Derived {
    /// First and last name.
    PersonName,
    /// Whether the state is a closed one.
    Closed,
    /// Whether the state is a won one.
    Won,
    /// The state's probability, whenever the state changes and no other is given.
    Probability,
    /// The state's forecast category.
    Forecast,
    /// Amount times probability.
    ExpectedRevenue,
    /// When the record was closed.
    ClosedDate,
    /// A running number with leading zeros.
    AutoNumber,
    /// The contact's account, where a contact is named and no account.
    AccountOfContact,
}

/// One field.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) kind: Kind,
    pub(crate) length: usize,
    pub(crate) precision: u32,
    pub(crate) scale: u32,
    pub(crate) required: bool,
    pub(crate) createable: bool,
    pub(crate) updateable: bool,
    pub(crate) unique: bool,
    pub(crate) external_id: bool,
    pub(crate) id_lookup: bool,
    pub(crate) case_sensitive: bool,
    pub(crate) restricted: bool,
    pub(crate) values: Vec<PickValue>,
    pub(crate) reference_to: Vec<String>,
    pub(crate) relationship: Option<String>,
    pub(crate) child_relationship: Option<String>,
    pub(crate) cascade: bool,
    pub(crate) default: Option<Value>,
    pub(crate) derived: Option<Derived>,
    pub(crate) calculated: bool,
    /// The compound field this one is a part of.
    pub(crate) part_of: Option<String>,
    /// For [`Kind::Address`]: what its parts begin with.
    pub(crate) address_prefix: String,
}

/// One value of a picklist.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PickValue {
    pub(crate) value: String,
    pub(crate) default: bool,
    pub(crate) closed: bool,
    pub(crate) won: bool,
    pub(crate) probability: Option<f64>,
    pub(crate) forecast: Option<String>,
}

impl Schema {
    /// The object of this name, in any case.
    pub(crate) fn find(&self, name: &str) -> Option<(ObjectIx, &ObjectType)> {
        let ix = *self.by_name.get(&name.to_ascii_lowercase())?;
        Some((ix, self.objects.get(ix)?))
    }

    pub(crate) fn object(&self, ix: ObjectIx) -> Option<&ObjectType> {
        self.objects.get(ix)
    }

    /// The object whose records have identifiers like this one.
    pub(crate) fn object_of(&self, id: RecordId) -> Option<(ObjectIx, &ObjectType)> {
        let ix = *self.by_prefix.get(id.prefix())?;
        Some((ix, self.objects.get(ix)?))
    }
}

impl ObjectType {
    /// The field of this name, in any case.
    pub(crate) fn find(&self, name: &str) -> Option<(FieldIx, &Field)> {
        let ix = *self.by_name.get(&name.to_ascii_lowercase())?;
        Some((ix, self.fields.get(ix)?))
    }

    /// The lookup field behind a relationship's name, in any case.
    pub(crate) fn find_relationship(&self, name: &str) -> Option<(FieldIx, &Field)> {
        let ix = *self.by_relationship.get(&name.to_ascii_lowercase())?;
        Some((ix, self.fields.get(ix)?))
    }

    /// The relationship to children of this name, in any case.
    pub(crate) fn find_children(&self, name: &str) -> Option<&ChildRelationship> {
        self.children
            .iter()
            .find(|child| child.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn field(&self, ix: FieldIx) -> Option<&Field> {
        self.fields.get(ix)
    }

    /// The value of the state picklist that a record has.
    pub(crate) fn state<'a>(&'a self, cells: &[Cell]) -> Option<&'a PickValue> {
        let ix = self.state_field?;
        let state = cells.get(ix)?.as_text()?;
        self.fields
            .get(ix)?
            .values
            .iter()
            .find(|value| value.value == state)
    }
}

impl Field {
    pub(crate) fn custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// Kept apart for quick finding by value.
    pub(crate) fn indexed(&self) -> bool {
        self.unique || self.external_id || self.id_lookup
    }

    /// Whether a `WHERE` may name it.
    pub(crate) fn filterable(&self) -> bool {
        !matches!(self.kind, Kind::LongText | Kind::Address)
    }

    /// Whether an `ORDER BY` may name it.
    pub(crate) fn sortable(&self) -> bool {
        !matches!(
            self.kind,
            Kind::LongText | Kind::Address | Kind::MultiPicklist
        )
    }

    /// Whether a `GROUP BY` may name it.
    pub(crate) fn groupable(&self) -> bool {
        let number = matches!(self.kind, Kind::Double | Kind::Currency | Kind::Percent);
        self.sortable() && !number && self.kind != Kind::DateTime
    }

    pub(crate) fn is_text(&self) -> bool {
        use Kind::{
            Email, Id, LongText, MultiPicklist, Phone, Picklist, Reference, String, TextArea, Url,
        };
        matches!(
            self.kind,
            Id | String
                | TextArea
                | LongText
                | Email
                | Phone
                | Url
                | Picklist
                | MultiPicklist
                | Reference
        )
    }

    pub(crate) fn polymorphic(&self) -> bool {
        self.reference_to.len() > 1
    }

    /// How values are compared by unique fields and look-ups.
    pub(crate) fn index_key(&self, text: &str) -> String {
        if self.case_sensitive {
            text.to_owned()
        } else {
            text.to_lowercase()
        }
    }

    /// Whether null is refused by the database itself.
    pub(crate) fn nillable(&self) -> bool {
        !self.required && self.kind != Kind::Boolean && self.kind != Kind::Id
    }
}
