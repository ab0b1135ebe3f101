use super::*;
use crate::mapping::{Mapping, Table};

const TABLE: &str = "
opportunity:
  native: Opportunity
  fields:
    id: Id
    name: Name
    currency: CurrencyIsoCode
    amount: Amount
    stage: {native: StageName, values: {closed_won: Closed Won, prospecting: Prospecting}}
";

/// Values as they are; choices by table; `Label` is derived from `Name`.
struct Plain;

impl Values for Plain {
    fn to_canonical(&self, field: &MappedField, native: &Document, _: &Object) -> Document {
        match (field.field_type, native) {
            (FieldType::Choice, Document::String(value)) => field.canonical_value(value).into(),
            _ => native.clone(),
        }
    }

    fn to_native(&self, field: &MappedField, canonical: &Document) -> Result<Document, String> {
        match (field.field_type, canonical) {
            (FieldType::Choice, Document::String(value)) => field
                .native_value(value)
                .map(Document::from)
                .ok_or_else(|| "a known stage".to_owned()),
            _ => Ok(canonical.clone()),
        }
    }

    fn writable(&self, name: &str) -> Writable {
        match name {
            "Id" | "Label" => Writable::ReadOnly,
            "Name" | "Amount" | "StageName" | "CurrencyIsoCode" | "Score__c" => {
                Writable::Field(name.to_owned())
            }
            _ => Writable::Missing,
        }
    }

    fn normalize(&self, _: &str, value: &Document) -> Result<Document, String> {
        Ok(value.clone())
    }

    fn currency(&self, record: &Object) -> Option<Currency> {
        let code = record.get("CurrencyIsoCode")?.as_str()?.to_owned();
        let decimals = if code == "JPY" { 0 } else { 2 };
        Some(Currency { code, decimals })
    }

    fn sources(&self, native: &str) -> Vec<String> {
        match native {
            "Label" => vec!["Name".to_owned()],
            _ => vec![native.to_owned()],
        }
    }

    fn complete(&self, record: &mut Object) {
        if let Some(name) = record.get("Name").and_then(Document::as_str) {
            let label = format!("<{name}>");
            record.set("Label", label.into());
        }
    }
}

fn map() -> ObjectMap {
    let table: Table = yaml_serde::from_str(TABLE).unwrap();
    let mapping = Mapping::new(&table, &Table::new()).unwrap();
    mapping.object("opportunity").unwrap().clone()
}

fn object(text: &str) -> Object {
    match Document::parse(text.as_bytes()).unwrap() {
        Document::Object(object) => object,
        _ => panic!("an object"),
    }
}

fn patch(op: PatchOp, field: &str, value: &str) -> Patch {
    Patch {
        op,
        field: FieldRef(field.to_owned()),
        value: Document::parse(value.as_bytes()).unwrap(),
        package: "crm.test".to_owned(),
    }
}

fn json(object: Option<&Object>) -> String {
    object.map_or_else(
        || "none".to_owned(),
        |object| Document::from(object.clone()).to_json(),
    )
}

