//! Writes that go together, against the simulator: what is particular to Dataverse.

use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{
    Connector, Credential, Delivered, Failure, NativeChange, NativeRequest, Parcel, ReadBackResult,
    Written,
};
use crmgate_domain::OperationId;
use crmgate_sim::Clock;
use crmgate_testkit::permit;
use serde_json::{Value, json};

use crate::support::{ADMIN, Org, Reading, client, reading, seen, with_header};

pub(crate) type Change = Arc<dyn NativeChange>;
type Outcome = Result<Written, Failure>;

/// Sends changes in one call by a connector of the same connection.
pub(crate) async fn sent_by(
    connector: &Arc<dyn Connector>,
    org: &Org,
    (changes, atomic): (&[Change], bool),
    credential: &Credential,
) -> Delivered {
    let mut parcels = Vec::new();
    for change in changes {
        let outgoing = change.outgoing();
        parcels.push(Parcel {
            permit: permit(connector.name(), outgoing.hash(), &org.ambient).await,
            outgoing,
            change: Arc::clone(change),
        });
    }
    connector.write_together(parcels, atomic, credential).await
}

pub(crate) async fn sent(org: &Org, changes: &[Change], atomic: bool) -> Delivered {
    sent_by(&org.connector, org, (changes, atomic), &Credential::Service).await
}

pub(crate) async fn judged(org: &Org, request: NativeRequest) -> Change {
    let needs = reading(&["native.description"], &["native.description"]);
    org.resolve(request, &needs).await.unwrap().change
}

/// A create of an account, judged under an operation's key.
async fn seeded(org: &Org, body: &Value, seed: OperationId) -> Change {
    let request = org.request("POST", "accounts", &body.to_string());
    let mut draft = org.connector.parse(request).await.unwrap();
    draft.seed = Some(seed);
    let resolved = org
        .connector
        .resolve(draft, &Reading::default(), &org.caller())
        .await;
    resolved.unwrap().change
}

pub(crate) async fn account(org: &Org, body: Value) -> Change {
    judged(org, org.request("POST", "accounts", &body.to_string())).await
}

pub(crate) async fn update(org: &Org, id: &str, body: Value) -> Change {
    let request = org.request("PATCH", &format!("accounts({id})"), &body.to_string());
    judged(org, with_header(request, "if-match", "*")).await
}

async fn delete(org: &Org, id: &str) -> Change {
    judged(org, org.request("DELETE", &format!("accounts({id})"), "")).await
}

/// Makes an account; gives its id.
pub(crate) async fn made(org: &Org, name: &str) -> String {
    let change = account(org, json!({"name": name})).await;
    let delivered = sent(org, &[change], false).await;
    assert_eq!(delivered.calls, 1);
    let written = delivered.results.into_iter().next().unwrap().unwrap();
    written.record_id.unwrap()
}

/// Paths of the calls that may have written, from the given one on.
fn paths(org: &Org, from: usize) -> Vec<String> {
    let calls = org.journal(&["POST", "PATCH", "DELETE"]);
    let path = |call: &Value| {
        let path = call["path"].as_str().unwrap();
        path.rsplit('/').next().unwrap().to_owned()
    };
    calls.iter().skip(from).map(path).collect()
}

fn count(org: &Org) -> usize {
    org.journal(&["POST", "PATCH", "DELETE"]).len()
}

async fn name(org: &Org, id: &str) -> Option<String> {
    let rows = accounts(org).await;
    let row = rows.iter().find(|row| row["accountid"] == id)?;
    Some(row["name"].as_str().unwrap().to_owned())
}

/// All that is stored of accounts.
async fn accounts(org: &Org) -> Vec<Value> {
    let stored = control(org, "GET", "records/account", &Value::Null).await;
    stored.as_array().unwrap().clone()
}

fn word(outcome: &Outcome) -> &str {
    match outcome {
        Ok(_) => "ok",
        Err(Failure::Refused { code, .. } | Failure::Repeatable { code, .. }) => code,
        Err(Failure::VersionMismatch) => "mismatch",
        Err(Failure::Unknown { .. }) => "unknown",
    }
}

pub(crate) fn words(delivered: &Delivered) -> Vec<&str> {
    delivered.results.iter().map(word).collect()
}

async fn control(org: &Org, method: &str, place: &str, body: &Value) -> Value {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("{}/_sim/{place}", org.running.url))
        .body(bytes::Bytes::from(body.to_string()))
        .unwrap();
    let answer = client().execute_bytes(request, 1 << 26).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    serde_json::from_slice(answer.body()).unwrap_or_default()
}

async fn faults(org: &Org, fault: Value) {
    control(org, "PUT", "faults", &json!({"faults": [fault]})).await;
}

