use std::sync::Arc;

use crmgate_connector::assemble::Values as _;
use crmgate_connector::mapping::{Mapping, Table};
use proptest::prelude::*;

use super::*;

fn describe() -> Describe {
    let fields: Vec<String> = [
        ("Id", "id"),
        ("OwnerId", "reference"),
        ("AccountId", "reference"),
        ("FirstName", "string"),
        ("LastName", "string"),
        ("Name", "string"),
        ("StageName", "picklist"),
        ("Region__c", "multipicklist"),
        ("Amount", "currency"),
        ("CloseDate", "date"),
        ("CreatedDate", "datetime"),
        ("CurrencyIsoCode", "picklist"),
        ("Discount__c", "percent"),
        ("Blocked__c", "boolean"),
        ("NumberOfEmployees", "int"),
        ("MailingAddress", "address"),
        ("MailingCity", "string"),
        ("MailingPostalCode", "string"),
    ]
    .into_iter()
    .map(|(name, kind)| {
        let more = match name {
            "FirstName" | "LastName" | "Name" => r#","compoundFieldName":"Name""#,
            "MailingCity" | "MailingPostalCode" => r#","compoundFieldName":"MailingAddress""#,
            "AccountId" => r#","referenceTo":["Account"]"#,
            "OwnerId" => r#","referenceTo":["Group","User"]"#,
            "StageName" => r#","picklistValues":[{"value":"Closed Won"},{"value":"Prospecting"}]"#,
            _ => "",
        };
        format!(
            r#"{{"name":"{name}","type":"{kind}","createable":true,"updateable":{}{more}}}"#,
            name != "Id"
        )
    })
    .collect();
    let text = format!(
        r#"{{"name":"Opportunity","fields":[{}]}}"#,
        fields.join(",")
    );
    Describe::parse(text.as_bytes()).unwrap()
}

fn values(kind: Kind) -> ObjectValues {
    let table: Table = yaml_serde::from_str(include_str!("../../mapping.yaml")).unwrap();
    ObjectValues {
        describe: Arc::new(describe()),
        mapping: Arc::new(Mapping::new(&table, &Table::new()).unwrap()),
        kind,
        record_id: None,
        default_currency: Some("EUR".to_owned()),
    }
}

fn parse(text: &str) -> Document {
    Document::parse(text.as_bytes()).unwrap()
}

fn object(text: &str) -> Object {
    parse(text).as_object().unwrap().clone()
}

