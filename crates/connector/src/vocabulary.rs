//! The canonical vocabulary, which `vocabulary.yaml` beside this crate's sources holds.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// What a canonical field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the vocabulary file's head explains each")]
pub enum FieldType {
    Text,
    LongText,
    Email,
    Phone,
    Url,
    Boolean,
    Integer,
    Decimal,
    Percent,
    Money,
    Date,
    Datetime,
    Choice,
    Choices,
    Lookup,
}

/// Who a value is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataClass {
    /// The business.
    #[default]
    Business,
    /// A person.
    Personal,
    /// A person, and it could hurt.
    Sensitive,
    /// Nobody: the CRM sets it.
    System,
}

/// One canonical field.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// What it holds.
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// Who it is about.
    #[serde(default)]
    pub class: DataClass,
    /// The stable names of a choice.
    #[serde(default)]
    pub values: Vec<String>,
    /// The canonical objects a lookup can point to.
    #[serde(default)]
    pub to: Vec<String>,
}

/// All canonical objects and fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vocabulary {
    common: BTreeMap<String, Field>,
    objects: BTreeMap<String, BTreeMap<String, Field>>,
}

static STANDARD: LazyLock<Vocabulary> = LazyLock::new(|| {
    // A test parses the file, so that the empty one is never seen.
    yaml_serde::from_str(include_str!("../vocabulary.yaml")).unwrap_or_else(|_| Vocabulary {
        common: BTreeMap::new(),
        objects: BTreeMap::new(),
    })
});

impl Vocabulary {
    /// The vocabulary of this version.
    #[must_use]
    pub fn standard() -> &'static Self {
        &STANDARD
    }

    /// A field of an object; fields common to all objects included.
    #[must_use]
    pub fn field(&self, object: &str, field: &str) -> Option<&Field> {
        self.objects
            .get(object)?
            .get(field)
            .or_else(|| self.common.get(field))
    }

    /// The canonical objects.
    pub fn objects(&self) -> impl Iterator<Item = &str> {
        self.objects.keys().map(String::as_str)
    }

    /// The fields of an object, the common ones included.
    pub fn fields(&self, object: &str) -> impl Iterator<Item = (&str, &Field)> {
        let own = self.objects.get(object);
        let common = own.map(|_| &self.common);
        common
            .into_iter()
            .flatten()
            .chain(own.into_iter().flatten())
            .map(|(name, field)| (name.as_str(), field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_parses_and_lookups_point_to_objects() {
        let vocabulary: Vocabulary =
            yaml_serde::from_str(include_str!("../vocabulary.yaml")).unwrap();
        for object in vocabulary.objects() {
            for (name, field) in vocabulary.fields(object) {
                assert_eq!(
                    matches!(field.field_type, FieldType::Choice | FieldType::Choices),
                    !field.values.is_empty(),
                    "{object}.{name}"
                );
                assert_eq!(
                    field.field_type == FieldType::Lookup,
                    !field.to.is_empty(),
                    "{object}.{name}"
                );
                for target in &field.to {
                    assert!(
                        vocabulary.objects.contains_key(target) || target == "team",
                        "{object}.{name} -> {target}"
                    );
                }
            }
        }
        assert!(vocabulary.field("contact", "owner").is_some());
    }
}