#[test]
fn a_change_is_merged_with_what_is_stored() {
    let map = map();
    let change = object(r#"{"StageName":"Closed Won","Score__c":7,"Name":"A"}"#);
    let stored = object(
        r#"{"StageName":"Prospecting","Amount":12500.50,"CurrencyIsoCode":"EUR","Name":"A","Label":"<A>"}"#,
    );
    let views = Parts {
        map: Some(&map),
        values: &Plain,
        kind: Kind::Update,
        change: Some(&change),
        stored: Some(&stored),
    }
    .views();
    assert_eq!(
        json(views.record.as_ref()),
        r#"{"amount":12500.50,"amount_minor":1250050,"currency":"EUR","name":"A","stage":"closed_won"}"#
    );
    assert_eq!(
        json(views.native.as_ref()),
        r#"{"Amount":12500.50,"CurrencyIsoCode":"EUR","Label":"<A>","Name":"A","Score__c":7,"StageName":"Closed Won"}"#
    );
    let changes: Vec<&str> = views.changes.keys().map(String::as_str).collect();
    assert_eq!(changes, ["native.Score__c", "stage"]);
    assert_eq!(views.changes["stage"].from, Some("prospecting".into()));
    assert!(views.unknown.is_empty());
}

#[test]
fn money_without_a_known_currency_is_unknown_in_minor_units() {
    let map = map();
    for (change, unknown) in [
        (r#"{"Amount":1}"#, vec!["amount_minor", "currency"]),
        (
            r#"{"Amount":1.5,"CurrencyIsoCode":"JPY"}"#,
            vec!["amount_minor"],
        ),
        (r#"{"Amount":null,"CurrencyIsoCode":"JPY"}"#, vec![]),
    ] {
        let change = object(change);
        let parts = Parts {
            map: Some(&map),
            values: &Plain,
            kind: Kind::Create,
            change: Some(&change),
            stored: None,
        };
        let found = parts.views().unknown;
        let found: Vec<&str> = found.iter().map(|field| field.0.as_str()).collect();
        assert_eq!(found, unknown);
    }
}

#[test]
fn a_delete_has_no_record() {
    let map = map();
    let stored = object(r#"{"Name":"A"}"#);
    let parts = Parts {
        map: Some(&map),
        values: &Plain,
        kind: Kind::Delete,
        change: None,
        stored: Some(&stored),
    };
    let views = parts.views();
    assert_eq!(
        (views.record, json(views.before.as_ref())),
        (None, r#"{"name":"A"}"#.to_owned())
    );
    assert!(matches!(
        parts.patched("opportunity", &[]),
        Err(PatchError::NoRecord)
    ));
}

#[test]
fn patches_change_the_native_side() {
    let map = map();
    let change = object(r#"{"Amount":1,"CurrencyIsoCode":"EUR"}"#);
    let parts = Parts {
        map: Some(&map),
        values: &Plain,
        kind: Kind::Create,
        change: Some(&change),
        stored: None,
    };
    let patched = |patches: &[Patch]| parts.patched("opportunity", patches);
    let same = patched(&[
        patch(PatchOp::Set, "amount", "1.0"),
        patch(PatchOp::Default, "currency", "\"USD\""),
    ]);
    assert_eq!(same.unwrap(), change);
    let done = patched(&[
        patch(PatchOp::Set, "amount_minor", "1999"),
        patch(PatchOp::Set, "stage", "\"closed_won\""),
        patch(PatchOp::Default, "native.Score__c", "3"),
        patch(PatchOp::Clear, "name", "null"),
    ])
    .unwrap();
    assert_eq!(
        json(Some(&done)),
        r#"{"Amount":19.99,"CurrencyIsoCode":"EUR","StageName":"Closed Won","Score__c":3,"Name":null}"#
    );
    let yen = patched(&[
        patch(PatchOp::Set, "amount_minor", "1999"),
        patch(PatchOp::Set, "currency", "\"JPY\""),
    ]);
    assert_eq!(
        json(Some(&yen.unwrap())),
        r#"{"Amount":1999,"CurrencyIsoCode":"JPY"}"#
    );
    for (field, value, error) in [
        ("id", "\"1\"", "the CRM sets it itself"),
        ("native.Nope", "1", "has no field `native.Nope`"),
        ("colour", "1", "has no field `colour`"),
        ("stage", "\"won\"", "a known stage"),
    ] {
        let failure = patched(&[patch(PatchOp::Set, field, value)]).unwrap_err();
        assert!(failure.to_string().contains(error), "{failure}");
    }
}

#[test]
fn a_default_needs_the_stored_value() {
    let map = map();
    let change = object(r#"{"Name":"B"}"#);
    let of = |stored: Option<&Object>| {
        let parts = Parts {
            map: Some(&map),
            values: &Plain,
            kind: Kind::Update,
            change: Some(&change),
            stored,
        };
        let patches = [patch(PatchOp::Default, "stage", "\"prospecting\"")];
        parts
            .patched("opportunity", &patches)
            .map(|change| json(Some(&change)))
    };
    assert!(matches!(of(None), Err(PatchError::NotRead { .. })));
    let empty = object(r#"{"StageName":null}"#);
    assert_eq!(
        of(Some(&empty)).unwrap(),
        r#"{"Name":"B","StageName":"Prospecting"}"#
    );
    let full = object(r#"{"StageName":"Closed Won"}"#);
    assert_eq!(of(Some(&full)).unwrap(), r#"{"Name":"B"}"#);
}

#[test]
fn reads_only_what_the_write_does_not_carry() {
    let map = map();
    let refs = |names: &[&str]| {
        FieldSet::Only(
            names
                .iter()
                .map(|name| FieldRef((*name).to_owned()))
                .collect(),
        )
    };
    let change = object(r#"{"Name":"B","Amount":1}"#);
    let of = |kind, record: FieldSet, before: FieldSet| {
        let reads = Reads {
            record,
            before,
            ..Reads::default()
        };
        wanted(Some(&map), &Plain, kind, &reads, Some(&change))
    };
    let only = |names: &[&str]| {
        Some(Fields::Only(
            names.iter().map(|name| (*name).to_owned()).collect(),
        ))
    };
    let none = FieldSet::default();
    assert_eq!(of(Kind::Create, FieldSet::All, none.clone()), None);
    assert_eq!(
        of(Kind::Update, refs(&["name", "native.Label"]), none.clone()),
        None
    );
    assert_eq!(
        of(
            Kind::Update,
            refs(&["amount_minor", "native.X"]),
            refs(&["name"])
        ),
        only(&["CurrencyIsoCode", "Name", "X"])
    );
    assert_eq!(of(Kind::Delete, refs(&["stage"]), none.clone()), None);
    assert_eq!(of(Kind::Delete, none, FieldSet::All), Some(Fields::All));
    assert_eq!(
        field_refs(Some(&map), "amount"),
        ["amount", "amount_minor", "native.amount"].map(|name| FieldRef(name.to_owned()))
    );
}
