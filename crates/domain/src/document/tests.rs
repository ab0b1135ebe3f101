use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Document {
    Document::parse(text.as_bytes()).unwrap()
}

#[test]
fn keeps_order_duplicates_and_number_text() {
    let text = r#"{"b":1.50,"a":[1e+3,-0.0,"x"],"b":null,"c":{"d":true}}"#;
    assert_eq!(parse(text).to_json(), text);
}

#[test]
fn finds_duplicates_after_folding() {
    let Document::Object(object) = parse(r#"{"Name":1,"x":2,"name":3}"#) else {
        panic!()
    };
    assert_eq!(object.first_duplicate(str::to_owned), None);
    assert_eq!(object.first_duplicate(str::to_lowercase), Some("name"));
}

#[test]
fn numbers_compare_by_value_and_scale_exactly() {
    assert_eq!(parse("1.50"), parse("15e-1"));
    assert_ne!(parse("1.50"), parse("1.5000000000000000000001"));
    assert_eq!(parse("0.0"), parse("-0"));
    let scaled = |text: &str, places| Number::parse(text).unwrap().scaled(places);
    assert_eq!(scaled("19.99", 2), Some(1999));
    assert_eq!(scaled("12500.5", 2), Some(1_250_050));
    assert_eq!(scaled("12.505", 2), None);
    assert_eq!(scaled("1e3", 0), Some(1000));
    assert_eq!(scaled("-100", 2), Some(-10_000));
    assert_eq!(scaled("1e400", 2), None);
    assert_eq!(scaled("0e999999999999", 2), Some(0));
}

#[test]
fn refuses_what_is_not_one_json_value() {
    for (text, line, message) in [
        ("{\"a\":", 1, "EOF while parsing a value"),
        ("{}\n{}", 2, "trailing characters"),
        (
            "{\"$serde_json::private::Number\":\"5\"}",
            1,
            "reserved name",
        ),
        (
            "[{\"\\u0024serde_json::private::Number\":\"5\"}]",
            1,
            "reserved name",
        ),
        ("", 1, "EOF while parsing a value"),
        ("[01]", 1, "invalid number"),
        ("[NaN]", 1, "expected value"),
    ] {
        let error = Document::parse(text.as_bytes()).unwrap_err();
        assert_eq!(
            (error.message.as_str(), error.line.max(1)),
            (message, line),
            "{text}"
        );
    }
    assert!(Document::parse(b"\"\xff\"").is_err());
    assert!(Document::parse("[".repeat(200).as_bytes()).is_err());
}

#[test]
fn serde_and_own_writer_agree() {
    let document = parse(r#"{"a":[1.50,"é\n\u0001"],"b":{}}"#);
    assert_eq!(
        serde_json::to_string(&document).unwrap(),
        document.to_json()
    );
}

#[test]
fn numbers_have_one_spelling() {
    for (text, expected) in [
        ("100", "100"),
        ("100.00", "100"),
        ("1e2", "100"),
        ("-0.0", "0"),
        ("12500.50", "12500.5"),
        ("5e-3", "0.005"),
        ("-1.5e-1", "-0.15"),
        ("1e41", "1e+41"),
        ("0e99", "0"),
    ] {
        assert_eq!(
            Number::parse(text).unwrap().normalized().as_str(),
            expected,
            "{text}"
        );
    }
}

fn documents() -> impl Strategy<Value = Document> {
    let leaf = prop_oneof![
        Just(Document::Null),
        any::<bool>().prop_map(Document::Bool),
        any::<i64>().prop_map(|n| Document::Number(Number::from(n))),
        any::<f64>().prop_filter_map("finite", |n| Number::from_f64(n).map(Document::Number)),
        ".*".prop_map(Document::String),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Document::Array),
            prop::collection::vec((".*", inner), 0..6)
                .prop_map(|members| Document::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn writing_and_parsing_is_the_identity(document in documents()) {
        prop_assert_eq!(Document::parse(document.to_json().as_bytes()).unwrap(), document);
    }

    #[test]
    fn one_spelling_keeps_the_value(number in any::<f64>().prop_filter_map("finite", Number::from_f64)) {
        prop_assert_eq!(number.normalized(), number);
    }

    #[test]
    fn never_panics_on_bytes(body in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = Document::parse(&body);
    }
}
