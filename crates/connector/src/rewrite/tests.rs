use futures::executor::block_on;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const KEYS: LinkKeys = LinkKeys {
    exact: &["instance_url", "next"],
    suffixes: &["@odata.nextLink"],
};

fn links() -> Links {
    let url = |text: &str| Url::parse(text).unwrap();
    Links::new(
        [
            &url("https://acme.my.salesforce.com"),
            &url("http://127.0.0.1:9000/x"),
        ],
        &url("https://gate.example:8701/"),
    )
}

fn rewrite(text: &str) -> String {
    let bytes = links().json(&Bytes::copy_from_slice(text.as_bytes()), KEYS);
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn rewrites_listed_keys_only() {
    for (given, expected) in [
        (
            r#"{"instance_url":"https://acme.my.salesforce.com"}"#,
            r#"{"instance_url":"https://gate.example:8701"}"#,
        ),
        (
            r#"{ "next" : "HTTPS:\/\/ACME.my.salesforce.com:443\/a?b=\"c" }"#,
            r#"{ "next" : "https://gate.example:8701/a?b=\"c" }"#,
        ),
        (
            r#"{"\u006eext":"http://127.0.0.1:9000/a"}"#,
            r#"{"\u006eext":"https://gate.example:8701/a"}"#,
        ),
        (
            r#"{"a@odata.nextLink":"http://127.0.0.1:9000#x","b":1}"#,
            r#"{"a@odata.nextLink":"https://gate.example:8701#x","b":1}"#,
        ),
    ] {
        assert_eq!(rewrite(given), expected);
    }
    for untouched in [
        r#"{"website":"https://acme.my.salesforce.com"}"#,
        r#"{"next":"https://acme.my.salesforce.com.evil.example/"}"#,
        r#"{"next":"https://acme.my.salesforce.com@evil.example/"}"#,
        r#"{"next":"http://acme.my.salesforce.com/"}"#,
        r#"{"next":["https://acme.my.salesforce.com/"]}"#,
        r#"{"next":null,"x":"https://acme.my.salesforce.com/"}"#,
        r#"["next","https://acme.my.salesforce.com/"]"#,
        r#"{"next":"https://acme.my.salesf"#,
        "not json: next https://acme.my.salesforce.com",
    ] {
        assert_eq!(rewrite(untouched), untouched);
    }
}

#[test]
fn rewrites_text_and_headers() {
    assert_eq!(
        links().text(
            "<a>https://acme.my.salesforce.com/s</a><b>https://acme.my.salesforce.com.evil</b>"
        ),
        "<a>https://gate.example:8701/s</a><b>https://acme.my.salesforce.com.evil</b>"
    );
    let mut headers = HeaderMap::new();
    headers.insert(
        "location",
        HeaderValue::from_static("http://127.0.0.1:9000/r"),
    );
    headers.insert("x-other", HeaderValue::from_static("http://127.0.0.1:9000"));
    links().headers(&mut headers, &[http::header::LOCATION]);
    assert_eq!(headers["location"], "https://gate.example:8701/r");
    assert_eq!(headers["x-other"], "http://127.0.0.1:9000");
}

fn expected(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(expected).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| {
                let value = match value {
                    Value::String(text) if KEYS.contain(&key) => json!(links().url(&text)),
                    other => expected(other),
                };
                (key, value)
            })
            .collect(),
        other => other,
    }
}

fn documents() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just("https://acme.my.salesforce.com/a\"b\\c".to_owned()),
        Just("next".to_owned()),
        ".{0,8}",
    ];
    let key = prop_oneof![
        Just("next".to_owned()),
        Just("é@odata.nextLink".to_owned()),
        ".{0,8}"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i32>().prop_map(|n| json!(n)),
        text.prop_map(Value::String)
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn flowing(chunks: Vec<Bytes>) -> Bytes {
    let stream = futures::stream::iter(chunks.into_iter().map(Ok));
    let body = links().body(Body::Stream(Box::pin(stream)), KEYS);
    block_on(body.collect(1 << 20)).unwrap()
}

fn cut(text: &[u8], cuts: &[prop::sample::Index]) -> Vec<Bytes> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    places.sort_unstable();
    places.push(text.len());
    let mut from = 0;
    places
        .into_iter()
        .map(|to| Bytes::copy_from_slice(&text[std::mem::replace(&mut from, to)..to]))
        .collect()
}

proptest! {
    #[test]
    fn any_chunking_gives_what_a_parser_would(
        document in documents(),
        pretty in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let text = if pretty {
            serde_json::to_vec_pretty(&document).unwrap()
        } else {
            serde_json::to_vec(&document).unwrap()
        };
        let flowed = flowing(cut(&text, &cuts));
        prop_assert_eq!(&flowed, &links().json(&Bytes::from(text), KEYS));
        prop_assert_eq!(serde_json::from_slice::<Value>(&flowed).unwrap(), expected(document));
    }

    #[test]
    fn any_bytes_pass(
        body in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        prop_assert_eq!(flowing(cut(&body, &cuts)), body);
    }
}
