//! Records from creation to deletion, against the simulator.

use std::time::Duration;

use crmgate_connector::{Failure, ParseFailure, ReadBackResult};
use crmgate_domain::{Document, FieldRef, Kind, Patch, PatchOp};
use serde_json::{Value, json};

use crate::support::{Org, Reading, as_json, reading, request, sobjects, whole, with_header};

fn set(field: &str, value: Document) -> Patch {
    Patch {
        op: PatchOp::Set,
        field: FieldRef(field.to_owned()),
        value,
        package: "crm.test".to_owned(),
    }
}

#[tokio::test]
async fn create_read_update_delete() {
    let org = Org::new().await;
    let nothing = Reading::default();
    let body = r#"{"lastname": "Lovelace", "Email" : " ada@example.com "}"#;
    let (status, created) = org
        .write(request("POST", &sobjects("contact/"), body), &nothing)
        .await;
    assert_eq!(status, 201, "{created}");
    assert_eq!(created["success"], true);
    let id = created["id"].as_str().unwrap().to_owned();
    assert_eq!(org.journal(&["POST"])[0]["body"], body, "byte for byte");

    let place = sobjects(&format!("Contact/{}", &id[..15]));
    let update = request("PATCH", &place, r#"{"FirstName":"Ada"}"#);
    let before = reading(&["full_name"], &["email"]);
    let resolved = org.resolve(update, &before).await.unwrap();
    assert_eq!(resolved.kind, Kind::Update);
    assert_eq!(resolved.record_id.as_ref(), Some(&id));
    let views = resolved.change.views();
    let record = as_json(views.record.as_ref());
    assert_eq!(record["full_name"], "Ada Lovelace");
    assert_eq!(as_json(views.before.as_ref())["email"], "ada@example.com");
    let changed: Vec<&str> = views.changes.keys().map(String::as_str).collect();
    assert_eq!(changed, ["first_name", "full_name"]);
    let outgoing = resolved.change.outgoing();
    assert!(outgoing.pinned_by_gate);
    assert!(outgoing.headers.contains_key("if-unmodified-since"));
    assert_eq!(
        whole(org.send(&resolved.change).await.unwrap()).await,
        (204, Value::Null)
    );

    let (status, headers, row) = org.pass(request("GET", &place, "")).await;
    assert_eq!((status, &row["FirstName"]), (200, &json!("Ada")));
    assert!(headers.contains_key("sforce-limit-info"));

    let delete = request("DELETE", &place, "");
    let resolved = org
        .resolve(delete, &reading(&[], &["last_name"]))
        .await
        .unwrap();
    assert_eq!(resolved.kind, Kind::Delete);
    assert!(resolved.change.views().record.is_none());
    let (status, _) = whole(org.send(&resolved.change).await.unwrap()).await;
    assert_eq!(status, 204);
    let (status, _, gone) = org.pass(request("GET", &place, "")).await;
    assert_eq!(status, 404, "{gone}");
}

#[tokio::test]
async fn an_upsert_becomes_what_it_is() {
    let org = Org::new().await;
    let place = sobjects("Contact/Ext_Id__c/web-77");
    let upsert = |body: &str| request("PATCH", &place, body);
    let resolved = org
        .resolve(upsert(r#"{"LastName":"New"}"#), &reading(&[], &["email"]))
        .await
        .unwrap();
    assert_eq!(
        (resolved.kind, resolved.record_id.clone()),
        (Kind::Create, None)
    );
    let native = as_json(resolved.change.views().native.as_ref());
    assert_eq!(native["Ext_Id__c"], "web-77");
    let other = org
        .resolve(upsert(r#"{"LastName":"Racer"}"#), &Reading::default())
        .await
        .unwrap();
    let (status, answer) = whole(org.send(&resolved.change).await.unwrap()).await;
    assert_eq!(
        (status, &answer["created"]),
        (201, &json!(true)),
        "{answer}"
    );

    // The other one was judged as a create, too; the record exists by now.
    assert!(matches!(
        org.send(&other.change).await,
        Err(Failure::VersionMismatch)
    ));
    let again = org
        .resolve(
            upsert(r#"{"LastName":"Racer"}"#),
            &reading(&[], &["last_name"]),
        )
        .await
        .unwrap();
    assert_eq!(again.kind, Kind::Update);
    assert!(again.change.outgoing().pinned_by_gate);
    let (status, answer) = whole(org.send(&again.change).await.unwrap()).await;
    assert_eq!((status, &answer["created"]), (200, &json!(false)));

    let old = request(
        "PATCH",
        &place.replace("v66.0", "v45.0"),
        r#"{"LastName":"Old"}"#,
    );
    let (status, answer) = org.write(old, &Reading::default()).await;
    assert_eq!((status, answer), (204, Value::Null));

    let only = request(
        "PATCH",
        &format!("{}?updateOnly=true", sobjects("Contact/Ext_Id__c/none")),
        "{}",
    );
    let failure = org.resolve(only, &Reading::default()).await.err().unwrap();
    assert!(
        matches!(failure, ParseFailure::Failure(Failure::Refused { code, .. }) if code == "NOT_FOUND")
    );

    let gone = request("DELETE", &place, "");
    let (status, _) = org.write(gone, &Reading::default()).await;
    assert_eq!(status, 204);
    let last = org.journal(&["DELETE"]).pop().unwrap();
    assert!(
        last["path"].as_str().unwrap().contains("/Contact/003"),
        "{last}"
    );
}

#[tokio::test]
async fn another_field_s_duplicate_is_the_clients_own() {
    let org = Org::new().await;
    let place = sobjects("Account/Ledger_Code__c/unseen");
    let body = r#"{"Name":"Copy","Ext_Id__c":"ERP-10000"}"#;
    let resolved = org
        .resolve(request("PATCH", &place, body), &Reading::default())
        .await
        .unwrap();
    let failure = org.send(&resolved.change).await.err().unwrap();
    assert!(matches!(failure, Failure::Refused { code, .. } if code == "DUPLICATE_VALUE"));
}

#[tokio::test]
async fn a_record_that_changed_since_it_was_read_is_not_written() {
    let org = Org::new().await;
    let id = org.id_of("Account", "Name", "Northgate Foods").await;
    let place = sobjects(&format!("Account/{id}"));
    let needs = reading(&[], &["name"]);
    let update = |body: &str| request("PATCH", &place, body);
    let first = org
        .resolve(update(r#"{"Rating":"Hot"}"#), &needs)
        .await
        .unwrap();
    org.sim_clock(Duration::from_secs(2));
    org.write(update(r#"{"Rating":"Cold"}"#), &needs).await;
    assert!(matches!(
        org.send(&first.change).await,
        Err(Failure::VersionMismatch)
    ));

    // A client's own stale precondition is answered by Salesforce, as 412.
    let stale = with_header(
        update(r#"{"Rating":"Warm"}"#),
        "if-unmodified-since",
        "Mon, 05 Jan 2015 10:00:00 GMT",
    );
    let resolved = org.resolve(stale, &needs).await.unwrap();
    assert!(!resolved.change.outgoing().pinned_by_gate);
    let failure = org.send(&resolved.change).await.err().unwrap();
    let Failure::Refused { response, .. } = failure else {
        panic!("{failure}");
    };
    assert_eq!(response.unwrap().status, 412);
}

#[tokio::test]
async fn patches_go_out_and_are_told() {
    let org = Org::new().await;
    let create = request(
        "POST",
        &sobjects("Contact"),
        r#"{"attributes":{"type":"Contact"},"LASTNAME":"Novak","Phone":"030 1234","Score__c":"5.0"}"#,
    );
    let resolved = org.resolve(create, &Reading::default()).await.unwrap();
    assert!(resolved.change.changed_fields().is_empty());
    let patched = resolved
        .change
        .patched_native(&[
            set("phone", "+49301234".into()),
            set("native.Department", "Lab".into()),
            set("score", 5_i64.into()),
        ])
        .unwrap();
    assert_eq!(patched.changed_fields(), ["Department", "Phone"]);
    let sent = patched.outgoing();
    insta::assert_snapshot!(String::from_utf8_lossy(&sent.body), @r#"{"attributes":{"type":"Contact"},"LASTNAME":"Novak","Phone":"+49301234","Score__c":"5.0","Department":"Lab"}"#);
    let (status, _) = whole(org.send(&patched).await.unwrap()).await;
    assert_eq!(status, 201);
    for (field, value, expected) in [
        ("native.Nope__c", "x".into(), "has no field"),
        ("full_name", "x".into(), "the CRM sets it itself"),
        ("account", "x".into(), "a record id"),
    ] {
        let error = resolved
            .change
            .patched_native(&[set(field, value)])
            .err()
            .unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn money_and_related_records() {
    let org = Org::new().await;
    let account = org.id_of("Account", "Name", "Northgate Foods").await;
    let body = json!({
        "Name": "Deal", "StageName": "Closed Won", "CloseDate": "2026-06-30", "Amount": "12500.50",
        "CurrencyIsoCode": "EUR", "Account": {"Ext_Id__c": "ERP-10001"},
        "Region__c": "EMEA;APAC"
    });
    let mut needs = reading(&["amount_minor"], &[]);
    needs.0.related.insert("account".to_owned());
    let create = request("POST", &sobjects("Opportunity"), &body.to_string());
    let resolved = org.resolve(create, &needs).await.unwrap();
    let views = resolved.change.views();
    let record = as_json(views.record.as_ref());
    assert_eq!(record["amount"].to_string(), "12500.5");
    assert_eq!(record["amount_minor"], 1_250_050);
    assert_eq!(record["stage"], "closed_won");
    assert_eq!(record["account"], json!({"type": "account", "id": account}));
    let related = as_json(Some(&views.related));
    assert_eq!(related["account"]["name"], "Northgate Foods");
    assert_eq!(related["account"]["native"]["Ext_Id__c"], "ERP-10001");
    assert!(views.unknown.is_empty(), "{:?}", views.unknown);
    let body = String::from_utf8(resolved.change.outgoing().body.to_vec()).unwrap();
    assert!(body.contains(&format!("\"AccountId\":\"{account}\"")) && !body.contains("ERP-10001"));
    let (status, answer) = whole(org.send(&resolved.change).await.unwrap()).await;
    assert_eq!(status, 201, "{answer}");
}

#[tokio::test]
async fn without_a_credential_of_its_own_stored_fields_are_unknown() {
    let org = Org::without_service().await;
    let with = Org::new().await;
    let id = with.id_of("Account", "Name", "Northgate Foods").await;
    let place = sobjects(&format!("Account/{id}"));
    let update = request("PATCH", &place, r#"{"Phone":"1"}"#);
    let resolved = org
        .resolve(update, &reading(&["phone", "name"], &[]))
        .await
        .unwrap();
    let unknown: Vec<&str> = resolved
        .change
        .views()
        .unknown
        .iter()
        .map(|f| f.0.as_str())
        .collect();
    assert_eq!(unknown, ["name", "native.Name"]);
    let because = resolved.change.views().unknown_because.clone().unwrap();
    assert!(because.contains("no credential"), "{because}");
    assert!(
        org.journal(&["GET"])
            .iter()
            .all(|entry| { entry["path"].as_str().unwrap().ends_with("/describe") })
    );
}

#[tokio::test]
async fn a_lost_answer_is_read_back() {
    let org = Org::with(
        |options| json!({"flow": "refresh_token", "client_id": options.client_id, "client_secret": format!("fixed:{}", options.client_secret), "refresh_token": format!("fixed:{}", options.refresh_token)}),
        json!({"external_id_fields": {"contact": "Ext_Id__c"}}),
    )
    .await;
    assert!(org.connector.capabilities().keyed_create);
    let actor = org
        .connector
        .identify(&crate::support::RAE.into())
        .await
        .unwrap()
        .actor
        .id;
    let create = |name: &str| {
        request(
            "POST",
            &sobjects("Contact"),
            &format!("{{\"LastName\":\"{name}\"}}"),
        )
    };
    let judged = |kind: &'static str| {
        let fault = json!({"faults": [{"method": "POST", "path": "/services/data/", "kind": kind, "times": 1}]});
        let org = &org;
        async move {
            org.set_faults(&fault).await;
            let resolved = org
                .resolve(create(kind), &Reading::default())
                .await
                .unwrap();
            assert_eq!(resolved.change.changed_fields(), ["Ext_Id__c"]);
            let failure = org.send(&resolved.change).await.err().unwrap();
            assert!(matches!(failure, Failure::Unknown { .. }), "{failure}");
            resolved.change
        }
    };
    let lost = judged("drop_after_commit").await;
    let found = org
        .connector
        .read_back(&lost.read_back(Some(&actor)))
        .await
        .unwrap();
    let ReadBackResult::Happened(Some(id)) = found else {
        panic!("{found:?}");
    };
    let (status, answer) = whole(lost.confirmed(Some(&id))).await;
    assert_eq!((status, &answer["id"]), (201, &json!(id)));
    let never = judged("drop_before_commit").await;
    let found = org
        .connector
        .read_back(&never.read_back(Some(&actor)))
        .await
        .unwrap();
    assert_eq!(found, ReadBackResult::DidNotHappen);
    let other = lost.read_back(Some("005000000000000AAA"));
    let found = org.connector.read_back(&other).await.unwrap();
    assert!(matches!(found, ReadBackResult::Uncertain(_)));
}

#[tokio::test]
async fn an_update_is_read_back_by_its_values_and_its_writer() {
    let org = Org::new().await;
    let actor = org
        .connector
        .identify(&crate::support::RAE.into())
        .await
        .unwrap()
        .actor
        .id;
    let id = org.id_of("Account", "Name", "Northgate Foods").await;
    let place = sobjects(&format!("Account/{id}"));
    let update = request("PATCH", &place, r#"{"Phone":"+44 1"}"#);
    let needs = reading(&[], &["phone"]);
    let resolved = org.resolve(update, &needs).await.unwrap();
    let read_back = resolved.change.read_back(Some(&actor));
    let ask = async || org.connector.read_back(&read_back).await.unwrap();
    assert_eq!(ask().await, ReadBackResult::DidNotHappen);
    org.sim_clock(Duration::from_secs(2));
    org.send(&resolved.change).await.unwrap();
    assert_eq!(ask().await, ReadBackResult::Happened(Some(id)));
    org.sim_clock(Duration::from_secs(2));
    let (status, _) = org
        .write(
            request("PATCH", &place, r#"{"Phone":"9"}"#),
            &Reading::default(),
        )
        .await;
    assert_eq!(status, 204);
    assert!(matches!(ask().await, ReadBackResult::Uncertain(_)));
}

#[tokio::test]
async fn sessions_expire_and_rows_lock() {
    let org = Org::new().await;
    assert_eq!(
        org.connector
            .query("SELECT Id FROM Profile", None)
            .await
            .unwrap()
            .rows
            .len(),
        4
    );
    org.set_faults(&json!({"faults": [{"method": "GET", "path": "/services/data/*", "kind": "expire_session", "times": 1}]})).await;
    let rows = org
        .connector
        .query("SELECT Id FROM Profile", None)
        .await
        .unwrap()
        .rows;
    assert_eq!(rows.len(), 4, "signed in anew");
    org.set_faults(&json!({"faults": [{"method": "PATCH", "path": "/services/data/*", "kind": "lock_row", "times": 1}]})).await;
    let id = org.id_of("Account", "Name", "Northgate Foods").await;
    let update = request(
        "PATCH",
        &sobjects(&format!("Account/{id}")),
        r#"{"Phone":"1"}"#,
    );
    let resolved = org.resolve(update, &Reading::default()).await.unwrap();
    let failure = org.send(&resolved.change).await.err().unwrap();
    assert!(matches!(failure, Failure::Repeatable { code, .. } if code == "locked"));
}

#[tokio::test]
async fn paging_and_describing_stay_at_the_gate() {
    let org = Org::new().await;
    let query = "/services/data/v66.0/query/?q=SELECT+Id,Name+FROM+Account+ORDER+BY+Name";
    let few = with_header(
        request("GET", query, ""),
        "sforce-query-options",
        "batchSize=200",
    );
    let (status, _, page) = org.pass(few).await;
    assert_eq!(status, 200);
    assert!(page["records"].as_array().unwrap().len() > 5);
    let (status, _, describe) = org
        .pass(request("GET", &sobjects("Account/describe"), ""))
        .await;
    assert_eq!(status, 200);
    let text = describe.to_string();
    assert!(
        !text.contains(&org.running.url),
        "the org's own address leaks"
    );
    assert!(
        text.contains("https://gate.example:8701/"),
        "links point to the gate"
    );
    let (_, _, info) = org
        .pass(request("GET", "/services/oauth2/userinfo", ""))
        .await;
    assert!(!info.to_string().contains(&org.running.url), "{info}");
    let (status, _, versions) = org.pass(request("GET", "/services/data", "")).await;
    assert_eq!(status, 200);
    assert!(versions.as_array().unwrap().len() > 1);
}

#[tokio::test]
async fn what_may_write_does_not_pass_without_a_permit() {
    let org = Org::new().await;
    for (method, path) in [
        ("POST", sobjects("Contact")),
        ("POST", "/services/data/v66.0/composite".to_owned()),
        ("POST", "/services/Soap/u/59.0".to_owned()),
    ] {
        let passed = org
            .connector
            .pass(request(method, &path, "{}"), &org.caller(), None)
            .await;
        assert!(passed.is_err(), "{method} {path}");
    }
    assert!(org.journal(&["POST"]).is_empty());
    let opaque = request("POST", "/services/data/v66.0/composite", "{}");
    let hash = opaque.head.passing_hash();
    let permit = crmgate_testkit::permit(org.connector.name(), hash, &org.ambient).await;
    let response = org
        .connector
        .pass(opaque, &org.caller(), Some(permit))
        .await
        .unwrap();
    assert_eq!(response.status, 400, "the org's own answer to an empty one");
}
