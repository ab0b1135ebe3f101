//! The control API over a whole application with a fake CRM behind it.

use http::StatusCode;
use serde_json::{Value, json};

mod access;
mod answers;
mod export;
mod operations;
mod refusals;
mod world;

use world::World;

#[tokio::test]
async fn the_page_tells_where_clients_point_and_nothing_else() {
    let world = World::new().await;
    let answer = world.send("GET", "/", None, None).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer.text.contains("https://gate.test:8701"),
        "{}",
        answer.text
    );
    assert!(answer.text.contains("&lt;odd&gt;"), "names are escaped");
    assert_eq!(
        answer.headers["content-security-policy"],
        "default-src 'none'; style-src 'unsafe-inline'"
    );
}

#[tokio::test]
async fn health_and_metrics_are_open_to_this_machine_only() {
    let world = World::new().await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let local = world.send("GET", path, None, None).await;
        assert_eq!(local.status, StatusCode::OK, "{path}: {}", local.text);
        let remote = world.remote("GET", path, None).await;
        assert_eq!(remote.status, StatusCode::UNAUTHORIZED, "{path}");
        let admin = world.token("admin").to_owned();
        let known = world.remote("GET", path, Some(&admin)).await;
        assert_eq!(known.status, StatusCode::OK, "{path}");
    }
    let client = world.token("client").to_owned();
    let metrics = world.remote("GET", "/metrics", Some(&client)).await;
    assert_eq!(metrics.status, StatusCode::FORBIDDEN);
    let open = World::with_open_probes().await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let remote = open.remote("GET", path, None).await;
        assert_eq!(remote.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_gate_that_only_observes_says_that_nothing_is_protected() {
    let world = World::new().await;
    let path = "/v1/connections/acme-a/mode";
    let switched = world
        .call("operator", "PUT", path, Some(json!({"mode": "observe"})))
        .await;
    assert_eq!(switched.status, StatusCode::OK, "{}", switched.text);
    assert_eq!(switched.json["protected"], false);
    let health = world.send("GET", "/healthz", None, None).await;
    assert_eq!(health.json["protected"], false);
    let ready = world.send("GET", "/readyz", None, None).await;
    assert_eq!(ready.json["observing"], json!(["acme-a"]));
}

#[tokio::test]
async fn a_lost_store_is_not_ready_and_answers_retryably() {
    let world = World::new().await;
    world.store.set_broken(true);
    let ready = world.send("GET", "/readyz", None, None).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    let alive = world.send("GET", "/healthz", None, None).await;
    assert_eq!(alive.status, StatusCode::OK);
    world.store.set_broken(false);
    let ready = world.send("GET", "/readyz", None, None).await;
    assert_eq!(ready.status, StatusCode::OK);
}

#[tokio::test]
async fn tokens_are_made_shown_once_and_revoked() {
    let world = World::new().await;
    let wanted = json!({"name": "nightly", "roles": ["auditor"], "connections": ["acme-a"]});
    let made = world
        .call("admin", "POST", "/v1/tokens", Some(wanted))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let token = made.json["token"].as_str().unwrap().to_owned();
    let id = made.json["info"]["id"].as_str().unwrap().to_owned();
    let used = world.send("GET", "/v1/decisions", Some(&token), None).await;
    assert_eq!(used.status, StatusCode::OK);
    let listed = world.call("auditor", "GET", "/v1/tokens", None).await;
    let secret = token.rsplit('_').next().unwrap();
    assert!(listed.text.contains("nightly"));
    assert!(!listed.text.contains(secret), "a secret is listed");
    let path = format!("/v1/tokens/{id}");
    let revoked = world.call("admin", "DELETE", &path, None).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    let refused = world.send("GET", "/v1/decisions", Some(&token), None).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let again = world.call("admin", "DELETE", &path, None).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn broken_policies_are_told_with_their_places_and_do_not_come_into_force() {
    let world = World::new().await;
    let before = world.call("author", "GET", "/v1/policies", None).await;
    world.policies.put(
        "tests/names.rego",
        "package crm.tests.names\n\ndeny contains if {",
    );
    let reload = world
        .call("operator", "POST", "/v1/policies/reload", None)
        .await;
    assert_eq!(
        reload.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        reload.text
    );
    assert_eq!(reload.json["code"], "policies_broken");
    assert_eq!(
        reload.json["details"]["faults"][0]["file"],
        "tests/names.rego"
    );
    let after = world.call("author", "GET", "/v1/policies", None).await;
    assert_eq!(after.json["revision"], before.json["revision"]);
    assert_eq!(after.json["degraded"], true);
    let policies = async || {
        let ready = world.send("GET", "/readyz", None, None).await;
        let checks = ready.json["checks"].as_array().unwrap().clone();
        let found = checks.into_iter().find(|check| check["name"] == "policies");
        found.unwrap()["state"].clone()
    };
    assert_eq!(policies().await, "degraded");
    world.policies.put("tests/names.rego", world::NAMES);
    let mended = world
        .call("operator", "POST", "/v1/policies/reload", None)
        .await;
    assert_eq!(mended.status, StatusCode::OK);
    assert_eq!(policies().await, "ok");
}

fn create(connection: &str, record: &Value) -> Value {
    json!({
        "connection": connection,
        "operation": {"kind": "create", "object": "contact", "record": record},
    })
}
