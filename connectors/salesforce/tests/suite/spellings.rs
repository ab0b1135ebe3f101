//! Two spellings of one write are one input; what two readers could read differently is refused.

use crmgate_connector::{Malformed, ParseFailure};
use crmgate_domain::Views;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::{Org, Reading, request, sobjects, with_header};

async fn views(org: &Org, path: &str, body: &str) -> Views {
    let resolved = org
        .resolve(request("POST", path, body), &Reading::default())
        .await
        .unwrap_or_else(|error| panic!("{body}: {error}"));
    resolved.change.views().clone()
}

fn pairs(account: &str, owner: &str) -> Vec<(&'static str, Value, Value)> {
    vec![
        (
            "Contact",
            json!({"LastName": "A", "AccountId": account}),
            json!({"lastname": " A ", "accountid": &account[..15]}),
        ),
        (
            "Contact",
            json!({"LastName": "A", "AccountId": account}),
            json!({"AccountID": account.to_lowercase(), "LastName": "A"}),
        ),
        (
            "Contact",
            json!({"AccountId": account}),
            json!({"Account": {"Ext_Id__c": "ERP-10001"}}),
        ),
        (
            "Contact",
            json!({"AccountId": account}),
            json!({"account": {"attributes": {"type": "Account"}, "ext_id__c": "ERP-10001"}}),
        ),
        (
            "Contact",
            json!({"Score__c": 5}),
            json!({"Score__c": "5.0"}),
        ),
        ("Contact", json!({"Score__c": 5}), json!({"score__C": 5e0})),
        (
            "Contact",
            json!({"HasOptedOutOfEmail": true}),
            json!({"HasOptedOutOfEmail": "TRUE"}),
        ),
        (
            "Contact",
            json!({"HasOptedOutOfEmail": false}),
            json!({"HasOptedOutOfEmail": null}),
        ),
        (
            "Contact",
            json!({"Birthdate": "1990-02-03"}),
            json!({"Birthdate": "1990-02-03T00:00:00.000Z"}),
        ),
        (
            "Contact",
            json!({"Consent_At__c": "2026-01-31T10:00:00Z"}),
            json!({"Consent_At__c": "2026-01-31T12:00:00.123+0200"}),
        ),
        (
            "Contact",
            json!({"Region__c": "APAC;EMEA"}),
            json!({"Region__c": "emea; APAC;EMEA"}),
        ),
        (
            "Contact",
            json!({"LeadSource": "Web"}),
            json!({"LeadSource": "wEB"}),
        ),
        ("Contact", json!({"Title": null}), json!({"Title": "  "})),
        (
            "Contact",
            json!({"LastName": "A"}),
            json!({"attributes": {"type": "CONTACT"}, "LastName": "A"}),
        ),
        (
            "Account",
            json!({"OwnerId": owner}),
            json!({"Owner": {"Username": "rae.quillon@acme.example"}}),
        ),
    ]
}

#[tokio::test]
async fn known_pairs() {
    let org = Org::new().await;
    let account = org.id_of("Account", "Name", "Northgate Foods").await;
    let owner = org
        .id_of("User", "Username", "rae.quillon@acme.example")
        .await;
    let pairs = pairs(&account, &owner);
    for (object, one, other) in pairs {
        let path = sobjects(object);
        let first = views(&org, &path, &one.to_string()).await;
        let second = views(
            &org,
            &path
                .to_uppercase()
                .replace("/SERVICES/DATA/V", "/services/data/v"),
            &other.to_string(),
        )
        .await;
        assert_eq!(first, second, "{one} {other}");
        assert!(!first.changes.is_empty());
    }
}

