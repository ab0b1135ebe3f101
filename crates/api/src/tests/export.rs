//! Decisions in one stream.

use std::collections::BTreeSet;

use crmgate_domain::DecisionId;
use crmgate_store::DecisionLog as _;
use http::StatusCode;
use serde_json::{Value, json};

use super::create;
use super::world::World;

async fn decided(world: &World, count: usize) {
    for number in 0..count {
        let body = create("acme-a", &json!({"name": format!("Ada {number}")})).to_string();
        let token = world.token("client");
        let answer = world
            .send("POST", "/v1/validate", Some(token), Some(&body))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
}

async fn export(world: &World, query: &str) -> String {
    let path = format!("/v1/decisions/export?{query}");
    let answer = world
        .send("GET", &path, Some(world.token("auditor")), None)
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.text
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn an_export_is_whole_over_many_pages_and_goes_on_where_it_is_told() {
    let world = World::new().await;
    decided(&world, 3).await;
    let events = lines(&export(&world, "").await);
    assert_eq!(events.len(), 3);
    let places: Vec<u64> = events
        .iter()
        .map(|event| event["req_id"].as_u64().unwrap())
        .collect();
    assert!(
        places.is_sorted_by(|one, other| one > other),
        "newest first: {places:?}"
    );
    assert_eq!(events[0]["path"], "crm/decision");
    assert_eq!(events[0]["input"]["object"], "contact");
    let rest = lines(&export(&world, &format!("before={}", places[0])).await);
    assert_eq!(rest, events[1..]);
    let mut record = world.store.all_decisions().pop().unwrap();
    let ambient = crmgate_testkit::TestAmbient::default();
    ambient.advance(std::time::Duration::from_secs(3_600));
    for _ in 0..600 {
        record.decision.id = DecisionId::fresh(&ambient);
        world.store.append_decision(record.clone()).await.unwrap();
    }
    let all = lines(&export(&world, "form=crmgate").await);
    assert_eq!(all.len(), 603);
    let ids: BTreeSet<&str> = all
        .iter()
        .map(|line| line["decision"]["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 603);
    assert!(all[0].get("read_back").is_none());
    let table = export(&world, "form=csv").await;
    assert_eq!(table.lines().count(), 604);
    assert!(table.starts_with("sequence,at,decision,"));
    assert!(export(&world, "object=nothing").await.is_empty());
}

#[tokio::test]
async fn an_unknown_form_is_refused() {
    let world = World::new().await;
    let token = Some(world.token("auditor"));
    let answer = world
        .send("GET", "/v1/decisions/export?form=xml", token, None)
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(
        answer.text.contains("expected opa, crmgate or csv"),
        "{}",
        answer.text
    );
}
