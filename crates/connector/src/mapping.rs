//! Mapping tables: canonical names and values to a CRM's own.
//!
//! Each connector keeps its table in a `mapping.yaml`; a connection can extend it in its
//! configuration with the same form.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use crate::vocabulary::{DataClass, FieldType, Vocabulary};

/// One object's part of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectEntry {
    /// The CRM's own name of the object; may be left out when extending.
    #[serde(default)]
    pub native: Option<String>,
    /// Canonical field to its entry.
    #[serde(default)]
    pub fields: BTreeMap<String, FieldEntry>,
}

/// One field's part of a table: a bare native name, or more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum FieldEntry {
    /// The native name.
    Name(String),
    /// The native name and how its values map.
    Full(FieldMap),
}

/// How one canonical field maps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldMap {
    /// The native name.
    pub native: String,
    /// Stable value name to the CRM's own value, as text.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// A type of its own, for fields outside the vocabulary (extensions).
    #[serde(default, rename = "type")]
    pub field_type: Option<FieldType>,
    /// A data class of its own.
    #[serde(default)]
    pub class: Option<DataClass>,
}

/// A table as written: canonical object name to its entry.
pub type Table = BTreeMap<String, ObjectEntry>;

/// A table that contradicts itself or the vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct BadMapping {
    /// `contact.stage`.
    pub place: String,
    /// What is wrong and what was expected.
    pub problem: String,
}

/// A checked mapping, both ways.
#[derive(Debug, Clone)]
pub struct Mapping {
    objects: BTreeMap<String, ObjectMap>,
    by_native: HashMap<String, String>,
}

/// One object's mapping, both ways.
#[derive(Debug, Clone)]
pub struct ObjectMap {
    /// Canonical name.
    pub canonical: String,
    /// The CRM's own name.
    pub native: String,
    fields: BTreeMap<String, MappedField>,
    by_native: HashMap<String, String>,
}

/// One field's mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedField {
    /// Canonical name.
    pub canonical: String,
    /// The CRM's own name.
    pub native: String,
    /// What it holds, canonically.
    pub field_type: FieldType,
    /// Who it is about.
    pub class: DataClass,
    /// Stable value name to native value.
    pub values: BTreeMap<String, String>,
}

impl MappedField {
    /// The stable name of a native choice value: itself as `native:<value>` where none is mapped.
    #[must_use]
    pub fn canonical_value(&self, native: &str) -> String {
        let known = self
            .values
            .iter()
            .find(|(_, value)| value.as_str() == native);
        known.map_or_else(|| format!("native:{native}"), |(name, _)| name.clone())
    }

    /// The native value of a stable name or of `native:<value>`; `None` for a name not mapped.
    #[must_use]
    pub fn native_value(&self, canonical: &str) -> Option<String> {
        if let Some(native) = canonical.strip_prefix("native:") {
            return Some(native.to_owned());
        }
        self.values.get(canonical).cloned()
    }
}

impl ObjectMap {
    /// A field by its canonical name.
    #[must_use]
    pub fn field(&self, canonical: &str) -> Option<&MappedField> {
        self.fields.get(canonical)
    }

    /// A field by its native name, in any ASCII case.
    #[must_use]
    pub fn field_by_native(&self, native: &str) -> Option<&MappedField> {
        self.fields
            .get(self.by_native.get(&native.to_ascii_lowercase())?)
    }

    /// All fields, by canonical name.
    pub fn fields(&self) -> impl Iterator<Item = &MappedField> {
        self.fields.values()
    }
}

impl Mapping {
    /// Checks a connector's table, extended by a connection's own, against the vocabulary.
    ///
    /// # Errors
    /// All contradictions together.
    pub fn new(table: &Table, extension: &Table) -> Result<Self, Vec<BadMapping>> {
        let mut merged = table.clone();
        for (object, entry) in extension {
            let target = merged.entry(object.clone()).or_default();
            if entry.native.is_some() {
                target.native.clone_from(&entry.native);
            }
            target.fields.extend(entry.fields.clone());
        }
        let mut bad = Vec::new();
        let mut objects = BTreeMap::new();
        let mut by_native = HashMap::new();
        for (name, entry) in &merged {
            let object = object_map(name, entry, &mut bad);
            by_native.insert(object.native.to_ascii_lowercase(), name.clone());
            objects.insert(name.clone(), object);
        }
        if bad.is_empty() {
            Ok(Self { objects, by_native })
        } else {
            Err(bad)
        }
    }

    /// An object by its canonical name.
    #[must_use]
    pub fn object(&self, canonical: &str) -> Option<&ObjectMap> {
        self.objects.get(canonical)
    }

    /// An object by the CRM's own name, in any ASCII case.
    #[must_use]
    pub fn object_by_native(&self, native: &str) -> Option<&ObjectMap> {
        self.objects
            .get(self.by_native.get(&native.to_ascii_lowercase())?)
    }

    /// All objects.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectMap> {
        self.objects.values()
    }
}

fn object_map(name: &str, entry: &ObjectEntry, bad: &mut Vec<BadMapping>) -> ObjectMap {
    let vocabulary = Vocabulary::standard();
    let native = entry.native.clone().unwrap_or_else(|| {
        let problem = "expected `native`, the CRM's own name of the object".to_owned();
        bad.push(BadMapping {
            place: name.to_owned(),
            problem,
        });
        String::new()
    });
    let mut fields = BTreeMap::new();
    let mut by_native = HashMap::new();
    for (canonical, entry) in &entry.fields {
        let place = format!("{name}.{canonical}");
        let map = match entry {
            FieldEntry::Name(native) => FieldMap {
                native: native.clone(),
                ..FieldMap::default()
            },
            FieldEntry::Full(map) => map.clone(),
        };
        let known = vocabulary.field(name, canonical);
        let Some(field_type) = map.field_type.or(known.map(|field| field.field_type)) else {
            let problem = "not in the vocabulary: expected `type` to say what it holds".to_owned();
            bad.push(BadMapping { place, problem });
            continue;
        };
        if let Some(known) = known.filter(|known| !known.values.is_empty()) {
            for value in map
                .values
                .keys()
                .filter(|value| !known.values.contains(value))
            {
                let problem = format!(
                    "`{value}` is no value of it; expected one of: {}",
                    known.values.join(", ")
                );
                bad.push(BadMapping {
                    place: place.clone(),
                    problem,
                });
            }
        }
        let class = map
            .class
            .or(known.map(|field| field.class))
            .unwrap_or_default();
        if let Some(other) = by_native.insert(map.native.to_ascii_lowercase(), canonical.clone()) {
            let problem = format!("`{}` is already mapped by `{other}`", map.native);
            bad.push(BadMapping { place, problem });
        }
        let mapped = MappedField {
            canonical: canonical.clone(),
            native: map.native,
            field_type,
            class,
            values: map.values,
        };
        fields.insert(canonical.clone(), mapped);
    }
    ObjectMap {
        canonical: name.to_owned(),
        native,
        fields,
        by_native,
    }
}
