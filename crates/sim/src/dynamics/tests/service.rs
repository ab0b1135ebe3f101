//! The service around the records: tokens, limits, faults, `/_sim/…`, what is left out.

use std::time::Duration;

use super::*;
use crate::crm::Refusal;

#[test]
fn without_a_token_one_is_told_where_to_get_it() {
    let org = integration();
    let tenant = org.simulator.options().tenant_id;
    for authorization in ["Basic abc", "Bearer nonsense"] {
        let seen = org.get_with("WhoAmI", &[("Authorization", authorization)]);
        assert_eq!(
            seen.header("www-authenticate"),
            format!(
                "Bearer authorization_uri={BASE}/{tenant}/oauth2/authorize, resource_id={BASE}/"
            )
        );
        seen.refused(401, "0x8005f101");
    }
    // Who calls is asked before what.
    org.get_with("accounts?$skip=1", &[("Authorization", "Bearer x")])
        .refused(401, "0x8005f101");
    org.get_with(
        "/XRMServices/2011/Organization.svc/web",
        &[("Authorization", "Bearer x")],
    )
    .ok(401);
}

#[test]
fn tokens_expire_and_are_revoked() {
    let org = integration();
    org.get("WhoAmI").ok(200);
    let clock = org.simulator.options().common.clock.clone();
    clock.advance(Duration::from_secs(3601));
    org.get("WhoAmI").refused(401, "0x8005f101");
    let fresh = org.web_forms();
    fresh.get("WhoAmI").ok(200);
    fresh.simulator.environment.tokens.revoke(&fresh.token);
    fresh.get("WhoAmI").refused(401, "0x8005f101");
}

#[test]
fn a_user_may_ask_only_so_often() {
    let options = DynamicsOptions {
        enforce_limits: true,
        ..DynamicsOptions::default()
    };
    let simulator = Simulator::new(options).unwrap();
    let id = simulator.options().applications[0].client_id;
    let token = simulator.application_token(id, BASE).unwrap();
    let org = Client { simulator, token };
    let first = org.get("WhoAmI").ok(200);
    assert_eq!(
        first.header("x-ms-ratelimit-burst-remaining-xrm-requests"),
        "5999"
    );
    for _ in 1..6000 {
        org.get("WhoAmI");
    }
    let refused = org.get("WhoAmI");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    refused.refused(429, "0x80072322");
    org.web_forms().get("WhoAmI").ok(200);
    org.simulator
        .options()
        .common
        .clock
        .advance(Duration::from_secs(300));
    org.get("WhoAmI").ok(200);
}

#[test]
fn faults_speak_the_services_words() {
    let org = integration();
    let environment = &org.simulator.environment;
    let call = Call {
        method: Method::GET,
        uri: "/api/data/v9.2/accounts".parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        base_url: BASE.to_owned(),
        at: environment.options.common.clock.now(),
        rows: None,
    };
    let mut codes = Vec::new();
    for _ in 0..3 {
        let refusal = Refusal::Status {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(7),
        };
        let answer = environment.refuse(&call, refusal);
        assert_eq!(answer.headers()["retry-after"], "7");
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        codes.push(body["error"]["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes, ["0x80072322", "0x80072321", "0x80072326"]);
}

#[test]
fn a_reset_brings_the_seeded_data_back() {
    let org = integration();
    let before = org.stored("accounts").len();
    org.make("accounts", &account("x"));
    let id = Simulator::seeded_id("account", "paperwing");
    org.delete(&format!("accounts({id})")).ok(204);
    org.simulator.environment.reset();
    assert_eq!(org.stored("account").len(), before);
    org.get(&format!("accounts({id})")).ok(200);
    assert!(org.simulator.environment.records("nothing").is_none());
}

#[test]
fn what_is_left_out_is_said_to_be() {
    let org = integration();
    org.post("systemusers", &json!({"firstname": "x"}))
        .refused(403, "0x80040220");
    org.person(ADMIN)
        .post("systemusers", &json!({"firstname": "x"}))
        .refused(501, "0x80060888");
    org.send(
        Method::PUT,
        &format!("accounts({})", Uuid::nil()),
        &[],
        "{}",
    )
    .refused(405, "0x80060888");
    org.send(Method::PATCH, "accounts", &[], "{}")
        .refused(405, "0x80060888");
    org.get_with("WhoAmI", &[("OData-Version", "3.0")])
        .refused(400, "0x80060888");
}

#[tokio::test]
async fn the_whole_service_runs_behind_its_front() {
    use tower::ServiceExt as _;
    let org = integration();
    let request = http::Request::get("/api/data/v9.2/WhoAmI")
        .header("host", "org.example")
        .header("authorization", format!("Bearer {}", org.token))
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = org
        .simulator
        .router_for(true)
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = axum::body::to_bytes(answer.into_body(), 10_000)
        .await
        .unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let context = body["@odata.context"].as_str().unwrap();
    assert!(
        context.starts_with("https://org.example/api/data/v9.2/$metadata#"),
        "{context}"
    );
    assert_eq!(org.simulator.front().journal().after(0).len(), 1);
}
