//! What every object has, and what fields are like unless told otherwise.

use crate::salesforce::schema::{Field, Kind, PickValue};

/// A field with nothing particular about it.
pub(super) fn plain(name: &str, label: &str, kind: Kind) -> Field {
    Field {
        name: name.to_owned(),
        label: label.to_owned(),
        kind,
        length: default_length(kind),
        precision: default_precision(kind).0,
        scale: default_precision(kind).1,
        required: false,
        createable: true,
        updateable: true,
        unique: false,
        external_id: false,
        id_lookup: false,
        case_sensitive: false,
        restricted: false,
        values: Vec::new(),
        reference_to: Vec::new(),
        relationship: None,
        child_relationship: None,
        cascade: false,
        default: None,
        derived: None,
        calculated: false,
        part_of: None,
        address_prefix: String::new(),
    }
}

pub(super) fn system(name: &str, label: &str, kind: Kind) -> Field {
    let id = kind == Kind::Id;
    Field {
        createable: false,
        updateable: false,
        id_lookup: id,
        ..plain(name, label, kind)
    }
}

pub(super) fn reference(name: &str, label: &str, to: &[String], relationship: &str) -> Field {
    Field {
        reference_to: to.to_vec(),
        relationship: Some(relationship.to_owned()),
        ..plain(name, label, Kind::Reference)
    }
}

pub(super) fn audit() -> Vec<Field> {
    let user = ["User".to_owned()];
    let by = |name: &str, label: &str, relationship: &str| Field {
        createable: false,
        updateable: false,
        ..reference(name, label, &user, relationship)
    };
    vec![
        system("CreatedDate", "Created Date", Kind::DateTime),
        by("CreatedById", "Created By ID", "CreatedBy"),
        system("LastModifiedDate", "Last Modified Date", Kind::DateTime),
        by("LastModifiedById", "Last Modified By ID", "LastModifiedBy"),
        system("SystemModstamp", "System Modstamp", Kind::DateTime),
    ]
}

pub(super) fn currency_code() -> Field {
    let codes = ["EUR", "USD", "GBP", "JPY", "CHF"];
    let value = |code: &str| PickValue {
        value: code.to_owned(),
        default: code == "EUR",
        ..PickValue::default()
    };
    Field {
        restricted: true,
        length: 255,
        values: codes.iter().map(|code| value(code)).collect(),
        ..plain("CurrencyIsoCode", "Currency ISO Code", Kind::Picklist)
    }
}

pub(super) fn address(prefix: &str) -> Vec<Field> {
    let whole = format!("{prefix}Address");
    let parts = [
        ("Street", Kind::TextArea, 255),
        ("City", Kind::String, 40),
        ("State", Kind::String, 80),
        ("PostalCode", Kind::String, 20),
        ("Country", Kind::String, 80),
        ("Latitude", Kind::Double, 0),
        ("Longitude", Kind::Double, 0),
    ];
    let part = |(name, kind, length): (&str, Kind, usize)| {
        let name = format!("{prefix}{name}");
        let (precision, scale) = if kind == Kind::Double {
            (18, 15)
        } else {
            (0, 0)
        };
        let part_of = Some(whole.clone());
        Field {
            length,
            precision,
            scale,
            part_of,
            ..plain(&name, &spaced(&name), kind)
        }
    };
    let mut fields: Vec<_> = parts.into_iter().map(part).collect();
    fields.push(Field {
        address_prefix: prefix.to_owned(),
        ..system(&whole, &spaced(&whole), Kind::Address)
    });
    fields
}

pub(super) fn default_length(kind: Kind) -> usize {
    match kind {
        Kind::Id | Kind::Reference => 18,
        Kind::String | Kind::TextArea | Kind::Url | Kind::Picklist => 255,
        Kind::LongText => 32_000,
        Kind::Email => 80,
        Kind::Phone => 40,
        Kind::MultiPicklist => 4099,
        _ => 0,
    }
}

pub(super) fn default_precision(kind: Kind) -> (u32, u32) {
    match kind {
        Kind::Int => (9, 0),
        Kind::Double | Kind::Currency => (18, 2),
        Kind::Percent => (5, 2),
        _ => (0, 0),
    }
}

/// `BillingCity` → `Billing City`, `Ext_Id` → `Ext Id`.
pub(super) fn spaced(name: &str) -> String {
    let mut label = String::new();
    let mut before = ' ';
    for letter in name.chars() {
        if letter == '_' {
            label.push(' ');
        } else {
            if letter.is_uppercase() && before.is_lowercase() {
                label.push(' ');
            }
            label.push(letter);
        }
        before = letter;
    }
    label
}