#[test]
fn lookups_name_what_they_point_to() {
    let values = values(Kind::Create);
    let mapping = Arc::clone(&values.mapping);
    let map = mapping.object("opportunity").unwrap();
    let canonical = |field: &str, id: &str| {
        let field = map.field(field).unwrap();
        values
            .to_canonical(field, &id.into(), &Object::new())
            .to_json()
    };
    assert_eq!(
        canonical("account", "a01"),
        r#"{"type":"account","id":"a01"}"#
    );
    assert_eq!(canonical("owner", "005x"), r#"{"type":"user","id":"005x"}"#);
    assert_eq!(canonical("owner", "00Gx"), r#"{"type":"team","id":"00Gx"}"#);
    assert_eq!(
        canonical("owner", "a0Bx"),
        r#"{"type":"native:a0B","id":"a0Bx"}"#
    );
}

#[test]
fn compounds_follow_their_parts() {
    let complete = |kind, text: &str| {
        let mut record = object(text);
        values(kind).complete(&mut record);
        Document::from(record).to_json()
    };
    assert_eq!(
        complete(Kind::Create, r#"{"LastName":"B"}"#),
        r#"{"LastName":"B","Name":"B"}"#
    );
    assert_eq!(
        complete(Kind::Update, r#"{"LastName":"B"}"#),
        r#"{"LastName":"B"}"#
    );
    assert_eq!(
        complete(
            Kind::Update,
            r#"{"LastName":"B","FirstName":"A","Name":"old"}"#
        ),
        r#"{"LastName":"B","FirstName":"A","Name":"A B"}"#
    );
    assert_eq!(
        complete(Kind::Create, r#"{"MailingCity":"Bonn"}"#),
        r#"{"MailingCity":"Bonn","MailingAddress":{"city":"Bonn","postalCode":null}}"#
    );
    assert_eq!(
        values(Kind::Update).sources("mailingaddress"),
        ["MailingAddress", "MailingCity", "MailingPostalCode"]
    );
}

#[test]
fn currencies_are_known_or_not() {
    let code = |kind, text: &str| {
        let currency = values(kind).currency(&object(text));
        currency.map(|currency| format!("{} {}", currency.code, currency.decimals))
    };
    let jpy = r#"{"CurrencyIsoCode":"JPY"}"#;
    assert_eq!(code(Kind::Update, jpy).as_deref(), Some("JPY 0"));
    assert_eq!(code(Kind::Create, "{}").as_deref(), Some("EUR 2"));
    assert_eq!(
        code(Kind::Update, "{}"),
        None,
        "the stored one was not read"
    );
}

#[test]
fn a_value_that_fits_none_says_what_would() {
    let values = values(Kind::Create);
    for (field, value, expected) in [
        ("StageName", "{}", "a text, not an object"),
        ("Blocked__c", "\"yes\"", "`true` or `false`"),
        ("NumberOfEmployees", "1.5", "a whole number"),
        ("CloseDate", "\"2026-02-30\"", "a date, `2026-01-31`"),
        (
            "CreatedDate",
            "\"yesterday\"",
            "a moment, `2026-01-31T10:00:00Z`",
        ),
        ("OwnerId", "\"me\"", "a record id of 15 or 18 characters"),
    ] {
        assert_eq!(
            values.normalize(field, &parse(value)).unwrap_err(),
            expected
        );
    }
}

fn native() -> impl Strategy<Value = (&'static str, Document)> {
    let second =
        (0_i64..4_000_000_000).prop_map(|second| jiff::Timestamp::from_second(second).unwrap());
    let id = "(001|005|00G|a0B)[a-zA-Z0-9]{12}".prop_map(|id| id::normalize(&id).unwrap());
    prop_oneof![
        ("[a-z ]{0,9}").prop_map(|text| ("name", Document::from(text))),
        prop::sample::select(vec![
            "Closed Won",
            "closed won",
            "Prospecting",
            "Elsewhere",
            "native:x"
        ])
        .prop_map(|stage| ("stage", stage.into())),
        any::<f64>().prop_filter_map("finite", |n| Number::from_f64(n)
            .map(|n| ("amount", Document::Number(n)))),
        second
            .clone()
            .prop_map(|at| ("created_at", at.to_string().into())),
        second.prop_map(|at| (
            "close_date",
            at.to_zoned(jiff::tz::TimeZone::UTC)
                .date()
                .to_string()
                .into()
        )),
        id.clone().prop_map(|id| ("owner", id.into())),
        id.prop_map(|id| ("account", id.into())),
        Just(("discount_percent", Document::Null)),
    ]
}

#[test]
fn control_characters_at_the_ends_hide_nothing() {
    let describe = describe();
    let field = describe.field("LastName").unwrap();
    for text in [
        "\u{1}Smuggled",
        "Smuggled\0",
        " \u{1f} Smuggled",
        "Smuggled\u{7f} ",
    ] {
        assert!(normalize(field, &text.into()).is_err(), "{text:?}");
    }
    assert_eq!(normalize(field, &" \tA\nB\r\n".into()), Ok("A\nB".into()));
}

proptest! {
    #[test]
    fn native_to_canonical_and_back_is_the_identity((name, value) in native()) {
        let values = values(Kind::Create);
        let mapping = Arc::clone(&values.mapping);
        let field = mapping.object("opportunity").unwrap().field(name).unwrap();
        let value = values.normalize(&field.native, &value).unwrap();
        let canonical = values.to_canonical(field, &value, &Object::new());
        prop_assert_eq!(values.to_native(field, &canonical).unwrap(), value);
    }

    #[test]
    fn choices_are_a_set(picked in prop::sample::subsequence(vec!["EMEA", "APAC", "Other"], 1..=3).prop_shuffle()) {
        let values = values(Kind::Create);
        let mapping = Arc::clone(&values.mapping);
        let field = mapping.object("account").unwrap().field("regions").unwrap();
        let value = values.normalize("Region__c", &picked.join(" ; ").into()).unwrap();
        let canonical = values.to_canonical(field, &value, &Object::new());
        prop_assert_eq!(values.to_native(field, &canonical).unwrap(), value);
    }

    #[test]
    fn normalizing_twice_is_normalizing_once(place in 0_usize..18, text in "[-0-9TZ:.a-z; ]{0,26}") {
        let values = values(Kind::Create);
        let field = values.describe.fields().nth(place).unwrap();
        for value in [Document::from(text.as_str()), Document::parse(text.as_bytes()).unwrap_or_default()] {
            if let Ok(once) = normalize(field, &value) {
                prop_assert_eq!(normalize(field, &once), Ok(once));
            }
        }
    }
}