/// One way of writing each of these values.
fn spelled() -> impl Strategy<Value = (Value, Value)> {
    let text = "[a-zA-Z]{1,8}";
    let fields = (
        text,
        (-99_999_i64..99_999).prop_map(|n| n as f64 / 10.0),
        any::<bool>(),
        0_i64..4_000_000_000,
        prop::sample::subsequence(vec!["EMEA", "APAC", "AMER"], 1..=3).prop_shuffle(),
        any::<[bool; 6]>(),
    );
    fields.prop_map(|(name, score, flag, second, regions, other)| {
        let at = |pick: bool| {
            let zone = if pick { "Z" } else { ".000+0000" };
            let at = jiff_second(second);
            format!("{at}{zone}")
        };
        let spell = |pick: [bool; 6]| {
            let key = |name: &str, pick: bool| {
                if pick {
                    name.to_lowercase()
                } else {
                    name.to_owned()
                }
            };
            let mut sorted = regions.clone();
            sorted.sort_unstable();
            let regions = if pick[0] { &sorted } else { &regions }.join(";");
            let mut members = vec![
                (
                    key("LastName", pick[1]),
                    json!(if pick[2] {
                        format!(" {name}")
                    } else {
                        name.clone()
                    }),
                ),
                (
                    key("Score__c", pick[3]),
                    if pick[4] {
                        json!(score.to_string())
                    } else {
                        json!(score)
                    },
                ),
                (
                    key("DoNotCall", pick[5]),
                    if pick[2] {
                        json!(flag)
                    } else {
                        json!(flag.to_string())
                    },
                ),
                (key("Consent_At__c", pick[2]), json!(at(pick[3]))),
                (key("Region__c", pick[4]), json!(regions)),
            ];
            if pick[1] {
                members.reverse();
            }
            Value::Object(members.into_iter().collect())
        };
        (spell([false; 6]), spell(other))
    })
}

fn jiff_second(second: i64) -> String {
    let text = jiff::Timestamp::from_second(second).unwrap().to_string();
    text.trim_end_matches('Z').to_owned()
}

#[test]
fn two_spellings_give_one_input() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let org = runtime.block_on(Org::new());
    let mut runner = TestRunner::new(Config {
        cases: 64,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&spelled(), |(one, other)| {
            let path = sobjects("Contact");
            let (first, second) = runtime.block_on(async {
                (
                    views(&org, &path, &one.to_string()).await,
                    views(&org, &path, &other.to_string()).await,
                )
            });
            prop_assert_eq!(first, second);
            Ok(())
        })
        .unwrap();
}

async fn refusal(org: &Org, request: crmgate_connector::NativeRequest) -> Malformed {
    match org.connector.parse(request).await {
        Err(ParseFailure::Malformed(malformed)) => malformed,
        Err(ParseFailure::Failure(failure)) => panic!("{failure}"),
        Ok(_) => panic!("understood"),
    }
}