#[tokio::test]
async fn each_part_of_a_batch_has_its_own_answer() {
    let org = Org::new().await;
    let (one, two, three) = (
        made(&org, "One").await,
        made(&org, "Two").await,
        made(&org, "Three").await,
    );
    let stale = update(&org, &two, json!({"name": "Never"})).await;
    let other = update(&org, &two, json!({"name": "Meanwhile"})).await;
    sent(&org, &[other], false).await;
    let changes = [
        update(&org, &one, json!({"name": "One more"})).await,
        stale,
        account(&org, json!({"name": "Too much", "creditlimit": 10_000_001})).await,
        delete(&org, &three).await,
        account(&org, json!({"name": "Four"})).await,
    ];
    let before = count(&org);
    let delivered = sent(&org, &changes, false).await;
    assert_eq!(paths(&org, before), ["$batch"]);
    assert_eq!(delivered.calls, 1);
    assert_eq!(
        words(&delivered),
        ["ok", "mismatch", "0x80040265", "ok", "ok"]
    );
    assert_eq!(name(&org, &one).await.as_deref(), Some("One more"));
    assert_eq!(name(&org, &two).await.as_deref(), Some("Meanwhile"));
    assert_eq!(name(&org, &three).await, None);
    let entry = org.journal(&["POST"]).pop().unwrap();
    let body = entry["body"].as_str().unwrap();
    assert_eq!(
        body.matches("If-Match: W/").count() + body.matches("if-match: W/").count(),
        3
    );
    assert_eq!(entry["headers"]["prefer"], "odata.continue-on-error");

    // Each as it would have been alone.
    for (change, result) in changes.iter().zip(delivered.results) {
        let response = match result {
            Ok(written) => change.reply(written.response),
            Err(Failure::Refused { response, .. }) => *response.unwrap(),
            Err(_) => continue,
        };
        let refused = response.status.as_u16() == 400;
        let seen = seen(response).await;
        if refused {
            assert_eq!(seen.code(), "0x80040265");
        } else {
            seen.ok(204);
        }
    }
}

#[tokio::test]
async fn creates_of_one_table_go_by_one_message() {
    let org = Org::new().await;
    let mut changes = Vec::new();
    for number in 0..100 {
        changes.push(
            account(
                &org,
                json!({"name": format!("Bulk {number}"), "creditlimit": 12.50}),
            )
            .await,
        );
    }
    let form = org.connector.form(&*changes[0], false).unwrap();
    assert_eq!(
        (form.key.as_str(), form.most),
        ("CreateMultiple v9.2 accounts", 100)
    );
    let before = count(&org);
    let delivered = sent(&org, &changes, false).await;
    assert_eq!(
        paths(&org, before),
        ["Microsoft.Dynamics.CRM.CreateMultiple"]
    );
    assert_eq!(delivered.calls, 1);
    for (change, result) in changes.iter().zip(delivered.results) {
        let written = result.unwrap();
        let id = written.record_id.clone().unwrap();
        let found = org
            .connector
            .read_back(&change.read_back(None))
            .await
            .unwrap();
        assert_eq!(found, ReadBackResult::Happened(Some(id.clone())));
        let seen = seen(change.reply(written.response)).await.ok(204);
        assert!(
            seen.header("odata-entityid")
                .ends_with(&format!("accounts({id})"))
        );
        assert_eq!(seen.header("location"), seen.header("odata-entityid"));
        assert_eq!(seen.header("odata-version"), "4.0");
    }
}

#[tokio::test]
async fn a_refused_message_is_taken_apart() {
    let org = Org::new().await;
    let mut changes = Vec::new();
    for (name, limit) in [("A", 1), ("B", 10_000_001), ("C", 3)] {
        changes.push(account(&org, json!({"name": name, "creditlimit": limit})).await);
    }
    let before = count(&org);
    let delivered = sent(&org, &changes, false).await;
    let expected = ["Microsoft.Dynamics.CRM.CreateMultiple", "$batch"];
    assert_eq!(paths(&org, before), expected);
    assert_eq!(delivered.calls, 2);
    assert_eq!(words(&delivered), ["ok", "0x80040265", "ok"]);

    // The same once more, as after a crash: nothing is made twice.
    let rows = accounts(&org).await.len();
    let again = sent(&org, &changes, false).await;
    assert_eq!(words(&again), ["ok", "0x80040265", "ok"]);
    assert_eq!(
        again.calls, 4,
        "two look whether the records are the gate's own"
    );
    assert_eq!(accounts(&org).await.len(), rows);
    for (first, second) in delivered.results.iter().zip(&again.results) {
        let id = |outcome: &Outcome| outcome.as_ref().ok().and_then(|one| one.record_id.clone());
        assert_eq!(id(first), id(second));
    }
}

