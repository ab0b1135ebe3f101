//! What is particular to Salesforce about writes that go together, against the simulator.

use std::sync::Arc;

use crmgate_connector::{
    Credential, Delivered, Failure, NativeChange, NativeRequest, Parcel, ReadBackResult,
};
use crmgate_domain::OperationId;
use crmgate_testkit::permit;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::support::{Org, Reading, TOMA, reading, request, sobjects, with_header};

type Change = Arc<dyn NativeChange>;

pub(crate) async fn keyed() -> Org {
    Org::with(
        |options| {
            json!({
                "flow": "client_credentials",
                "client_id": options.client_id,
                "client_secret": format!("fixed:{}", options.client_secret),
            })
        },
        json!({"external_id_fields": {"Contact": "Ext_Id__c", "Account": "Ext_Id__c"}}),
    )
    .await
}

fn create(object: &str, body: &Value) -> NativeRequest {
    request("POST", &sobjects(object), &body.to_string())
}

/// A judged change, seeded as those of a queue are.
pub(crate) async fn judged(org: &Org, asked: NativeRequest, seed: Option<OperationId>) -> Change {
    let mut draft = org.connector.parse(asked).await.unwrap();
    draft.seed = seed;
    let needs = Reading::default();
    let resolved = org.connector.resolve(draft, &needs, &org.caller()).await;
    resolved.unwrap().change
}

async fn fresh(org: &Org, object: &str, body: &Value) -> Change {
    let seed = OperationId::fresh(org.ambient.as_ref());
    judged(org, create(object, body), Some(seed)).await
}

async fn contacts(org: &Org, names: impl IntoIterator<Item = String>) -> Vec<Change> {
    let mut all = Vec::new();
    for name in names {
        all.push(fresh(org, "Contact", &json!({"LastName": name})).await);
    }
    all
}

async fn parcels(org: &Org, all: &[Change]) -> Vec<Parcel> {
    let mut parcels = Vec::new();
    for change in all {
        let outgoing = change.outgoing();
        parcels.push(Parcel {
            permit: permit(org.connector.name(), outgoing.hash(), &org.ambient).await,
            outgoing,
            change: Arc::clone(change),
        });
    }
    parcels
}

async fn together(org: &Org, all: &[Change], atomic: bool, who: &Credential) -> Delivered {
    let parcels = parcels(org, all).await;
    org.connector.write_together(parcels, atomic, who).await
}

fn words(delivered: &Delivered) -> Vec<String> {
    delivered
        .results
        .iter()
        .map(|result| match result {
            Ok(written) => written.response.status.as_u16().to_string(),
            Err(Failure::Refused { code, .. }) => format!("refused {code}"),
            Err(Failure::Repeatable { code, .. }) => format!("repeatable {code}"),
            Err(Failure::VersionMismatch) => "mismatch".to_owned(),
            Err(Failure::Unknown { .. }) => "unknown".to_owned(),
        })
        .collect()
}

fn reasons(delivered: &Delivered) -> String {
    format!("{:?}", delivered.results)
}

#[tokio::test]
async fn more_than_a_collection_holds_goes_in_several() {
    let org = keyed().await;
    let all = contacts(&org, (0..250).map(|n| format!("Many {n}"))).await;
    let form = org.connector.form(all[0].as_ref(), false).unwrap();
    assert_eq!(form.most, 200);
    let delivered = together(&org, &all, false, &Credential::Service).await;
    assert_eq!(delivered.calls, 2);
    assert_eq!(words(&delivered), vec!["201"; 250]);
    let calls = org.journal(&["POST"]);
    let sizes: Vec<usize> = calls
        .iter()
        .map(|call| {
            let body: Value = serde_json::from_str(call["body"].as_str().unwrap()).unwrap();
            body["records"].as_array().unwrap().len()
        })
        .collect();
    assert_eq!(sizes, [200, 50]);
    let group = together(
        &org,
        &contacts(&org, (0..201).map(|n| n.to_string())).await,
        true,
        &Credential::Service,
    )
    .await;
    assert_eq!(
        (group.calls, words(&group)[0].as_str()),
        (0, "repeatable rolled_back")
    );
}

