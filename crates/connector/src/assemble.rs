//! From a normalized native record to what policies see, and from patches back to it.
//!
//! A connector normalizes native names and values; this module does the rest, the same for every
//! CRM: merging a change with the stored record, canonical names and values, money, `changes`,
//! which fields must be read, and how patches apply. What only the connector knows about values,
//! it is asked through [`Values`].

use std::collections::{BTreeMap, BTreeSet};

use crmgate_domain::{
    Change, Document, FieldRef, FieldSet, Kind, Number, Object, Patch, PatchError, PatchOp, Reads,
    Views,
};

use crate::Fields;
use crate::mapping::{MappedField, ObjectMap};
use crate::vocabulary::FieldType;

#[cfg(test)]
mod tests;

/// A currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currency {
    /// ISO code.
    pub code: String,
    /// How many decimal places its minor unit has.
    pub decimals: u32,
}

impl Currency {
    /// The currency of an ISO 4217 code, whose standard says how many decimal places it has.
    #[must_use]
    pub fn of(code: &str) -> Self {
        let decimals = match code {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF"
            | "UGX" | "UYI" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            "CLF" | "UYW" => 4,
            _ => 2,
        };
        Self {
            code: code.to_owned(),
            decimals,
        }
    }
}

/// What an object lets be written under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writable {
    /// The field, in the CRM's own spelling.
    Field(String),
    /// There is such a field, but the CRM sets it itself.
    ReadOnly,
    /// There is no such field.
    Missing,
}

/// What a connector knows about the values of one object. Native values are *normalized* ones:
/// one spelling per value.
pub trait Values: Send + Sync {
    /// The canonical value of a mapped field; `record` is the native record around it. Money is a
    /// number in major units.
    fn to_canonical(&self, field: &MappedField, native: &Document, record: &Object) -> Document;

    /// The native value of a canonical one.
    ///
    /// # Errors
    /// What was expected, for people.
    fn to_native(&self, field: &MappedField, canonical: &Document) -> Result<Document, String>;

    /// Whether a field of that name, in any spelling, can be written in this operation.
    fn writable(&self, name: &str) -> Writable;

    /// A native value in the one spelling.
    ///
    /// # Errors
    /// What was expected, for people.
    fn normalize(&self, name: &str, value: &Document) -> Result<Document, String>;

    /// The currency of the record's money fields; `None` when it can't be told.
    fn currency(&self, record: &Object) -> Option<Currency>;

    /// The native fields that this field's value is made of: more than itself for compounds.
    fn sources(&self, native: &str) -> Vec<String> {
        vec![native.to_owned()]
    }

    /// Makes the fields anew that the CRM would derive from others (a full name).
    fn complete(&self, _record: &mut Object) {}
}

/// All that views are made of.
pub struct Parts<'a> {
    /// The object's mapping, where it has one.
    pub map: Option<&'a ObjectMap>,
    /// The object's values.
    pub values: &'a dyn Values,
    /// What is done.
    pub kind: Kind,
    /// The normalized native change.
    pub change: Option<&'a Object>,
    /// The normalized native record as far as it was read.
    pub stored: Option<&'a Object>,
}

