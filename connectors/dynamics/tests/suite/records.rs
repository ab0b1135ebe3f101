//! Records of every mapped object, as policies see them; canonical operations; what passes.

use std::collections::BTreeSet;

use crmgate_connector::{Body, Class, Failure, Fields, Locator, NativeRequest};
use crmgate_domain::{
    Actor, ConnectionRef, Document, FieldSet, Kind, Object, Operation, OperationId, PayloadHash,
    Point, Reads, Views,
};
use crmgate_testkit::permit;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{GATE, Org, Reading, as_json, reading, seen, with_header};

fn everything() -> Reading {
    Reading(Reads {
        record: FieldSet::All,
        before: FieldSet::All,
        related: BTreeSet::new(),
    })
}

#[tokio::test]
async fn every_mapped_object_has_its_canonical_form() {
    let org = Org::with(
        json!({"secured_columns": "readable"}),
        crate::support::ADMIN,
    )
    .await;
    let mut seen = Vec::new();
    for (canonical, table, set, name) in [
        ("account", "account", "accounts", "northgate"),
        ("contact", "contact", "contacts", "annika"),
        ("lead", "lead", "leads", ""),
        ("opportunity", "opportunity", "opportunities", "o04"),
        ("case", "incident", "incidents", ""),
        ("task", "task", "tasks", ""),
        ("user", "systemuser", "systemusers", "tomas"),
        ("product", "product", "products", ""),
    ] {
        let id = if name.is_empty() {
            first(&org, table, set).await
        } else {
            org.id(table, name)
        };
        let update = org.request("PATCH", &format!("{set}({id})"), "{}");
        let resolved = org
            .resolve(with_header(update, "if-match", "*"), &everything())
            .await
            .unwrap();
        let views = resolved.change.views();
        assert!(views.unknown.is_empty(), "{canonical}: {:?}", views.unknown);
        assert!(views.changes.is_empty(), "{canonical}: {:?}", views.changes);
        assert_eq!(views.record, views.before);
        assert_eq!(resolved.change.outgoing().body, "{}");
        let mut record = as_json(views.record.as_ref());
        for moving in ["created_at", "modified_at"] {
            record.as_object_mut().unwrap().remove(moving).unwrap();
        }
        seen.push(format!("{canonical}: {record:#}"));
    }
    let mapped: BTreeSet<String> = org
        .connector
        .mapped_objects()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(mapped.len(), seen.len());
    insta::assert_snapshot!(seen.join("\n"));
}