#[tokio::test]
async fn a_record_goes_as_it_was_judged_and_is_answered_as_alone() {
    let org = keyed().await;
    let body = r#"{"attributes":{"type":"Contact"},"lastname":"Exact","Score__c":5.10,"Ext_Id__c":"own-1"}"#;
    let change = judged(&org, request("POST", &sobjects("contact"), body), None).await;
    let delivered = together(&org, std::slice::from_ref(&change), false, &org.caller()).await;
    let sent = org.journal(&["POST"]);
    assert_eq!(
        sent[0]["body"],
        r#"{"allOrNone":false,"records":[{"attributes":{"type":"Contact"},"lastname":"Exact","Score__c":5.10,"Ext_Id__c":"own-1"}]}"#
    );
    assert_eq!(sent[0]["path"], "/services/data/v66.0/composite/sobjects");
    let written = delivered.results.into_iter().next().unwrap().unwrap();
    let id = written.record_id.clone().unwrap();
    let answer = change.reply(written.response);
    assert_eq!(
        answer.headers["location"],
        sobjects(&format!("Contact/{id}"))
    );
    assert!(answer.headers.contains_key("sforce-limit-info"));
    let (status, body) = crate::support::whole(answer).await;
    assert_eq!(
        (status, body),
        (201, json!({"id": id, "success": true, "errors": []}))
    );
    // The same key again, of another operation: the CRM's own refusal, as alone.
    let twice = fresh(
        &org,
        "Contact",
        &json!({"LastName": "Other", "Ext_Id__c": "own-1"}),
    )
    .await;
    let delivered = together(&org, &[twice], false, &org.caller()).await;
    assert_eq!(words(&delivered), ["refused DUPLICATE_VALUE"]);
    let allowance = org.connector.allowance().unwrap();
    assert_eq!(allowance.most, 5_000_000);
    assert!(allowance.used >= 2 && allowance.over.as_secs() == 86_400);
}

