//! The catalogue of the vocabulary and of both connectors' mappings, read from their files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crmgate_lint::{Catalogue, Field, FieldKind, Object};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vocabulary {
    common: BTreeMap<String, Described>,
    objects: BTreeMap<String, BTreeMap<String, Described>>,
}

#[derive(Deserialize, Clone)]
struct Described {
    #[serde(rename = "type")]
    kind: FieldKind,
    #[serde(default)]
    class: String,
    #[serde(default)]
    values: BTreeSet<String>,
    #[serde(default)]
    to: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Mapped {
    native: String,
    fields: BTreeMap<String, Native>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Native {
    Name(String),
    Full { native: String },
}

fn read<T: for<'a> Deserialize<'a>>(path: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    yaml_serde::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// All that the shipped files know.
pub(crate) fn catalogue() -> Catalogue {
    let vocabulary: Vocabulary = read("crates/connector/vocabulary.yaml");
    let mut catalogue = Catalogue::default();
    for (name, fields) in &vocabulary.objects {
        let all = vocabulary.common.iter().chain(fields);
        let fields = all.map(|(name, field)| {
            let field = field.clone();
            let known = Field {
                kind: field.kind,
                personal: matches!(field.class.as_str(), "personal" | "sensitive"),
                values: field.values,
                to: field.to,
                systems: BTreeMap::new(),
            };
            (name.clone(), known)
        });
        let object = Object {
            fields: fields.collect(),
            natives: BTreeMap::new(),
        };
        catalogue.objects.insert(name.clone(), object);
    }
    for system in ["salesforce", "dynamics"] {
        let table: BTreeMap<String, Mapped> = read(&format!("connectors/{system}/mapping.yaml"));
        catalogue.systems.insert(system.to_owned());
        for (object, mapped) in table {
            let known = catalogue.objects.get_mut(&object).unwrap();
            known.natives.insert(system.to_owned(), mapped.native);
            for (field, native) in mapped.fields {
                let (Native::Name(native) | Native::Full { native }) = native;
                let Some(field) = known.fields.get_mut(&field) else {
                    continue;
                };
                field.systems.insert(system.to_owned(), native);
            }
        }
    }
    catalogue
}
