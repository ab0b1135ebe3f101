//! Answers to collections that the simulator does not give, against a stub.

use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{Connector, Credential, Delivered, Failure, Parcel};
use crmgate_domain::{Ambient, OperationId};
use crmgate_testkit::{TestAmbient, permit};
use serde_json::{Value, json};
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{Reading, connector, request, sobjects};
use crate::wire::{describe, token};

const COLLECTION: &str = "/services/data/v66.0/composite/sobjects";

struct Stub {
    server: MockServer,
    connector: Arc<dyn Connector>,
    ambient: Arc<dyn Ambient>,
}

impl Stub {
    async fn new() -> Self {
        let server = MockServer::start().await;
        let answers = [
            (
                "GET",
                "/services/data/v66.0/sobjects/Account/describe",
                ResponseTemplate::new(200).set_body_json(describe()),
            ),
            ("POST", "/services/oauth2/token", token("service-token")),
        ];
        for (verb, place, answer) in answers {
            Mock::given(method(verb))
                .and(path_regex(place))
                .respond_with(answer)
                .with_priority(9)
                .mount(&server)
                .await;
        }
        let ambient: Arc<dyn Ambient> = Arc::new(TestAmbient::default());
        let settings = json!({
            "login_url": server.uri(), "instance_url": server.uri(),
            "auth": {"flow": "client_credentials", "client_id": "the-app", "client_secret": "fixed:s3cret"},
            "external_id_fields": {"Account": "Ext_Id__c"},
        });
        Self {
            connector: connector(&settings, &ambient).unwrap(),
            server,
            ambient,
        }
    }

    async fn answer(&self, answer: impl wiremock::Respond + 'static) {
        Mock::given(method("POST"))
            .and(path(COLLECTION))
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    async fn send(&self, names: &[&str], atomic: bool) -> Delivered {
        let mut parcels = Vec::new();
        for name in names {
            let body = json!({"Name": name}).to_string();
            let asked = request("POST", &sobjects("Account"), &body);
            let mut draft = self.connector.parse(asked).await.unwrap();
            draft.seed = Some(OperationId::fresh(self.ambient.as_ref()));
            let needs = Reading::default();
            let resolved = self
                .connector
                .resolve(draft, &needs, &Credential::Service)
                .await
                .unwrap();
            let outgoing = resolved.change.outgoing();
            parcels.push(Parcel {
                permit: permit(self.connector.name(), outgoing.hash(), &self.ambient).await,
                outgoing,
                change: resolved.change,
            });
        }
        self.connector
            .write_together(parcels, atomic, &Credential::Service)
            .await
    }

    async fn collections(&self) -> usize {
        let all = self.server.received_requests().await.unwrap();
        all.iter()
            .filter(|request| request.url.path() == COLLECTION)
            .count()
    }
}

fn word(result: &Result<crmgate_connector::Written, Failure>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(Failure::Refused { code, .. }) => format!("refused {code}"),
        Err(Failure::Repeatable { code, .. }) => format!("repeatable {code}"),
        Err(Failure::VersionMismatch) => "mismatch".to_owned(),
        Err(Failure::Unknown { .. }) => "unknown".to_owned(),
    }
}

fn words(delivered: &Delivered) -> Vec<String> {
    delivered.results.iter().map(word).collect()
}

fn refusal(status: u16, code: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!([{"errorCode": code, "message": message}]))
}

fn good(id: &str) -> Value {
    json!({"id": id, "success": true, "errors": []})
}

fn bad(code: &str, message: &str) -> Value {
    json!({"success": false, "errors": [{"statusCode": code, "message": message, "fields": []}]})
}

const ID: &str = "001D000000IqhSLIAZ";