#[tokio::test]
async fn what_cannot_be_pinned_or_found_again_goes_alone() {
    let org = keyed().await;
    let id = org.id_of("Contact", "LastName", "Ashdown").await;
    let place = sobjects(&format!("Contact/{id}"));
    let keyed = fresh(&org, "Contact", &json!({"LastName": "K"})).await;
    let assigned = with_header(
        create("Contact", &json!({"LastName": "K"})),
        "sforce-auto-assign",
        "FALSE",
    );
    let assigned = judged(&org, assigned, None).await;
    let alone = [
        (
            judged(&org, request("PATCH", &place, r#"{"Title":"x"}"#), None).await,
            "cannot pin",
        ),
        (
            judged(&org, request("DELETE", &place, ""), None).await,
            "cannot pin",
        ),
        (
            fresh(&org, "Lead", &json!({"LastName": "L", "Company": "C"})).await,
            "external_id_fields",
        ),
        (
            judged(
                &org,
                request(
                    "POST",
                    "/services/data/v41.0/sobjects/Contact",
                    r#"{"LastName":"L"}"#,
                ),
                None,
            )
            .await,
            "version 42.0",
        ),
    ];
    for (change, why) in &alone {
        for atomic in [false, true] {
            assert_eq!(org.connector.form(change.as_ref(), atomic), None, "{why}");
        }
        let said = org.connector.cannot_be_atomic(change.as_ref());
        assert!(
            said.code == "not_atomic" && said.message.contains(why),
            "{said}"
        );
        let delivered = together(&org, std::slice::from_ref(change), false, &org.caller()).await;
        assert_eq!(
            (delivered.calls, words(&delivered)),
            (0, vec!["repeatable connect".to_owned()])
        );
    }
    let key = |change: &Change, atomic| org.connector.form(change.as_ref(), atomic).unwrap().key;
    let account = fresh(&org, "Account", &json!({"Name": "K"})).await;
    assert_ne!(key(&keyed, false), key(&assigned, false), "other headers");
    assert_ne!(
        key(&keyed, false),
        key(&account, false),
        "one object in a call"
    );
    assert_eq!(
        key(&keyed, true),
        key(&account, true),
        "groups may hold several"
    );
    let own = fresh(
        &org,
        "Lead",
        &json!({"LastName": "L", "Company": "C", "Ext_Id__c": "l-1"}),
    )
    .await;
    assert!(
        org.connector.form(own.as_ref(), false).is_some(),
        "a key of the client's own will do"
    );
}

#[tokio::test]
async fn groups_of_several_objects_are_atomic() {
    let org = keyed().await;
    let mut all = Vec::new();
    for n in 0..12 {
        all.push(match n % 2 {
            0 => fresh(&org, "Account", &json!({"Name": format!("Mixed {n}")})).await,
            _ => fresh(&org, "Contact", &json!({"LastName": format!("Mixed {n}")})).await,
        });
    }
    let bad = fresh(
        &org,
        "Contact",
        &json!({"LastName": "Mixed", "Birthdate": "2999-01-01"}),
    )
    .await;
    all.push(bad);
    let delivered = together(&org, &all, true, &org.caller()).await;
    let mut expected = vec!["repeatable rolled_back".to_owned(); 12];
    expected.push("refused FIELD_CUSTOM_VALIDATION_EXCEPTION".to_owned());
    assert_eq!((delivered.calls, words(&delivered)), (1, expected));
    assert!(reasons(&delivered).contains("The birthdate cannot be in the future."));
    all.pop();
    let delivered = together(&org, &all, true, &org.caller()).await;
    assert_eq!(
        (delivered.calls, words(&delivered)),
        (1, vec!["201".to_owned(); 12])
    );
    // Sent once more, as after a crash: the same records.
    let again = together(&org, &all, true, &org.caller()).await;
    let ids = |delivered: &Delivered| -> Vec<Option<String>> {
        let written = delivered
            .results
            .iter()
            .map(|result| result.as_ref().unwrap());
        written.map(|written| written.record_id.clone()).collect()
    };
    assert_eq!(ids(&again), ids(&delivered));
    for (change, result) in all.iter().zip(delivered.results) {
        let id = result.unwrap().record_id;
        let found = org.connector.read_back(&change.read_back(None)).await;
        assert_eq!(
            found.unwrap(),
            ReadBackResult::Happened(id),
            "each has its own"
        );
    }
}

#[tokio::test]
async fn upserts_that_create_go_together_and_only_create() {
    let org = keyed().await;
    let upsert = |key: &str| {
        let place = sobjects(&format!("Contact/Ext_Id__c/{key}"));
        request("PATCH", &place, r#"{"LastName":"Upserted"}"#)
    };
    let all = [
        judged(&org, upsert("up-1"), None).await,
        judged(&org, upsert("up-2"), None).await,
    ];
    let made = fresh(
        &org,
        "Contact",
        &json!({"LastName": "First", "Ext_Id__c": "up-1"}),
    )
    .await;
    org.send(&made).await.unwrap();
    let delivered = together(&org, &all, false, &org.caller()).await;
    assert_eq!(
        words(&delivered),
        ["mismatch", "201"],
        "judged as a create, it may not update"
    );
    assert_eq!(delivered.calls, 2, "looking counts");
}

#[tokio::test]
async fn a_users_rights_hold_in_collections() {
    let org = keyed().await;
    let toma = Credential::Caller(SecretString::from(TOMA));
    // Toma may read this key, and not write it.
    let all = contacts(&org, ["Rights".to_owned()]).await;
    let delivered = together(&org, &all, false, &toma).await;
    assert_eq!(
        words(&delivered),
        ["refused INVALID_FIELD_FOR_INSERT_UPDATE"]
    );
    let dead = Credential::Caller(SecretString::from("nobody's"));
    let delivered = together(
        &org,
        &contacts(&org, ["R".to_owned(), "S".to_owned()]).await,
        false,
        &dead,
    )
    .await;
    assert_eq!(words(&delivered), vec!["refused INVALID_SESSION_ID"; 2]);
    assert_eq!(delivered.calls, 1);
}

#[tokio::test]
async fn a_create_that_meets_its_own_key_says_what_is_there() {
    let org = keyed().await;
    let seed = OperationId::fresh(org.ambient.as_ref());
    let with = async |phone: &str| {
        let body = json!({"LastName": "Own", "Phone": phone});
        judged(&org, create("Contact", &body), Some(seed)).await
    };
    let (first, other) = (with("1").await, with("2").await);
    let made = together(&org, std::slice::from_ref(&first), false, &org.caller()).await;
    let id = made.results[0].as_ref().unwrap().record_id.clone().unwrap();
    // Judged anew with another value, while the first had happened after all.
    for _ in 0..2 {
        let delivered = together(&org, std::slice::from_ref(&other), false, &org.caller()).await;
        assert_eq!(words(&delivered), ["unknown"]);
        assert!(reasons(&delivered).contains(&id) && reasons(&delivered).contains("Phone"));
    }
    let alone = org.send(&other).await.unwrap_err();
    assert!(matches!(alone, Failure::Unknown { .. }), "{alone:?}");
    let ask = async || {
        org.connector
            .read_back(&other.read_back(None))
            .await
            .unwrap()
    };
    let ReadBackResult::Uncertain(why) = ask().await else {
        panic!("happened");
    };
    assert!(why.contains(&id) && why.contains("Phone"), "{why}");
    let same = org
        .connector
        .read_back(&first.read_back(None))
        .await
        .unwrap();
    assert_eq!(same, ReadBackResult::Happened(Some(id.clone())));
    // Somebody changes the record: under a key that nobody else has, that explains the difference.
    org.sim_clock(std::time::Duration::from_secs(2));
    let place = sobjects(&format!("Contact/{id}"));
    let (status, _) = org
        .write(
            request("PATCH", &place, r#"{"Phone":"3"}"#),
            &reading(&[], &[]),
        )
        .await;
    assert_eq!(status, 204);
    assert_eq!(ask().await, ReadBackResult::Happened(Some(id.clone())));
    let delivered = together(&org, &[first], false, &org.caller()).await;
    assert_eq!(delivered.results[0].as_ref().unwrap().record_id, Some(id));
}

#[tokio::test]
async fn a_call_that_reaches_nobody_can_be_repeated() {
    let org = keyed().await;
    let all = contacts(&org, ["A".to_owned(), "B".to_owned()]).await;
    let parcels = parcels(&org, &all).await;
    let (connector, caller) = (Arc::clone(&org.connector), org.caller());
    org.running.shutdown().await;
    let delivered = connector.write_together(parcels, true, &caller).await;
    assert_eq!(words(&delivered), ["repeatable connect"; 2]);
}
