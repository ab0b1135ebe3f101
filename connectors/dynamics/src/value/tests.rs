use proptest::prelude::*;

use super::*;
use crate::table::sample::KINDS;

fn json(text: &str) -> Document {
    Document::parse(text.as_bytes()).unwrap()
}

#[test]
fn spellings_of_one_value_are_one_value() {
    for (kind, spellings) in [
        (ColumnKind::Text, vec!["null", "\"\""]),
        (
            ColumnKind::Integer,
            vec!["7", "\"7\"", "\" 7\"", "7.0", "70e-1"],
        ),
        (
            ColumnKind::Money,
            vec!["1250.5", "1250.50", "1.2505e3", "12505e-1"],
        ),
        (ColumnKind::Boolean, vec!["true", "\"True\"", "\"true\""]),
        (
            ColumnKind::Choices,
            vec!["\"1,3\"", "\"3, 1\"", "\" 1 ,3,3\""],
        ),
        (ColumnKind::Choices, vec!["null", "\"\"", "\",\""]),
        (
            ColumnKind::DateTime,
            vec![
                "\"2026-01-31T12:00:00Z\"",
                "\"2026-01-31T12:00:00.9Z\"",
                "\"2026-01-31T13:00:00+01:00\"",
                "\"2026-01-31T12:00:00\"",
            ],
        ),
        (
            ColumnKind::Id,
            vec![
                "\"5D8A0E4C-0000-4000-8000-000000000001\"",
                "\"{5d8a0e4c-0000-4000-8000-000000000001}\"",
            ],
        ),
    ] {
        let normal: Vec<String> = spellings
            .iter()
            .map(|text| normalize(kind, &json(text)).unwrap().to_json())
            .collect();
        assert!(
            normal.iter().all(|one| *one == normal[0]),
            "{kind:?}: {normal:?}"
        );
    }
}

#[test]
fn what_does_not_fit_says_what_would() {
    for (kind, value, expected) in [
        (ColumnKind::Text, "5", "expected text, found a number"),
        (
            ColumnKind::Integer,
            "1.5",
            "expected a whole number, found a number",
        ),
        (
            ColumnKind::Money,
            "\"1.5\"",
            "expected a number, found a string",
        ),
        (
            ColumnKind::Boolean,
            "1",
            "expected true or false, found a number",
        ),
        (
            ColumnKind::Date,
            "\"2026-01-31T00:00:00Z\"",
            "expected a date such as \"2026-01-31\", found a string",
        ),
        (ColumnKind::Id, "\"x\"", "expected a GUID, found a string"),
    ] {
        assert_eq!(normalize(kind, &json(value)).unwrap_err(), expected);
    }
}

fn document() -> impl Strategy<Value = Document> {
    let leaf = prop_oneof![
        Just(Document::Null),
        any::<bool>().prop_map(Document::from),
        any::<i64>().prop_map(Document::from),
        (any::<i32>(), -12_i32..12)
            .prop_map(|(digits, exponent)| json(&format!("{digits}e{exponent}"))),
        ".{0,12}".prop_map(Document::from),
        "[0-9, ]{0,8}".prop_map(Document::from),
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]".prop_map(Document::from),
        "20[0-9]{2}-0[1-9]-1[0-9]T1[0-9]:00:[0-5][0-9](Z|\\+0[1-9]:00|)".prop_map(Document::from),
        "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-8[0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
            .prop_map(Document::from),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Document::Array),
            prop::collection::vec((".{0,4}", inner), 0..3)
                .prop_map(|members| Document::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn normalizing_twice_is_normalizing_once(value in document(), index in 0..KINDS.len()) {
        let kind = KINDS[index].1;
        if let Ok(normal) = normalize(kind, &value) {
            prop_assert_eq!(&normalize(kind, &normal).unwrap().to_json(), &normal.to_json());
        }
    }

    #[test]
    fn a_number_keeps_its_value(digits in any::<i64>(), exponent in -10_i32..10) {
        let value = json(&format!("{digits}e{exponent}"));
        prop_assert_eq!(normalize(ColumnKind::Money, &value).unwrap(), value);
    }
}