#[tokio::test]
async fn a_call_that_is_answered_as_a_whole_is_so_for_each() {
    for (answer, word) in [
        (
            refusal(503, "SERVER_UNAVAILABLE", "busy"),
            "repeatable unavailable",
        ),
        (
            refusal(
                403,
                "REQUEST_LIMIT_EXCEEDED",
                "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
            ),
            "repeatable throttled",
        ),
        (
            refusal(403, "API_DISABLED_FOR_ORG", "no"),
            "refused API_DISABLED_FOR_ORG",
        ),
        (
            refusal(404, "NOT_FOUND", "no such resource"),
            "refused NOT_FOUND",
        ),
        (
            refusal(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred."),
            "unknown",
        ),
        (
            ResponseTemplate::new(502).set_body_string("<html>"),
            "unknown",
        ),
        (
            ResponseTemplate::new(200).set_body_string("<html>"),
            "unknown",
        ),
        (
            ResponseTemplate::new(200).set_body_json(json!([good(ID)])),
            "unknown",
        ),
        (
            ResponseTemplate::new(200).set_body_json(json!([good(ID), {"success": true}])),
            "unknown",
        ),
        (
            ResponseTemplate::new(200)
                .set_body_json(json!([{"success": false, "errors": []}, good(ID)])),
            "unknown",
        ),
        (
            ResponseTemplate::new(200).set_body_json(json!({"0": good(ID)})),
            "unknown",
        ),
    ] {
        let stub = Stub::new().await;
        stub.answer(answer).await;
        let delivered = stub.send(&["A", "B"], false).await;
        assert_eq!(words(&delivered), [word; 2]);
        assert_eq!(
            (delivered.calls, stub.collections().await),
            (1, 1),
            "{word}: sent once"
        );
    }
}

#[tokio::test]
async fn a_spent_allowance_is_told() {
    let stub = Stub::new().await;
    let spent = refusal(
        403,
        "REQUEST_LIMIT_EXCEEDED",
        "TotalRequests Limit exceeded.",
    );
    let first = ResponseTemplate::new(200)
        .insert_header("sforce-limit-info", "api-usage=999/1000")
        .set_body_json(json!([good(ID)]));
    Mock::given(method("POST"))
        .and(path(COLLECTION))
        .respond_with(first)
        .up_to_n_times(1)
        .with_priority(1)
        .mount(&stub.server)
        .await;
    stub.answer(spent).await;
    assert_eq!(words(&stub.send(&["A"], false).await), ["ok"]);
    assert_eq!(stub.connector.allowance().unwrap().left(), 1);
    let delivered = stub.send(&["B", "C"], false).await;
    for result in &delivered.results {
        match result {
            Err(Failure::Repeatable {
                code, retry_after, ..
            }) => {
                assert_eq!(
                    (code.as_str(), *retry_after),
                    ("throttled", Some(Duration::from_mins(15)))
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stub.connector.allowance().unwrap().left(), 0);
}

#[tokio::test]
async fn a_record_that_refuses_the_whole_call_is_singled_out() {
    let stub = Stub::new().await;
    stub.answer(|request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let records = body["records"].as_array().unwrap();
        if records.iter().any(|record| record["Name"] == "bad") {
            return refusal(400, "JSON_PARSER_ERROR", "Cannot deserialize");
        }
        let made: Vec<Value> = records.iter().map(|_| good(ID)).collect();
        ResponseTemplate::new(200).set_body_json(made)
    })
    .await;
    let delivered = stub.send(&["A", "B", "bad", "C", "D", "E"], false).await;
    let mut expected = vec!["ok"; 6];
    expected[2] = "refused JSON_PARSER_ERROR";
    assert_eq!(words(&delivered), expected);
    assert_eq!(
        usize::try_from(delivered.calls).unwrap(),
        stub.collections().await
    );
    assert!(delivered.calls <= 7, "{}", delivered.calls);
    let group = stub.send(&["A", "bad"], true).await;
    assert_eq!(
        (words(&group), group.calls),
        (vec!["refused JSON_PARSER_ERROR".to_owned(); 2], 1)
    );
}

#[tokio::test]
async fn records_fail_by_their_codes() {
    let stub = Stub::new().await;
    let rows = [
        (bad("UNABLE_TO_LOCK_ROW", "locked"), "repeatable locked"),
        (
            bad(
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                "trigger: UNABLE_TO_LOCK_ROW, unable to obtain",
            ),
            "repeatable locked",
        ),
        (
            bad(
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                "trigger: null pointer",
            ),
            "refused CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        ),
        (bad("SERVER_UNAVAILABLE", "busy"), "repeatable unavailable"),
        (
            bad("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests"),
            "repeatable throttled",
        ),
        (
            bad("UNKNOWN_EXCEPTION", "An unexpected error occurred."),
            "repeatable failed",
        ),
        (
            bad("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Too much [P-7]"),
            "refused FIELD_CUSTOM_VALIDATION_EXCEPTION",
        ),
        (
            bad("DUPLICATES_DETECTED", "Use one of these records?"),
            "refused DUPLICATES_DETECTED",
        ),
        (good(ID), "ok"),
    ];
    let (answers, expected): (Vec<Value>, Vec<&str>) = rows.into_iter().unzip();
    stub.answer(ResponseTemplate::new(200).set_body_json(&answers))
        .await;
    let names = ["A"; 9];
    let delivered = stub.send(&names, false).await;
    assert_eq!(words(&delivered), expected);
    let Err(Failure::Refused {
        message, response, ..
    }) = &delivered.results[6]
    else {
        panic!("not refused");
    };
    assert_eq!(message, "Too much [P-7]");
    assert_eq!(response.as_ref().unwrap().status.as_u16(), 400);
    // All or none: an answer that says both tells nothing.
    assert_eq!(words(&stub.send(&names, true).await), ["unknown"; 9]);
}

#[tokio::test]
async fn a_group_that_had_happened_is_looked_up_behind_its_first_record() {
    let duplicate = "duplicate value found: Ext_Id__c duplicates value on record with id: 001";
    let back = || bad("ALL_OR_NONE_OPERATION_ROLLED_BACK", "Record rolled back");
    // Met as it was sent, and met with another value.
    for (stored, first) in [("A", "ok"), ("Other", "unknown")] {
        let stub = Stub::new().await;
        let answer = json!([bad("DUPLICATE_VALUE", duplicate), back(), back()]);
        stub.answer(ResponseTemplate::new(200).set_body_json(answer))
            .await;
        let there = json!({
            "attributes": {"type": "Account", "url": "/x"}, "Id": ID, "Name": stored
        });
        Mock::given(method("GET"))
            .and(path_regex("/sobjects/Account/Ext_Id__c/cg"))
            .respond_with(ResponseTemplate::new(200).set_body_json(there))
            .mount(&stub.server)
            .await;
        let group = stub.send(&["A", "B", "C"], true).await;
        assert_eq!(words(&group), [first, "unknown", "unknown"]);
        assert_eq!(group.calls, 2, "one call, and one look");
        // Of others than a group, what is said of a record holds.
        let apart = stub.send(&["A", "B", "C"], false).await;
        assert_eq!(
            words(&apart)[1..],
            ["repeatable rolled_back", "repeatable rolled_back"]
        );
    }
}

#[tokio::test]
async fn a_group_that_met_a_strangers_value_was_rolled_back() {
    let stub = Stub::new().await;
    let answer = json!([
        bad(
            "DUPLICATE_VALUE",
            "duplicate value found: Site duplicates value on record"
        ),
        bad("ALL_OR_NONE_OPERATION_ROLLED_BACK", "Record rolled back"),
    ]);
    stub.answer(ResponseTemplate::new(200).set_body_json(answer))
        .await;
    let nothing = refusal(404, "NOT_FOUND", "The requested resource does not exist");
    Mock::given(method("GET"))
        .and(path_regex("/sobjects/Account/Ext_Id__c/cg"))
        .respond_with(nothing)
        .mount(&stub.server)
        .await;
    let group = stub.send(&["A", "B"], true).await;
    assert_eq!(
        words(&group),
        ["refused DUPLICATE_VALUE", "repeatable rolled_back"]
    );
}