impl Parts<'_> {
    /// The views, without related records.
    #[must_use]
    pub fn views(&self) -> Views {
        let mut views = Views::default();
        if let Some(stored) = self.stored {
            views.before = Some(self.canonical(stored, &mut views.unknown));
            views.native_before = Some(sorted(stored.clone()));
        }
        if self.kind == Kind::Delete {
            return views;
        }
        let after = self.after();
        let record = self.canonical(&after, &mut views.unknown);
        views.changes = self.changes(&after, &record, views.before.as_ref());
        views.record = Some(record);
        views.native = Some(sorted(after));
        views
    }

    /// The native record after the write, as far as it is known.
    #[must_use]
    pub fn after(&self) -> Object {
        let mut after = self.stored.cloned().unwrap_or_default();
        for (name, value) in self.change.into_iter().flat_map(Object::iter) {
            after.set(name, value.clone());
        }
        self.values.complete(&mut after);
        after
    }

    fn canonical(&self, native: &Object, unknown: &mut BTreeSet<FieldRef>) -> Object {
        let mut record = Object::new();
        let currency = self.values.currency(native);
        let fields = self.map.into_iter().flat_map(ObjectMap::fields);
        for field in fields {
            let Some(value) = native.get(&field.native) else {
                continue;
            };
            let canonical = self.values.to_canonical(field, value, native);
            if field.field_type == FieldType::Money {
                let name = minor(&field.canonical);
                match minor_units(&canonical, currency.as_ref()) {
                    Some(units) => record.set(&name, units),
                    None => {
                        unknown.insert(FieldRef(name));
                    }
                }
                match &currency {
                    Some(currency) => record.set("currency", currency.code.as_str().into()),
                    None => {
                        unknown.insert(FieldRef("currency".to_owned()));
                    }
                }
            }
            record.set(&field.canonical, canonical);
        }
        sorted(record)
    }

    fn changes(
        &self,
        after: &Object,
        record: &Object,
        before: Option<&Object>,
    ) -> BTreeMap<String, Change> {
        let mut changes = BTreeMap::new();
        for (name, value) in after.iter() {
            let from = self.stored.and_then(|stored| stored.get(name));
            let asked = self.change.is_some_and(|change| change.contains(name));
            // What a stored record shows beside the change (its id) is no change.
            let added = from.is_none() && !asked && self.kind != Kind::Create;
            if from == Some(value) || added {
                continue;
            }
            let Some(field) = self.map.and_then(|map| map.field_by_native(name)) else {
                let change = Change {
                    from: from.cloned(),
                    to: value.clone(),
                };
                changes.insert(format!("native.{name}"), change);
                continue;
            };
            for canonical in canonical_names(field) {
                if let Some(to) = record.get(&canonical) {
                    let from = before.and_then(|before| before.get(&canonical)).cloned();
                    let to = to.clone();
                    changes.insert(canonical, Change { from, to });
                }
            }
        }
        // What follows from other fields: a stage from a state.
        for (name, to) in record.iter() {
            let from = before.and_then(|before| before.get(name));
            if from.is_some_and(|from| from != to) && !changes.contains_key(name) {
                let (from, to) = (from.cloned(), to.clone());
                changes.insert(name.to_owned(), Change { from, to });
            }
        }
        changes
    }

    /// The change with the patches applied in order.
    ///
    /// # Errors
    /// When a patch names a field the object does not have, a value it cannot hold, or a default
    /// for a field whose stored value was not read.
    pub fn patched(&self, object: &str, patches: &[Patch]) -> Result<Object, PatchError> {
        let mut change = self.change.cloned().ok_or(PatchError::NoRecord)?;
        // Minor units come last: what they are depends on the currency, which may be patched too.
        let in_minor_units = |patch: &&Patch| {
            let mapped = patch.field.canonical().and_then(|name| self.mapped(name));
            mapped.is_some_and(|(_, in_minor_units)| in_minor_units)
        };
        let major = patches.iter().filter(|patch| !in_minor_units(patch));
        for patch in major.chain(patches.iter().filter(in_minor_units)) {
            let so_far = Parts {
                change: Some(&change),
                ..*self
            };
            let (name, value) = so_far.native_patch(object, patch)?;
            let present = so_far.after();
            let present = present.get(&name);
            if patch.op == PatchOp::Default {
                let known = present.is_some() || self.kind == Kind::Create;
                if !known {
                    return Err(PatchError::NotRead {
                        field: patch.field.clone(),
                    });
                }
                if present.is_some_and(|value| !value.is_null()) {
                    continue;
                }
            }
            if present != Some(&value) {
                change.set(&name, value);
            }
        }
        Ok(change)
    }

    fn native_patch(&self, object: &str, patch: &Patch) -> Result<(String, Document), PatchError> {
        let missing = || PatchError::NoSuchField {
            field: patch.field.clone(),
            object: object.to_owned(),
        };
        let wrong = |expected: String| PatchError::WrongValue {
            field: patch.field.clone(),
            expected,
        };
        let value = if patch.op == PatchOp::Clear {
            &Document::Null
        } else {
            &patch.value
        };
        let (native, mapped) = if let Some(native) = patch.field.native() {
            (native, None)
        } else {
            let (field, in_minor_units) = self.mapped(&patch.field.0).ok_or_else(missing)?;
            (field.native.as_str(), Some((field, in_minor_units)))
        };
        let name = match self.values.writable(native) {
            Writable::Field(name) => name,
            Writable::Missing => return Err(missing()),
            Writable::ReadOnly => return Err(wrong("none, the CRM sets it itself".into())),
        };
        let value = match mapped {
            _ if value.is_null() => Document::Null,
            None => self.values.normalize(&name, value).map_err(wrong)?,
            Some((field, false)) => self.values.to_native(field, value).map_err(wrong)?,
            Some((field, true)) => {
                let major = self
                    .major_units(value)
                    .ok_or_else(|| wrong("whole minor units of a currency that is known".into()))?;
                self.values.to_native(field, &major).map_err(wrong)?
            }
        };
        Ok((name, value))
    }

    /// The mapped field of a canonical name, and whether the name is its minor-units form.
    fn mapped(&self, canonical: &str) -> Option<(&MappedField, bool)> {
        let map = self.map?;
        if let Some(field) = map.field(canonical) {
            return Some((field, false));
        }
        let field = map.field(canonical.strip_suffix("_minor")?)?;
        (field.field_type == FieldType::Money).then_some((field, true))
    }

    fn major_units(&self, minor: &Document) -> Option<Document> {
        let Document::Number(minor) = minor else {
            return None;
        };
        let decimals = self.values.currency(&self.after())?.decimals;
        let number = Number::parse(&format!("{}e-{decimals}", minor.as_i64()?))?;
        Some(Document::Number(number.normalized()))
    }
}