#[tokio::test]
async fn a_table_without_the_message_is_remembered_for_a_while() {
    let clock = Clock::default();
    let org = Org::on(json!({}), ADMIN, &clock).await;
    let fault = json!({"kind": "status", "status": 400, "method": "POST", "path": "*Multiple"});
    faults(&org, fault).await;
    let mut sent_as = Vec::new();
    for wait in [0, 1, 700] {
        clock.advance(Duration::from_secs(wait));
        let mut changes = Vec::new();
        for name in ["A", "B"] {
            changes.push(account(&org, json!({"name": name})).await);
        }
        let before = count(&org);
        assert_eq!(words(&sent(&org, &changes, false).await), ["ok", "ok"]);
        sent_as.push(paths(&org, before));
    }
    let message = "Microsoft.Dynamics.CRM.CreateMultiple";
    assert_eq!(
        sent_as,
        [
            vec![message, "$batch"],
            vec!["$batch"],
            vec![message, "$batch"]
        ]
    );
}

#[tokio::test]
async fn a_lock_on_one_record_holds_up_no_other() {
    let org = Org::new().await;
    let mut changes = Vec::new();
    for name in ["A", "Locked", "C"] {
        changes.push(account(&org, json!({"name": name})).await);
    }
    faults(
        &org,
        json!({"kind": "lock_row", "row": {"match": {"name": "Locked"}}}),
    )
    .await;
    let delivered = sent(&org, &changes, false).await;
    assert_eq!(words(&delivered), ["ok", "locked", "ok"]);
    faults(&org, json!({"kind": "status", "status": 429, "retry_after": 9, "row": {"match": {"name": "Locked"}}})).await;
    let mixed = [
        changes[1].clone(),
        update(
            &org,
            &org.id("account", "northgate"),
            json!({"description": "x"}),
        )
        .await,
    ];
    let delivered = sent(&org, &mixed, false).await;
    assert_eq!(words(&delivered), ["throttled", "ok"]);
    match &delivered.results[0] {
        Err(Failure::Repeatable { retry_after, .. }) => {
            assert_eq!(retry_after.map(|time| time.as_secs()), Some(9));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stale_pin_undoes_its_change_set() {
    let org = Org::new().await;
    let (one, two) = (made(&org, "One").await, made(&org, "Two").await);
    let stale = update(&org, &two, json!({"name": "Stale"})).await;
    let other = update(&org, &two, json!({"name": "Meanwhile"})).await;
    sent(&org, &[other], false).await;
    let group = [
        update(&org, &one, json!({"name": "One more"})).await,
        stale,
        account(&org, json!({"name": "Three"})).await,
    ];
    let form = org.connector.form(&*group[2], true).unwrap();
    assert_eq!(form.key, "change set v9.2");
    let rows = accounts(&org).await;
    let before = count(&org);
    let delivered = sent(&org, &group, true).await;
    assert_eq!(paths(&org, before), ["$batch"]);
    assert_eq!(
        words(&delivered),
        ["rolled_back", "mismatch", "rolled_back"]
    );
    assert_eq!(accounts(&org).await, rows);
    let fresh = [
        update(&org, &one, json!({"name": "One more"})).await,
        update(&org, &two, json!({"name": "Two more"})).await,
        group[2].clone(),
        delete(&org, &org.id("account", "northgate")).await,
    ];
    let delivered = sent(&org, &fresh[..3], true).await;
    assert_eq!(words(&delivered), ["ok", "ok", "ok"]);
    assert_eq!(name(&org, &two).await.as_deref(), Some("Two more"));
    let id = delivered.results[2].as_ref().unwrap().record_id.clone();
    assert_eq!(name(&org, &id.unwrap()).await.as_deref(), Some("Three"));
}

#[tokio::test]
async fn a_change_set_that_comes_twice_is_found_out() {
    let org = Org::new().await;
    let id = made(&org, "One").await;
    let group = [
        account(&org, json!({"name": "New"})).await,
        update(&org, &id, json!({"name": "Changed"})).await,
    ];
    faults(
        &org,
        json!({"kind": "drop_after_commit", "method": "POST", "path": "*batch", "times": 1}),
    )
    .await;
    let lost = sent(&org, &group, true).await;
    assert_eq!(words(&lost), ["unknown", "unknown"]);
    let rows = accounts(&org).await;
    let again = sent(&org, &group, true).await;
    assert_eq!(words(&again), ["ok", "unknown"]);
    assert_eq!(accounts(&org).await, rows);
    for change in &group {
        let read_back = change.read_back(None);
        let found = org.connector.read_back(&read_back).await.unwrap();
        assert!(matches!(found, ReadBackResult::Happened(_)), "{found:?}");
    }
}

#[tokio::test]
async fn who_pushes_waits_longer_and_is_told_what_is_left() {
    let org = Org::new().await;
    assert_eq!(org.connector.allowance(), None);
    let id = made(&org, "One").await;
    let first = org.connector.allowance().unwrap();
    assert_eq!((first.most, first.at_once), (6000, Some(4)));
    assert!(first.left() < 6000);
    let changes = [
        update(&org, &id, json!({"name": "x"})).await,
        account(&org, json!({"name": "y"})).await,
    ];
    control(
        &org,
        "PUT",
        "limits",
        &json!({"requests": 1, "window_seconds": 60, "dop_hint": 9}),
    )
    .await;
    assert_eq!(words(&sent(&org, &changes, false).await), ["ok", "ok"]);
    assert_eq!(org.connector.allowance().unwrap().at_once, Some(9));
    assert_eq!(org.connector.allowance().unwrap().left(), 0);
    let mut waits = Vec::new();
    for atomic in [false, true, false] {
        let delivered = sent(&org, &changes, atomic).await;
        assert_eq!(
            (words(&delivered), delivered.calls),
            (vec!["throttled", "throttled"], 1)
        );
        for result in delivered.results {
            match result {
                Err(Failure::Repeatable {
                    retry_after,
                    response,
                    ..
                }) => {
                    waits.push(retry_after.unwrap());
                    assert_eq!(response.unwrap().status.as_u16(), 429);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(waits[0] == waits[1] && waits[1] < waits[4], "{waits:?}");
}

#[tokio::test]
async fn only_what_is_as_safe_as_alone_has_a_form() {
    let org = Org::new().await;
    let key = |change: &Change, atomic| org.connector.form(&**change, atomic).map(|form| form.key);
    let id = org.id("account", "northgate");
    let chosen = account(
        &org,
        json!({"name": "x", "accountid": "2f6c1e5a-1111-4c4c-8a8a-0123456789ab"}),
    )
    .await;
    let answered = judged(
        &org,
        with_header(
            org.request("POST", "accounts?$select=name", r#"{"name":"x"}"#),
            "prefer",
            "return=representation",
        ),
    )
    .await;
    let mut upserts = Vec::new();
    for _ in 0..2 {
        upserts.push(
            judged(
                &org,
                org.request(
                    "PATCH",
                    "contacts(cg_extid='form-1')",
                    r#"{"lastname":"x"}"#,
                ),
            )
            .await,
        );
    }
    for change in [
        &chosen,
        &answered,
        &upserts[0],
        &update(&org, &id, json!({"name": "x"})).await,
        &delete(&org, &id).await,
    ] {
        assert_eq!(key(change, false).as_deref(), Some("batch v9.2"));
        assert_eq!(key(change, true).as_deref(), Some("change set v9.2"));
    }
    let stale = with_header(
        org.request("PATCH", &format!("accounts({id})"), r#"{"name":"x"}"#),
        "if-match",
        "W/\"1\"",
    );
    let stale = judged(&org, stale).await;
    assert_eq!(key(&stale, false), None);
    let long = account(
        &org,
        json!({"name": "x", "description": "y".repeat(4 * 1024 * 1024)}),
    )
    .await;
    assert_eq!(key(&long, false), None);

    // Given all the same, nothing of the stale one is sent, and what is created once is so once.
    let all = [
        chosen.clone(),
        answered,
        upserts[0].clone(),
        stale.clone(),
        upserts[1].clone(),
    ];
    let delivered = sent(&org, &all, false).await;
    assert_eq!(
        words(&delivered),
        ["ok", "ok", "ok", "0x80060882", "mismatch"]
    );
    let shown = delivered.results.into_iter().nth(1).unwrap().unwrap();
    assert_eq!(seen(shown.response).await.ok(201).body["name"], "x");
    let twice = sent(&org, &[chosen, stale], false).await;
    assert_eq!(
        words(&twice),
        ["0x80040237", "0x80060882"],
        "a key that the client chose may be another's"
    );
}

#[tokio::test]
async fn keys_come_from_operations() {
    let org = Org::new().await;
    let other = Org::new().await;
    let seed: OperationId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    let body = json!({"name": "Seeded"});
    let change = seeded(&org, &body, seed).await;
    let id = |change: &Change| change.outgoing().headers["x-crmgate-own-id"].clone();
    // By another process, with other content.
    assert_eq!(
        id(&change),
        id(&seeded(&other, &json!({"name": "z"}), seed).await)
    );
    // What is stored must never change: operations outlive upgrades.
    assert_eq!(id(&change), "9fffcefc-dde1-548f-80d9-4b5121e2d923");
    let chosen = json!({"name": "x", "accountid": "2f6c1e5a-1111-4c4c-8a8a-0123456789ab"});
    let chosen = seeded(&org, &chosen, seed).await.outgoing();
    assert!(!chosen.headers.contains_key("x-crmgate-own-id"));
}
