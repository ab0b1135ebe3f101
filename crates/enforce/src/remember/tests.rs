use std::collections::BTreeMap;

use crmgate_decision_log::{HashKey, REDACTED, Treatment};
use crmgate_domain::{BatchInfo, Change, Object, RedactionMode, RequestInfo};

use super::classes::Classes;
use super::*;
use crate::settings::LogSettings;

fn object(json: &str) -> Object {
    match Document::parse(json.as_bytes()).unwrap() {
        Document::Object(object) => object,
        other => panic!("{other:?}"),
    }
}

fn operation() -> Operation {
    let ambient = crmgate_store::suite::Ticking::default();
    let record = crmgate_store::suite::full_record(&ambient);
    let mut operation = record.operation.unwrap();
    operation.relation = None;
    operation
}

fn see(operation: &Operation, views: &Views, settings: &LogSettings, hide: &[Redaction]) -> Seen {
    let classes = Classes::default();
    let table = classes.table(operation);
    let mut marker = table.marker(operation, None, settings, hide);
    let seen = Seen::of(operation, views, &mut marker);
    table.learn(marker.finish());
    // What was learned gives the same.
    let again = {
        let mut marker = table.marker(operation, None, settings, hide);
        Seen::of(operation, views, &mut marker)
    };
    assert_eq!(format!("{seen:?}"), format!("{again:?}"));
    seen
}

fn keep(seen: &Seen, settings: &LogSettings, changes_only: bool) -> seen::Kept {
    let hidden: Vec<Document> = seen.hidden().collect();
    let scrubber = Scrubber::new(&hidden).unwrap();
    seen.kept(&scrubber, &settings.key, changes_only)
}

fn kept(seen: &Seen, settings: &LogSettings) -> (Document, Vec<String>, Vec<String>) {
    let kept = keep(seen, settings, false);
    let document = Document::parse(kept.text.as_bytes());
    (document.unwrap(), kept.erased, kept.masked)
}

fn at<'a>(document: &'a Document, path: &str) -> Option<&'a Document> {
    pointer::get(document, &pointer::parse(path).unwrap())
}

fn text<'a>(document: &'a Document, path: &str) -> &'a str {
    at(document, path)
        .and_then(Document::as_str)
        .unwrap_or("nothing")
}