/// Which native fields of the stored record the governing packages need for this operation;
/// `None` when they need none.
#[must_use]
pub fn wanted(
    map: Option<&ObjectMap>,
    values: &dyn Values,
    kind: Kind,
    reads: &Reads,
    change: Option<&Object>,
) -> Option<Fields> {
    if kind == Kind::Create {
        return None;
    }
    let record = if kind == Kind::Delete {
        &FieldSet::default()
    } else {
        &reads.record
    };
    let (FieldSet::Only(before), FieldSet::Only(record)) = (&reads.before, record) else {
        return Some(Fields::All);
    };
    let sources = |field: &FieldRef| {
        native_names(map, field)
            .into_iter()
            .flat_map(|name| values.sources(&name))
            .collect::<Vec<_>>()
    };
    let mut names: BTreeSet<String> = before.iter().flat_map(sources).collect();
    names.extend(
        record
            .iter()
            .flat_map(sources)
            .filter(|name| !change.is_some_and(|change| change.contains(name))),
    );
    let lookups = reads.related.iter().filter_map(|name| map?.field(name));
    names.extend(
        lookups
            .map(|field| field.native.clone())
            .filter(|name| !change.is_some_and(|change| change.contains(name))),
    );
    (!names.is_empty()).then_some(Fields::Only(names))
}

/// The native fields a canonical or native name stands for; money stands for its currency, too.
#[must_use]
pub fn native_names(map: Option<&ObjectMap>, field: &FieldRef) -> Vec<String> {
    let Some(canonical) = field.canonical() else {
        return field.native().map(str::to_owned).into_iter().collect();
    };
    let Some(map) = map else {
        return Vec::new();
    };
    let plain = map.field(canonical);
    let minor = || canonical.strip_suffix("_minor").and_then(|c| map.field(c));
    let Some(field) = plain.or_else(minor) else {
        return Vec::new();
    };
    let currency = (field.field_type == FieldType::Money)
        .then(|| map.field("currency"))
        .flatten();
    [Some(field), currency]
        .into_iter()
        .flatten()
        .map(|field| field.native.clone())
        .collect()
}

/// A related record as policies see it: canonical names, and all of it under `native`.
#[must_use]
pub fn related_record(map: Option<&ObjectMap>, values: &dyn Values, stored: &Object) -> Document {
    let parts = Parts {
        map,
        values,
        kind: Kind::Read,
        change: None,
        stored: Some(stored),
    };
    let views = parts.views();
    let mut record = views.before.unwrap_or_default();
    record.set("native", views.native_before.unwrap_or_default().into());
    record.into()
}

/// Every name by which a policy could read a native field.
#[must_use]
pub fn field_refs(map: Option<&ObjectMap>, native: &str) -> Vec<FieldRef> {
    let mapped = map.and_then(|map| map.field_by_native(native));
    let mut refs: Vec<FieldRef> = mapped
        .into_iter()
        .flat_map(canonical_names)
        .map(FieldRef)
        .collect();
    refs.push(FieldRef(format!("native.{native}")));
    refs
}

fn canonical_names(field: &MappedField) -> Vec<String> {
    let mut names = vec![field.canonical.clone()];
    if field.field_type == FieldType::Money {
        names.push(minor(&field.canonical));
    }
    names
}

fn minor(canonical: &str) -> String {
    format!("{canonical}_minor")
}

fn minor_units(major: &Document, currency: Option<&Currency>) -> Option<Document> {
    match major {
        Document::Null => Some(Document::Null),
        Document::Number(number) => number.scaled(currency?.decimals).map(Document::from),
        _ => None,
    }
}

/// One order of members, so that two spellings of a write give equal views.
fn sorted(object: Object) -> Object {
    let members: BTreeMap<String, Document> = object.into_iter().collect();
    members.into_iter().collect()
}