async fn first(org: &Org, table: &str, set: &str) -> String {
    let id = if table == "task" {
        "activityid".to_owned()
    } else {
        format!("{table}id")
    };
    let query = format!("{set}?$select={id}&$orderby={id}&$top=1");
    let page = org.connector.query(&query, None).await.unwrap();
    page.rows[0]
        .get(&id)
        .and_then(Document::as_str)
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn queries_are_paged() {
    let org = Org::new().await;
    let mut cursor = None;
    let mut names = BTreeSet::new();
    for _ in 0..100 {
        let page = org
            .connector
            .query(
                "contacts?$select=fullname,_parentcustomerid_value&$count=true",
                cursor.as_deref(),
            )
            .await
            .unwrap();
        for row in &page.rows {
            names.insert(
                row.get("contactid")
                    .and_then(Document::as_str)
                    .unwrap()
                    .to_owned(),
            );
            assert!(row.get("parentcustomerid").is_some());
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert!(names.len() > 20);
    let missing = org.connector.query("nosuchset", None).await;
    assert!(matches!(missing, Err(Failure::Refused { .. })));
}

#[tokio::test]
async fn records_are_read_by_id_and_key() {
    let org = Org::new().await;
    let key = Locator::Key(vec![("cg_extid".to_owned(), "C-4100".to_owned())]);
    let fields = Fields::Only(["lastname".to_owned(), "parentcustomerid".to_owned()].into());
    let by_key = org
        .connector
        .read("contact", &key, &fields)
        .await
        .unwrap()
        .unwrap();
    let by_id = org
        .connector
        .read("contact", &Locator::Id(by_key.id.clone()), &fields)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(by_key, by_id);
    assert_eq!(by_id.id, org.id("contact", "annika"));
    assert!(by_id.version.unwrap().starts_with("W/"));
    let parent = as_json(Some(&by_id.fields))["parentcustomerid"].clone();
    assert_eq!(
        parent,
        json!({"type": "account", "id": org.id("account", "northgate")})
    );
    let absent = Locator::Id("99999999-9999-4999-8999-999999999999".to_owned());
    assert_eq!(
        org.connector
            .read("contact", &absent, &fields)
            .await
            .unwrap(),
        None
    );
}

fn operation(org: &Org, kind: Kind, id: Option<&str>) -> Operation {
    Operation {
        id: OperationId::fresh(org.ambient.as_ref()),
        kind,
        requested: None,
        point: Point::Validate,
        at: org.ambient.now(),
        connection: ConnectionRef {
            name: org.connector.name().clone(),
            system: "dynamics".to_owned(),
            org: None,
        },
        object: "contact".to_owned(),
        native_object: "contact".to_owned(),
        record_id: id.map(str::to_owned),
        actor: Actor::default(),
        request: None,
        purpose: None,
        batch: None,
        name: None,
        arguments: None,
        relation: None,
    }
}

fn object(text: &str) -> Object {
    let Document::Object(object) = Document::parse(text.as_bytes()).unwrap() else {
        panic!()
    };
    object
}

#[tokio::test]
async fn canonical_operations_are_judged_like_native_ones() {
    let org = Org::new().await;
    let account = org.id("account", "northgate");
    let canonical = format!(
        r#"{{"last_name":"Ng","account":{{"type":"account","id":"{account}"}},"native.cg_score":"7","email_opt_out":true}}"#
    );
    let native = format!(
        r#"{{"lastname":"Ng","parentcustomerid_account@odata.bind":"/accounts({account})","cg_score":7,"donotbulkemail":true}}"#
    );
    let draft = org
        .connector
        .draft(
            &operation(&org, Kind::Create, None),
            Some(object(&canonical)),
        )
        .await
        .unwrap();
    let from_canonical = org
        .connector
        .resolve(draft, &everything(), &org.caller())
        .await
        .unwrap();
    let request = org.request("POST", "contacts", &native);
    let from_native = org.resolve(request, &everything()).await.unwrap();
    assert_eq!(from_canonical.change.views(), from_native.change.views());
    seen(org.send(&from_canonical.change).await.unwrap())
        .await
        .ok(204);

    let id = org.id("contact", "annika").to_uppercase();
    for kind in [Kind::Update, Kind::Upsert, Kind::Delete] {
        let change = (kind != Kind::Delete).then(|| object(r#"{"phone":"+49"}"#));
        let draft = org
            .connector
            .draft(&operation(&org, kind, Some(&id)), change)
            .await
            .unwrap();
        let resolved = org
            .connector
            .resolve(draft, &everything(), &org.caller())
            .await
            .unwrap();
        let wanted = if kind == Kind::Delete {
            Kind::Delete
        } else {
            Kind::Update
        };
        assert_eq!(
            (resolved.kind, resolved.record_id),
            (wanted, Some(id.to_lowercase()))
        );
    }
}

#[tokio::test]
async fn canonical_operations_say_what_is_wrong() {
    let org = Org::new().await;
    for (kind, id, change, code) in [
        (Kind::Update, None, "{}", "invalid_id"),
        (Kind::Update, Some("x"), "{}", "invalid_id"),
        (Kind::Create, None, r#"{"nosuch":1}"#, "unknown_field"),
        (
            Kind::Create,
            None,
            r#"{"native.nosuch":1}"#,
            "unknown_field",
        ),
        (
            Kind::Create,
            None,
            r#"{"created_at":"2026-01-01T00:00:00Z"}"#,
            "unknown_field",
        ),
        (Kind::Create, None, r#"{"phone":5}"#, "invalid_value"),
        (
            Kind::Create,
            None,
            r#"{"account":{"type":"lead","id":"5d8a0e4c-0000-4000-8000-000000000001"}}"#,
            "invalid_value",
        ),
        (
            Kind::Create,
            None,
            r#"{"phone":"1","native.telephone1":"2"}"#,
            "duplicate_field",
        ),
        (Kind::Action, None, "{}", "not_understood"),
    ] {
        let drafted = org
            .connector
            .draft(&operation(&org, kind, id), Some(object(change)))
            .await;
        match drafted {
            Err(crmgate_connector::ParseFailure::Malformed(malformed)) => {
                assert_eq!(malformed.code, code, "{change}");
            }
            other => panic!("{change}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn representations_come_back_at_the_gate() {
    let org = Org::new().await;
    let needs = reading(&[], &["email"]);
    let prefer = |request: NativeRequest| with_header(request, "prefer", "return=representation");
    let create = prefer(org.request(
        "POST",
        "contacts?$select=lastname",
        r#"{"lastname":"Shown"}"#,
    ));
    let created = org.write(create, &needs).await.ok(201);
    assert!(
        created.body["@odata.context"]
            .as_str()
            .unwrap()
            .starts_with(GATE)
    );
    let id = created.body["contactid"].as_str().unwrap();
    let upsert = prefer(org.request(
        "PATCH",
        &format!("contacts({id})"),
        r#"{"lastname":"Again"}"#,
    ));
    let resolved = org.resolve(upsert, &needs).await.unwrap();
    let outgoing = resolved.change.outgoing();
    let leave = permit(org.connector.name(), outgoing.hash(), &org.ambient).await;
    let written = org
        .connector
        .write(leave, outgoing, &org.caller())
        .await
        .unwrap();
    assert_eq!(written.record_id.as_deref(), Some(id), "told by the body");
    let answer = seen(resolved.change.reply(written.response)).await.ok(200);
    assert_eq!(answer.body["lastname"], "Again");
    assert!(!answer.header("etag").is_empty() || answer.body["@odata.etag"].is_string());
}

#[tokio::test]
async fn a_clients_own_stale_precondition_keeps_its_answer() {
    let org = Org::new().await;
    let id = org.id("contact", "annika");
    let update = org.request("PATCH", &format!("contacts({id})"), r#"{"jobtitle":"x"}"#);
    let resolved = org
        .resolve(
            with_header(update, "if-match", "W/\"1\""),
            &reading(&[], &["email"]),
        )
        .await
        .unwrap();
    assert!(!resolved.change.outgoing().pinned_by_gate);
    match org.send(&resolved.change).await {
        Err(Failure::Refused { code, response, .. }) => {
            assert_eq!(
                (code.as_str(), response.unwrap().status.as_u16()),
                ("0x80060882", 412)
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_not_judged_passes_only_by_leave() {
    let org = Org::new().await;
    let action = || {
        let mut request = org.request("POST", "$batch", "--x--");
        request.head.headers.insert(
            "content-type",
            http::HeaderValue::from_static("multipart/mixed; boundary=x"),
        );
        request
    };
    let head = action().head;
    assert!(matches!(
        org.connector.classify(&head),
        Class::Unknown { .. }
    ));
    assert!(
        org.connector
            .pass(action(), &org.caller(), None)
            .await
            .is_err()
    );
    let wrong = permit(
        org.connector.name(),
        PayloadHash::of(&[b"other"]),
        &org.ambient,
    )
    .await;
    assert!(
        org.connector
            .pass(action(), &org.caller(), Some(wrong))
            .await
            .is_err()
    );
    assert!(org.journal(&["POST"]).is_empty());
    let leave = permit(org.connector.name(), head.passing_hash(), &org.ambient).await;
    org.connector
        .pass(action(), &org.caller(), Some(leave))
        .await
        .unwrap();
    let arrived = &org.journal(&["POST"])[0];
    assert_eq!(
        arrived["headers"]["content-type"],
        "multipart/mixed; boundary=x"
    );
    assert_eq!(arrived["body"], "--x--");
}

#[tokio::test]
async fn reads_flow_without_their_bodies_and_odd_headers() {
    let org = Org::new().await;
    let mut request = org.request("GET", "contacts?$select=fullname&$top=1", "");
    request.body = Body::Full("DELETE".into());
    let request = with_header(
        with_header(request, "accept-encoding", "gzip"),
        "cookie",
        "a=b",
    );
    let answer = org.pass(request).await.ok(200);
    assert_eq!(answer.body["value"].as_array().unwrap().len(), 1);
    let calls = org.journal(&["GET"]);
    let call = calls.last().unwrap();
    assert_eq!(call["body"], Value::from(""));
    assert!(
        call["headers"].get("cookie").is_none() && call["headers"].get("accept-encoding").is_none()
    );
}

#[tokio::test]
async fn a_crowd_asks_for_metadata_once() {
    let org = Org::new().await;
    let parses = (0..20).map(|_| {
        org.connector
            .parse(org.request("POST", "contacts", r#"{"lastname":"A"}"#))
    });
    for parsed in futures::future::join_all(parses).await {
        parsed.unwrap();
    }
    let calls = org.journal(&["GET"]);
    let definitions = calls
        .iter()
        .filter(|call| call["path"].as_str().unwrap().contains("EntityDefinitions"));
    assert_eq!(definitions.count(), 3);
}

/// One create in random order, spacing, escapes and number spellings.
fn spelling() -> impl Strategy<Value = String> {
    let score = prop::sample::select(vec!["7", "7.0", "70e-1", "\"7\"", "\" 7 \""]);
    let limit = prop::sample::select(vec!["1250.5", "1250.50", "12505E-1", "1.2505e+3"]);
    let consent = prop::sample::select(vec!["true", "\"true\"", "\"TRUE\""]);
    let name = prop::sample::select(vec![r#""Ng""#, r#""\u004eg""#, r#""\u004E\u0067""#]);
    let key = prop::sample::select(vec![r#""lastname""#, r#""\u006castname""#]);
    let empty = prop::sample::select(vec!["null", r#""""#]);
    let gap = prop::sample::select(vec!["", " ", "\n\t"]);
    (score, limit, consent, (key, name), empty, gap).prop_flat_map(
        |(score, limit, consent, (key, name), empty, gap)| {
            let members = vec![
                format!(r#""cg_score"{gap}:{score}"#),
                format!(r#""creditlimit":{gap}{limit}"#),
                format!(r#""donotemail":{consent}"#),
                format!("{key}:{name}{gap}"),
                format!(r#""jobtitle":{empty}"#),
            ];
            Just(members)
                .prop_shuffle()
                .prop_map(move |members| format!("{{{gap}{}}}", members.join(",")))
        },
    )
}

#[test]
fn any_spelling_of_a_write_gives_one_input() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let org = runtime.block_on(Org::new());
    let views = |body: &str| {
        let request = org.request("POST", "contacts", body);
        let resolved = runtime
            .block_on(org.resolve(request, &everything()))
            .unwrap();
        resolved.change.views().clone()
    };
    let plain =
        r#"{"lastname":"Ng","cg_score":7,"creditlimit":1250.5,"donotemail":true,"jobtitle":null}"#;
    let wanted = views(plain);
    let text = |views: &Views| format!("{views:?}");
    let config = ProptestConfig::with_cases(64);
    proptest!(config, |(body in spelling())| {
        prop_assert_eq!(text(&views(&body)), text(&wanted), "{}", body);
    });
}