fn contact() -> (Operation, Views) {
    let mut operation = operation();
    operation.object = "contact".to_owned();
    operation.native_object = "Contact".to_owned();
    operation.actor.email = Some("boss@acme.example".to_owned());
    operation.actor.username = Some("boss@acme.example.full".to_owned());
    operation.request = Some(RequestInfo {
        method: "PATCH".to_owned(),
        resource: "/sobjects/{object}/{field}/{value}".to_owned(),
        path_parameters: [("value".to_owned(), "ada@example.com".to_owned())].into(),
        query_parameters: [("access_token".to_owned(), "00Dxx!hush".to_owned())].into(),
    });
    operation.arguments = Some(object(
        r#"{"Password": "hunter22", "Note": {"Token": "t0k3n"}}"#,
    ));
    let record = r#"{"email": "ada@example.com", "birth_date": "1815-12-10", "title": "Countess ada@example.com",
        "phone": null, "score": 7}"#;
    let native = r#"{"Email": "ada@example.com", "SSN__c": "078-05-1120", "Secret__c": 4711, "Odd__c": "who knows",
        "Flag__c": true, "Nested__c": [{"Deep": "x"}], "Count__c": 3}"#;
    let mut views = Views {
        record: Some(object(record)),
        native: Some(object(native)),
        before: Some(object(r#"{"email": "old@example.com", "title": "Miss"}"#)),
        related: object(
            r#"{"account": {"name": "Acme", "email": "hi@acme.example", "native": {"Odd": "y", "ApiKey": "k3y"}}}"#,
        ),
        ..Views::default()
    };
    for (name, from, to) in [
        ("email", Some("old@example.com"), "ada@example.com"),
        ("native.SSN__c", None, "078-05-1120"),
        ("title", None, "Countess"),
    ] {
        let change = Change {
            from: from.map(Document::from),
            to: to.into(),
        };
        views.changes.insert(name.to_owned(), change);
    }
    (operation, views)
}

const PLANTED: [&str; 14] = [
    "ada@example.com",
    "old@example.com",
    "1815-12-10",
    "078-05-1120",
    "4711",
    "who knows",
    "\"x\"",
    "hunter22",
    "t0k3n",
    "00Dxx!hush",
    "boss@acme",
    "hi@acme",
    "k3y",
    "\"y\"",
];

#[test]
fn nothing_that_is_planted_is_kept_and_the_rest_is() {
    let (operation, views) = contact();
    let settings = LogSettings::default();
    let seen = see(&operation, &views, &settings, &[]);
    for planted in PLANTED {
        assert!(seen.text.contains(planted), "{planted}");
    }
    let (kept, erased, masked) = kept(&seen, &settings);
    for planted in PLANTED {
        assert!(
            !kept.to_json().contains(planted),
            "{planted}: {}",
            kept.to_json()
        );
    }
    assert!(erased.is_empty(), "{erased:?}");
    for place in [
        "/input/record/email",
        "/input/native/SSN__c",
        "/input/changes/email/from",
        "/input/request/query_parameters/access_token",
        "/input/actor/email",
        "/input/native/Nested__c",
        "/input/operation/arguments/Password",
        "/input/operation/arguments/Note",
    ] {
        assert!(masked.iter().any(|it| it == place), "{place}: {masked:?}");
        assert_eq!(text(&kept, place.strip_prefix("/input").unwrap()), REDACTED);
    }
    assert_eq!(text(&kept, "/record/title"), format!("Countess {REDACTED}"));
    assert_eq!(text(&kept, "/actor/username"), format!("{REDACTED}.full"));
    assert_eq!(text(&kept, "/request/path_parameters/value"), REDACTED);
    assert_eq!(text(&kept, "/related/account/name"), "Acme");
    assert_eq!(at(&kept, "/record/phone"), Some(&Document::Null));
    assert_eq!(at(&kept, "/native/Flag__c"), Some(&true.into()));
    assert_eq!(at(&kept, "/native/Count__c"), Some(&3.into()));
}

#[test]
fn treatments_can_be_chosen_and_credentials_cannot() {
    let (operation, views) = contact();
    let settings = LogSettings {
        personal: Treatment::Hash,
        sensitive: Treatment::Drop,
        unmapped: Treatment::Keep,
        key: HashKey::new(b"k"),
        ..LogSettings::default()
    };
    let (kept, erased, _) = kept(&see(&operation, &views, &settings, &[]), &settings);
    let hashed = settings.key.of(&"ada@example.com".into());
    assert_eq!(text(&kept, "/record/email"), hashed);
    assert_eq!(text(&kept, "/changes/email/to"), hashed);
    assert_eq!(at(&kept, "/record/birth_date"), None);
    assert_eq!(erased, ["/input/record/birth_date"]);
    assert_eq!(text(&kept, "/native/Odd__c"), "who knows");
    assert_eq!(text(&kept, "/native/Nested__c/0/Deep"), "x");
    assert_eq!(text(&kept, "/native/Secret__c"), REDACTED);
    assert_eq!(text(&kept, "/operation/arguments/Note/Token"), REDACTED);
    let open = LogSettings {
        personal: Treatment::Keep,
        sensitive: Treatment::Keep,
        unmapped: Treatment::Keep,
        ..LogSettings::default()
    };
    let (kept, ..) = self::kept(&see(&operation, &views, &open, &[]), &open);
    assert_eq!(text(&kept, "/record/email"), "ada@example.com");
    assert_eq!(
        text(&kept, "/request/query_parameters/access_token"),
        REDACTED
    );
}

#[test]
fn what_packages_hide_is_hidden_under_both_names() {
    let (operation, views) = contact();
    let settings = LogSettings::default();
    let redaction = |field: &str, mode| Redaction {
        field: crmgate_domain::FieldRef(field.to_owned()),
        mode,
        package: "crm.t.p".to_owned(),
    };
    let hide = [
        redaction("title", RedactionMode::Drop),
        redaction("native.count__c", RedactionMode::Partial),
        redaction("email", RedactionMode::Partial),
    ];
    let (kept, erased, masked) = kept(&see(&operation, &views, &settings, &hide), &settings);
    assert_eq!(at(&kept, "/record/title"), None);
    assert_eq!(at(&kept, "/changes/title/to"), None);
    assert_eq!(at(&kept, "/before/title"), None);
    assert_eq!(erased.len(), 3, "{erased:?}");
    // A weaker wish does not weaken the class.
    assert_eq!(text(&kept, "/record/email"), REDACTED);
    assert!(masked.len() > 10);
}

#[test]
fn changes_alone_can_be_kept() {
    let (operation, views) = contact();
    let settings = LogSettings::default();
    let seen = see(&operation, &views, &settings, &[]);
    let small = keep(&seen, &settings, true);
    let document = Document::parse(small.text.as_bytes()).unwrap();
    let names: Vec<&str> = document
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        [
            "actor",
            "approvals",
            "changes",
            "connection",
            "exceptions",
            "id",
            "native_object",
            "object",
            "operation",
            "purpose",
            "request"
        ]
    );
    for whole in ["before", "native", "native_before", "record", "related"] {
        assert!(
            small.erased.contains(&format!("/input/{whole}")),
            "{:?}",
            small.erased
        );
    }
    for planted in PLANTED {
        assert!(!small.text.contains(planted), "{planted}");
    }
}

