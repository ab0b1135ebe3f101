//! Real answers, read by the types that the OpenAPI document shows.

use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::create;
use super::world::World;
use crate::openapi::{
    ConnectionBody, ConnectionList, CreatedTokenBody, DecisionBody, DecisionPage, HoldPage,
    PoliciesBody, ReloadedBody, ReportBody, RevisionBody, TokenList, ValidatedBody,
};

/// Reads an answer; a field that the document does not know, or misses, fails.
pub(super) fn read<T: DeserializeOwned>(what: &str, json: &Value) -> T {
    serde_json::from_value(json.clone()).unwrap_or_else(|error| panic!("{what}: {error}\n{json:#}"))
}

#[tokio::test]
async fn answers_are_as_the_document_says() {
    let world = World::new().await;
    let records = [
        json!({"name": "Ada", "country": "Norway"}),
        json!({"country": "Norway"}),
        json!({"name": "Al"}),
        json!({"name": "Ada", "country": "Atlantis"}),
    ];
    let mut effects = Vec::new();
    for record in records {
        let body = create("acme-a", &record);
        let answer = world
            .call("operator", "POST", "/v1/validate", Some(body))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let validated: ValidatedBody = read("validate", &answer.json);
        effects.push(validated.decision.effect);
    }
    assert_eq!(effects, ["allow", "deny", "allow", "require_approval"]);
    let page = world
        .call("auditor", "GET", "/v1/decisions?limit=3", None)
        .await;
    let shown: DecisionPage = read("decisions", &page.json);
    assert_eq!(shown.items.len(), 3);
    let next = format!("/v1/decisions?limit=3&cursor={}", shown.next.unwrap());
    let rest = world.call("auditor", "GET", &next, None).await;
    let rest: DecisionPage = read("the next page", &rest.json);
    assert_eq!((rest.items.len(), rest.next), (1, None));
    let path = format!("/v1/decisions/{}", shown.items[0].decision.id);
    let one = world.call("auditor", "GET", &path, None).await;
    let one: DecisionBody = read("decision", &one.json);
    assert_eq!(one.decision.effect, "require_approval");
    assert_eq!(one.decision.approvals[0].groups, ["sailors"]);

    let get = async |path: &str| world.call("admin", "GET", path, None).await.json;
    let _: HoldPage = read("holds", &get("/v1/holds").await);
    let _: ConnectionList = read("connections", &get("/v1/connections").await);
    let _: ConnectionBody = read("connection", &get("/v1/connections/acme-a").await);
    let _: ReportBody = read("report", &get("/v1/connections/acme-a/report").await);
    let policies: PoliciesBody = read("policies", &get("/v1/policies").await);
    let path = format!("/v1/policies/revisions/{}", policies.revision);
    let stored: RevisionBody = read("revision", &get(&path).await);
    assert_eq!(stored.revision, policies.revision);
    let sources = crmgate_app::sources::read(&stored.sources).unwrap();
    let again = crmgate_policy::PolicySet::load(&sources).unwrap();
    assert_eq!(again.revision().as_str(), policies.revision);
    let other = format!("/v1/policies/revisions/{}", "0".repeat(64));
    assert_eq!(world.call("admin", "GET", &other, None).await.status, 404);
    let other = world
        .call("admin", "GET", "/v1/policies/revisions/x", None)
        .await;
    assert_eq!(
        (other.status.as_u16(), &other.json["code"]),
        (400, &json!("invalid"))
    );
    let _: TokenList = read("tokens", &get("/v1/tokens").await);
    let reloaded = world
        .call("admin", "POST", "/v1/policies/reload", None)
        .await;
    let _: ReloadedBody = read("reload", &reloaded.json);
    let wanted = json!({"name": "x", "roles": ["client"], "expires_in_seconds": 60});
    let made = world
        .call("admin", "POST", "/v1/tokens", Some(wanted))
        .await;
    let _: CreatedTokenBody = read("token", &made.json);
}

#[tokio::test]
async fn lists_can_be_narrowed() {
    let world = World::new().await;
    for record in [json!({"name": "Ada"}), json!({})] {
        let body = create("acme-a", &record);
        world
            .call("operator", "POST", "/v1/validate", Some(body))
            .await;
    }
    let count = async |query: &str| {
        let path = format!("/v1/decisions?{query}");
        let page = world.call("auditor", "GET", &path, None).await;
        assert_eq!(page.status, StatusCode::OK, "{query}: {}", page.text);
        page.json["items"].as_array().unwrap().len()
    };
    assert_eq!(count("effect=deny").await, 1);
    assert_eq!(count("effect=error").await, 0);
    assert_eq!(count("connection=acme-b").await, 0);
    assert_eq!(count("object=contact&reason=no_name").await, 1);
    assert_eq!(count("package=crm.tests.names").await, 2);
    assert_eq!(count("until=2026-01-01T00:00:00Z").await, 0);
}
