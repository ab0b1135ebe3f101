//! What a policy can know of: the vocabulary, the mappings of each kind of CRM, and those of the
//! connections of a configuration.

use crmgate_connector::mapping::{FieldEntry, Table};
use crmgate_connector::vocabulary::{DataClass, Field, FieldType, Vocabulary};
use crmgate_lint::{Catalogue, FieldKind};

use crate::config::Config;
use crate::wiring::connections::KINDS;

/// Everything that is known, with the connections' own mappings where there is a configuration.
pub(super) fn catalogue(config: Option<&Config>) -> Catalogue {
    let mut catalogue = Catalogue::default();
    let vocabulary = Vocabulary::standard();
    for object in vocabulary.objects() {
        let known = catalogue.objects.entry(object.to_owned()).or_default();
        for (name, described) in vocabulary.fields(object) {
            known
                .fields
                .insert(name.to_owned(), of_vocabulary(described));
        }
    }
    for kind in KINDS {
        catalogue.systems.insert(kind.system().to_owned());
        add(&mut catalogue, kind.system(), &kind.sample().table);
    }
    for (name, connection) in config.iter().flat_map(|config| &config.connections) {
        catalogue.connections.insert(name.to_string());
        // What is malformed is told where the connection is made.
        let table = connection.settings.get("mapping").cloned();
        let table: Option<Table> = table.and_then(|table| serde_json::from_value(table).ok());
        add(
            &mut catalogue,
            &connection.system,
            &table.unwrap_or_default(),
        );
    }
    catalogue
}

fn of_vocabulary(described: &Field) -> crmgate_lint::Field {
    crmgate_lint::Field {
        kind: kind(described.field_type),
        personal: is_personal(described.class),
        values: described.values.iter().cloned().collect(),
        to: described.to.iter().cloned().collect(),
        systems: [].into(),
    }
}

/// Adds a table's names.
fn add(catalogue: &mut Catalogue, system: &str, table: &Table) {
    for (object, entry) in table {
        let known = catalogue.objects.entry(object.clone()).or_default();
        if let Some(native) = &entry.native {
            known.natives.insert(system.to_owned(), native.clone());
        }
        for (name, entry) in &entry.fields {
            let (native, map) = match entry {
                FieldEntry::Name(native) => (native, None),
                FieldEntry::Full(map) => (&map.native, Some(map)),
            };
            // Beyond the vocabulary a table says itself what a field holds.
            let own = map.and_then(|map| {
                Some(crmgate_lint::Field {
                    kind: kind(map.field_type?),
                    personal: map.class.is_some_and(is_personal),
                    values: map.values.keys().cloned().collect(),
                    to: [].into(),
                    systems: [].into(),
                })
            });
            if let Some(own) = own {
                known.fields.entry(name.clone()).or_insert(own);
            }
            if let Some(field) = known.fields.get_mut(name) {
                field.systems.insert(system.to_owned(), native.clone());
            }
        }
    }
}

const fn is_personal(class: DataClass) -> bool {
    matches!(class, DataClass::Personal | DataClass::Sensitive)
}

const fn kind(field_type: FieldType) -> FieldKind {
    match field_type {
        FieldType::Text => FieldKind::Text,
        FieldType::LongText => FieldKind::LongText,
        FieldType::Email => FieldKind::Email,
        FieldType::Phone => FieldKind::Phone,
        FieldType::Url => FieldKind::Url,
        FieldType::Boolean => FieldKind::Boolean,
        FieldType::Integer => FieldKind::Integer,
        FieldType::Decimal => FieldKind::Decimal,
        FieldType::Percent => FieldKind::Percent,
        FieldType::Money => FieldKind::Money,
        FieldType::Date => FieldKind::Date,
        FieldType::Datetime => FieldKind::Datetime,
        FieldType::Choice => FieldKind::Choice,
        FieldType::Choices => FieldKind::Choices,
        FieldType::Lookup => FieldKind::Lookup,
    }
}
