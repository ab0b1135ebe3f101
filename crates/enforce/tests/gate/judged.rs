//! What a verdict does.

use crmgate_connector::Refusal;
use crmgate_domain::{Document, Effect, Mode, Point};
use crmgate_enforce::{KindRules, Settings, UngovernedRules};
use crmgate_policy::Ungoverned;
use crmgate_store::{Basis, OutcomeKind};

use crate::world::{World, inability, settings, status, text};

#[tokio::test]
async fn an_allowed_write_goes_out_as_it_came_and_is_on_record() {
    let world = World::new();
    let body = r#"{ "Name":"Ada",  "Size": 1.0 }"#;
    let answer = world.send("POST", "/records/Contact", body).await;
    assert_eq!(status(&answer), 201);
    assert_eq!(answer.effect, Some(Effect::Allow));
    assert_eq!(answer.basis, Some(Basis::Judged));
    assert_eq!(answer.mode, Mode::Enforce);
    assert!(answer.changed.is_empty() && answer.warnings.is_empty() && answer.why.is_none());
    world.gate.finish().await;

    let sent = world.crm.writes();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].body, body, "byte for byte");
    assert_eq!(sent[0].decision, answer.decision);
    let decisions = world.store.all_decisions();
    let record = &decisions[0];
    assert_eq!(Some(record.decision.id), answer.decision);
    assert_eq!(record.basis, Some(Basis::Judged));
    assert_eq!(record.round, 0);
    let operation = record.operation.as_ref().unwrap();
    assert_eq!(operation.actor.id, "u1");
    assert_eq!(operation.connection.org.as_deref(), Some("org-1"));
    assert_eq!(operation.request.as_ref().unwrap().method, "POST");
    assert_eq!(
        record.decision.judgement.packages[0].package,
        "crm.sales.contacts"
    );
    let outcome = &world.store.all_outcomes()[0];
    assert_eq!(outcome.kind, OutcomeKind::Succeeded);
    assert_eq!(
        (outcome.status, outcome.record_id.as_deref()),
        (Some(201), Some("id-1"))
    );
}