/// Method, place below the record interface, body.
const BODIES: &[(&str, &str, &str)] = &[
    ("POST", "Contact", r#"{"LastName":"A","lastname":"B"}"#),
    ("POST", "Contact", r#"{"LastName":"A","LastName":"A"}"#),
    (
        "POST",
        "Contact",
        r#"{"AccountId":"001D000000IqhSL","Account":{"Ext_Id__c":"ERP-10001"}}"#,
    ),
    (
        "POST",
        "Contact",
        r#"{"LastName":"A","attributes":{"type":"Account"}}"#,
    ),
    (
        "POST",
        "Contact",
        r#"{"LastName":"A","attributes":{"type":"Account","type":"Contact"}}"#,
    ),
    (
        "POST",
        "Contact",
        r#"{"LastName":"A","Account":{"Ext_Id__c":"a","ext_id__c":"a"}}"#,
    ),
    (
        "POST",
        "Contact",
        r#"{"LastName":"A","Id":"003D000000IqhSL"}"#,
    ),
    (
        "POST",
        "Account",
        r#"{"Name":"A","Contacts":{"records":[{"LastName":"B"}]}}"#,
    ),
    (
        "POST",
        "Contact",
        r#"{"LastName":"A","Account":{"Name":"B","Phone":"C"}}"#,
    ),
    ("POST", "Contact", r#"{"LastName":"A","Account":null}"#),
    (
        "POST",
        "Contact",
        r#"{"LastName":"A","Account":{"Phone":"B"}}"#,
    ),
    (
        "POST",
        "Task",
        r#"{"Subject":"A","What":{"Ext_Id__c":"B"}}"#,
    ),
    ("POST", "Contact", r#"{"LastName":"A","Nope__c":1}"#),
    ("POST", "Contact", r#"{"LastName":"A","Score__c":"many"}"#),
    ("POST", "Contact", r#"{"LastName":"A","DoNotCall":1}"#),
    (
        "POST",
        "Contact",
        r#"{"LastName":"A","AccountId":"somewhere"}"#,
    ),
    ("POST", "Contact", r#"{"LastName":{"a":1}}"#),
    (
        "POST",
        "Contact",
        r#"{"LastName":"A","Birthdate":"1990-02-03T23:00:00-05:00"}"#,
    ),
    ("POST", "Contact", r#"[{"LastName":"A"}]"#),
    ("POST", "Contact", "{\"LastName\":\"A\"}{}"),
    ("POST", "Contact", ""),
    ("PATCH", "Account/describe", "{}"),
    ("PATCH", "Contact/Ext_Id__c/x", r#"{"Ext_Id__c":"y"}"#),
    ("PATCH", "Contact/Legacy_Ref__c/x", "{}"),
    ("PATCH", "Contact/003D000000IqhSL/Account", "{}"),
    ("DELETE", "Contact/003D000000IqhSL/Account", ""),
];

#[tokio::test]
async fn doors_in_bodies_are_shut() {
    let org = Org::new().await;
    let id = org.id_of("Account", "Name", "Northgate Foods").await;
    let row = format!("Account/{id}");
    let mut told = Vec::new();
    let odd = (
        "PATCH",
        row.as_str(),
        "{\"Name\":\"\u{fffd}\",\"NAM\u{2115}\":1}",
    );
    for (method, place, body) in BODIES.iter().copied().chain([odd]) {
        let malformed = refusal(&org, request(method, &sobjects(place), body)).await;
        let place = place.replace(&id, "{id}");
        told.push(format!(
            "{method} {place} {body}\n  {}: {}",
            malformed.code, malformed.message
        ));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn doors_in_headers_and_parameters_are_shut() {
    let org = Org::new().await;
    let create = || request("POST", &sobjects("Contact"), r#"{"LastName":"A"}"#);
    let mut told = Vec::new();
    for (name, value) in [
        ("content-type", "application/xml"),
        ("content-type", "text/xml; charset=UTF-8"),
        ("content-type", "multipart/form-data; boundary=x"),
        ("content-type", "application/json; charset=utf-16"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("sforce-call-options", "client=x; defaultNamespace=ns"),
        ("sforce-call-options", "DEFAULTNAMESPACE=ns"),
        ("if-none-match", "*"),
        ("if-modified-since", "Mon, 05 Jan 2015 10:00:00 GMT"),
    ] {
        let malformed = refusal(&org, with_header(create(), name, value)).await;
        told.push(format!(
            "{name}: {value}\n  {}: {}",
            malformed.code, malformed.message
        ));
    }
    for query in ["updateOnly=true", "allOrNone=true", "callback=x"] {
        let path = format!("{}?{query}", sobjects("Contact"));
        let malformed = refusal(&org, request("POST", &path, "{}")).await;
        told.push(format!(
            "?{query}\n  {}: {}",
            malformed.code, malformed.message
        ));
    }
    insta::assert_snapshot!(told.join("\n"));
    let mut untyped = create();
    untyped.head.headers.remove("content-type");
    assert_eq!(refusal(&org, untyped).await.code, "unsupported_media_type");
    let plain = with_header(
        create(),
        "content-type",
        "application/json; charset=\"UTF-8\"",
    );
    org.connector
        .parse(with_header(plain, "sforce-call-options", "client=x"))
        .await
        .unwrap();
    assert!(org.journal(&["POST"]).is_empty());
}