#[test]
fn opaque_paths_keep_words_and_lose_values() {
    for (seen, expected) in [
        (
            "POST /services/data/v66.0/sobjects/Contact",
            "POST /services/data/v66.0/sobjects/Contact",
        ),
        (
            "PATCH /contacts(emailaddress1='ada@x.com')/name",
            "PATCH /contacts(…)/name",
        ),
        (
            "PATCH /sobjects/Contact/Email__c/ada%40x.com",
            "PATCH /sobjects/Contact/Email__c/**REDACTED**",
        ),
        ("GET /x;sid=abc", "GET /x(…)"),
    ] {
        assert_eq!(hide::opaque(seen), expected);
    }
}

/// What is hashed is what policies are documented to see.
#[test]
fn the_input_is_as_its_schema_says() {
    let schema = include_str!("../../../../policies/schema/input.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let mut operation = operation();

    operation.batch = Some(BatchInfo {
        id: "b".to_owned(),
        index: 0,
        size: 2,
        atomic: true,
    });
    operation.request = Some(RequestInfo {
        method: "POST".to_owned(),
        resource: "/x/{object}".to_owned(),
        path_parameters: [("object".to_owned(), "\"\u{1}".to_owned())].into(),
        query_parameters: BTreeMap::new(),
    });
    let mut views = Views {
        record: Some(object(
            r#"{"name": "Ada", "amount": 12.50, "b": [1, {"y": 1, "x": null}]}"#,
        )),
        native: Some(object(r#"{"Name": "Ada"}"#)),
        ..Views::default()
    };
    let to = Document::from("Ada");
    let change = Change { from: None, to };
    views.changes.insert("name".to_owned(), change);
    for _ in 0..2 {
        let text = see(&operation, &views, &LogSettings::default(), &[]).text;
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let wrong: Vec<String> = schema.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(sorted(value).to_string(), text, "names are sorted");
        operation.batch = None;
        operation.request = None;
        operation.record_id = None;
        views.before.clone_from(&views.record);
        views.record = None;
    }
}

fn sorted(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect();
            serde_json::Value::Object(sorted.into_iter().collect())
        }
        serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
        plain => plain,
    }
}

/// Prints what writing down and masking take; run it by name, optimized.
#[test]
#[ignore = "measures"]
fn timing() {
    let (operation, mut views) = contact();
    for n in 0..30 {
        let native = views.native.as_mut().unwrap();
        native.set(&format!("Field{n}__c"), n.into());
        let record = views.record.as_mut().unwrap();
        record.set(
            &format!("field{n}"),
            format!("some business text {n}").into(),
        );
    }
    let settings = LogSettings::default();
    let classes = Classes::default();
    let time = |what: &str, work: &mut dyn FnMut()| {
        work();
        let start = std::time::Instant::now();
        (0..5_000).for_each(|_| work());
        println!("{what}: {:?}", start.elapsed() / 5_000);
    };
    let write = || {
        let table = classes.table(&operation);
        let mut marker = table.marker(&operation, None, &settings, &[]);
        let seen = Seen::of(&operation, &views, &mut marker);
        table.learn(marker.finish());
        seen
    };
    let seen = write();
    println!("{} bytes", seen.text.len());
    time("write and hash", &mut || drop(write()));
    time("hidden values and scrubber", &mut || {
        let hidden: Vec<Document> = seen.hidden().collect();
        drop(Scrubber::new(&hidden).unwrap());
    });
    let hidden: Vec<Document> = seen.hidden().collect();
    let scrubber = Scrubber::new(&hidden).unwrap();
    time("cut and scrub", &mut || {
        drop(seen.kept(&scrubber, &settings.key, false));
    });
}