#[tokio::test]
async fn a_denied_write_never_arrives_and_says_why() {
    let world = World::new();
    let answer = world
        .send("POST", "/records/Contact", r#"{"Name":"Blocked"}"#)
        .await;
    let Some(Refusal::Denied {
        decision,
        message,
        fields,
        about_actor,
    }) = answer.refusal()
    else {
        panic!("{answer:?}");
    };
    assert_eq!(message, "this name is blocked");
    assert_eq!(fields, &["Name"]);
    assert!(!about_actor);
    assert_eq!(Some(*decision), answer.decision);
    assert_eq!(answer.why.as_deref(), Some("crm.sales.contacts/blocked"));
    assert!(world.crm.journal().is_empty());
    let record = &world.store.all_decisions()[0];
    assert_eq!((record.decision.id, record.basis), (*decision, None));
    assert_eq!(record.payload_hash, None);
}

#[tokio::test]
async fn a_patched_write_goes_out_as_it_was_judged() {
    let world = World::new();
    let answer = world
        .send("POST", "/records/Contact", r#"{"Name":"Odd","Phone":"0"}"#)
        .await;
    assert_eq!(status(&answer), 201);
    assert_eq!(answer.changed, ["Phone"]);
    assert_eq!(answer.warnings, ["odd"]);
    let stored = world.crm.get("Contact", "id-1").unwrap();
    assert_eq!(text(&stored, "Phone"), "+49");
    assert_eq!(world.store.all_decisions()[0].changed, ["Phone"]);
}

#[tokio::test]
async fn what_cannot_be_patched_does_not_pass() {
    let world = World::new();
    let answer = world
        .send("POST", "/records/Contact", r#"{"Name":"Unpatchable"}"#)
        .await;
    assert!(answer.refusal().is_some(), "{answer:?}");
    assert_ne!(answer.effect, Some(Effect::Allow));
    assert!(world.crm.journal().is_empty());
}

#[tokio::test]
async fn the_stored_record_is_judged_too() {
    let world = World::new();
    world
        .crm
        .put("Contact", "c1", &[("State", "locked".into())]);
    let answer = world
        .send("PATCH", "/records/Contact/c1", r#"{"Name":"Ada"}"#)
        .await;
    assert_eq!(answer.effect, Some(Effect::Deny), "{answer:?}");
    let deleted = world.send("DELETE", "/records/Contact/c1", "").await;
    assert_eq!(deleted.effect, Some(Effect::Deny));
    assert!(world.crm.writes().is_empty());
}

#[tokio::test]
async fn an_upsert_is_judged_as_what_it_is() {
    let world = World::new();
    world.crm.put(
        "Contact",
        "c1",
        &[("Key", "k1".into()), ("State", "locked".into())],
    );
    let update = world
        .send("PUT", "/records/Contact/by/Key/k1", r#"{"Name":"Ada"}"#)
        .await;
    assert_eq!(update.effect, Some(Effect::Deny));
    let create = world
        .send("PUT", "/records/Contact/by/Key/k2", r#"{"Key":"k2"}"#)
        .await;
    assert_eq!(status(&create), 201);
    let kinds: Vec<_> = world
        .store
        .all_decisions()
        .into_iter()
        .map(|record| record.operation.unwrap())
        .map(|op| {
            (
                op.kind.as_str(),
                op.requested.map(crmgate_domain::Kind::as_str),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [("update", Some("upsert")), ("create", Some("upsert"))]
    );
}

#[tokio::test]
async fn a_fault_of_a_policy_or_a_look_up_is_no_verdict_and_never_passes() {
    let world = World::new();
    let broken = world
        .send("POST", "/records/Contact", r#"{"Name":"Broken","Zero":0}"#)
        .await;
    assert!(
        inability(&broken).contains("crm.sales.contacts"),
        "{broken:?}"
    );
    world.crm.fail_lookups(true);
    let blind = world
        .send("POST", "/records/Contact", r#"{"Name":"Ada"}"#)
        .await;
    assert!(inability(&blind).contains("a look-up failed"), "{blind:?}");
    assert_eq!(world.effects(), [Effect::Error, Effect::Error]);
    assert_eq!(
        broken.decision,
        Some(world.store.all_decisions()[0].decision.id)
    );
    assert!(world.crm.journal().is_empty());
}

#[tokio::test]
async fn a_field_that_cannot_be_read_is_no_verdict() {
    let world = World::with(settings(), crmgate_testkit::FakeConnector::without_service);
    world.crm.put("Contact", "c1", &[("State", "open".into())]);
    let answer = world
        .send("PATCH", "/records/Contact/c1", r#"{"Name":"Ada"}"#)
        .await;
    inability(&answer);
    assert_eq!(world.effects(), [Effect::Error]);
    assert!(world.crm.writes().is_empty());
}

#[tokio::test]
async fn the_crms_own_refusals_go_through_as_they_are() {
    let world = World::new();
    let missing = world
        .send("PATCH", "/records/Contact/none", r#"{"Name":"Ada"}"#)
        .await;
    assert_eq!(status(&missing), 404);
    assert_eq!(missing.decision, None, "nothing was judged");
    world
        .crm
        .fault([crmgate_testkit::Fault::Refuse("REQUIRED".to_owned())]);
    let refused = world
        .send("POST", "/records/Contact", r#"{"Name":"Ada"}"#)
        .await;
    assert_eq!(status(&refused), 400);
    assert!(refused.decision.is_some());
    world.gate.finish().await;
    let outcome = &world.store.all_outcomes()[0];
    assert_eq!(outcome.kind, OutcomeKind::Refused);
    assert_eq!(outcome.code.as_deref(), Some("REQUIRED"));
}

#[tokio::test]
async fn ungoverned_writes_are_refused_unless_configured() {
    let world = World::new();
    let answer = world.send("POST", "/records/Task", r#"{"Name":"x"}"#).await;
    assert_eq!(answer.effect, Some(Effect::Deny));
    assert!(world.store.all_decisions()[0].decision.judgement.ungoverned);

    let tasks = KindRules {
        all: None,
        kinds: [(crmgate_domain::Kind::Create, Ungoverned::Allow)].into(),
    };
    let settings = Settings {
        ungoverned: UngovernedRules::default().with("task", tasks),
        ..settings()
    };
    let world = World::with(settings, |connector| connector);
    let create = world.send("POST", "/records/Task", r#"{"Name":"x"}"#).await;
    assert_eq!(status(&create), 201);
    let delete = world.send("DELETE", "/records/Task/id-1", "").await;
    assert_eq!(delete.effect, Some(Effect::Deny));
}

#[tokio::test]
async fn a_decision_at_another_point_never_writes() {
    let world = World::open();
    let mut ask = world
        .ask("POST", "/records/Contact", r#"{"Name":"Ada","Phone":"0"}"#)
        .await;
    ask.point = Point::Validate;
    let decided = world.gate.decide(&ask).await.unwrap();
    assert_eq!(decided.decision.judgement.effect, Effect::Allow);
    let views = decided.change.unwrap();
    let record = views.views().record.clone().unwrap();
    assert_eq!(record.get("phone"), Some(&Document::from("+49")));
    let stored = &world.store.all_decisions()[0];
    assert_eq!(
        (stored.decision.id, stored.basis),
        (decided.decision.id, None)
    );
    let written = world.gate.write(ask).await;
    assert!(written.refusal().is_some(), "{written:?}");
    assert!(world.crm.journal().is_empty());
}

#[tokio::test]
async fn equal_held_requests_share_a_hold_and_nothing_arrives() {
    let world = World::new();
    let mut holds = Vec::new();
    for body in [
        r#"{"Name":"Ada","Size":500}"#,
        r#"{ "Size" : 500, "Name" : "Ada" }"#,
        r#"{"Name":"Ada","Size":501}"#,
    ] {
        let answer = world.send("POST", "/records/Contact", body).await;
        let Some(Refusal::Held {
            decision,
            hold,
            operation: None,
            message,
        }) = answer.refusal()
        else {
            panic!("{answer:?}");
        };
        assert_eq!(Some(*decision), answer.decision);
        assert_eq!(Some(*hold), answer.hold);
        assert!(
            message.contains("it is big") && message.contains(&hold.to_string()),
            "{message}"
        );
        holds.push(*hold);
    }
    assert_eq!(holds[0], holds[1], "two spellings of one request");
    assert_ne!(holds[0], holds[2]);
    let decisions = world.store.all_decisions();
    let recorded: Vec<_> = decisions
        .iter()
        .map(|record| record.hold.unwrap())
        .collect();
    assert_eq!(recorded, holds, "each decision names its hold");
    assert!(world.crm.journal().is_empty());
    world.store.set_broken(true);
    let lost = world
        .send("POST", "/records/Contact", r#"{"Name":"Ada","Size":500}"#)
        .await;
    inability(&lost);
}
