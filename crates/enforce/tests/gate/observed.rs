//! Observe mode: everything passes, and the record says what enforcing would have done.

use std::time::Duration;

use crmgate_connector::Refusal;
use crmgate_domain::{Effect, Mode};
use crmgate_enforce::Settings;
use crmgate_store::{Basis, OutcomeKind};
use crmgate_testkit::request;

use crate::world::{World, caller, settings, status};

fn observing() -> World {
    let settings = Settings {
        mode: Mode::Observe,
        ..settings()
    };
    World::with(settings, |connector| connector)
}

#[tokio::test]
async fn verdicts_are_recorded_and_not_carried_out() {
    let world = observing();
    world
        .crm
        .put("Contact", "c1", &[("State", "locked".into())]);
    let cases = [
        (
            "POST",
            "/records/Contact",
            r#"{ "Name":"Blocked" }"#,
            Effect::Deny,
        ),
        (
            "POST",
            "/records/Contact",
            r#"{ "Size":500 }"#,
            Effect::RequireApproval,
        ),
        (
            "POST",
            "/records/Contact",
            r#"{ "Phone":"0" }"#,
            Effect::Allow,
        ),
        (
            "POST",
            "/records/Contact",
            r#"{ "Name":"Broken","Zero":0 }"#,
            Effect::Error,
        ),
        ("POST", "/records/Task", r#"{ "Name":"x" }"#, Effect::Deny),
        (
            "PATCH",
            "/records/Contact/c1",
            r#"{ "Name":"y" }"#,
            Effect::Deny,
        ),
    ];
    for (turn, (method, path, body, effect)) in cases.into_iter().enumerate() {
        let answer = world.send(method, path, body).await;
        assert!(status(&answer) < 300, "{answer:?}");
        assert_eq!(answer.mode, Mode::Observe);
        assert_eq!(answer.effect, Some(effect), "{body}");
        assert_eq!(answer.basis, Some(Basis::Observed));
        assert_eq!(answer.hold, None);
        assert!(answer.changed.is_empty(), "nothing was changed");
        let sent = &world.crm.writes()[turn];
        assert_eq!(sent.body, body, "byte for byte");
        assert_eq!(sent.decision, answer.decision);
        let record = &world.store.all_decisions()[turn];
        assert_eq!(record.decision.mode, Mode::Observe);
        assert_eq!(record.decision.judgement.effect, effect);
    }
    world.gate.finish().await;
    let outcomes = world.store.all_outcomes();
    assert_eq!(outcomes.len(), 6);
    assert!(outcomes.iter().all(|o| o.kind == OutcomeKind::Succeeded));
}

#[tokio::test]
async fn nothing_that_fails_at_the_gate_stops_anybody() {
    let world = observing();
    world.store.set_broken(true);
    let answer = world
        .send("POST", "/records/Contact", r#"{"Name":"Blocked"}"#)
        .await;
    assert_eq!(status(&answer), 201);
    assert_eq!(answer.decision, None, "it is not on record");
    assert_eq!(answer.effect, Some(Effect::Deny));
    world.store.set_broken(false);
    world.crm.fail_lookups(true);
    let answer = world
        .send("POST", "/records/Contact", r#"{"Name":"Ada"}"#)
        .await;
    assert_eq!(status(&answer), 201);
    assert_eq!(answer.effect, Some(Effect::Error));
    world.crm.fail_lookups(false);
    let missing = world
        .send("PATCH", "/records/Contact/none", r#"{"Name":"Ada"}"#)
        .await;
    assert!(missing.native().is_some(), "the CRM answers for itself");
    assert_eq!(missing.effect, None, "enforcing changes nothing about it");
}

#[tokio::test]
async fn what_is_not_understood_passes_as_it_came_and_is_on_record() {
    let world = observing();
    let odd = request("POST", "/odd/door?x=1", "anything at all");
    let answer = world
        .gate
        .pass_opaque(odd, caller("u1"), "not_understood", "no such route")
        .await;
    assert_eq!(status(&answer), 200);
    assert_eq!(answer.basis, Some(Basis::Opaque));
    assert_eq!(answer.why.as_deref(), Some("crmgate/not_understood"));
    let sent = &world.crm.writes()[0];
    assert_eq!(
        (sent.body.as_str(), sent.basis),
        ("anything at all", Some(Basis::Opaque))
    );
    let record = &world.store.all_decisions()[0];
    assert_eq!(
        record.opaque.as_deref(),
        Some("POST /odd/door"),
        "without the query"
    );
    assert_eq!(record.decision.judgement.effect, Effect::Deny);
    assert!(record.operation.is_none());
}

#[tokio::test]
async fn the_record_of_what_was_not_understood_quotes_nothing_of_it() {
    for mode in [Mode::Observe, Mode::Enforce] {
        let world = observing();
        world.gate.set_mode(mode);
        let odd = request("POST", "/odd/door", "");
        let why = "the query option `planted` is not let by";
        let asking = world
            .gate
            .pass_opaque(odd, caller("u1"), "bypass_refused", why);
        asking.await;
        let record = world.store.all_decisions().pop().unwrap();
        assert_eq!(record.asked_by.as_deref(), Some("u1"));
        let text = format!("{record:?}");
        assert!(!text.contains("planted"), "{mode:?}: {text}");
    }
}

#[tokio::test]
async fn the_switch_to_enforcing_holds_from_the_next_operation_on() {
    let world = observing();
    world.gate.set_mode(Mode::Enforce);
    let answer = world
        .send("POST", "/records/Contact", r#"{"Name":"Blocked"}"#)
        .await;
    assert!(matches!(answer.refusal(), Some(Refusal::Denied { .. })));
    let odd = request("POST", "/odd/door", "");
    let odd = world
        .gate
        .pass_opaque(odd, caller("u1"), "not_understood", "no such route")
        .await;
    assert!(matches!(odd.refusal(), Some(Refusal::NotUnderstood { .. })));
    assert!(world.crm.journal().is_empty());
}

#[tokio::test]
async fn a_store_that_hangs_is_one_that_fails() {
    let body = r#"{"Name":"Ada"}"#;
    for mode in [Mode::Enforce, Mode::Observe] {
        let settings = Settings {
            mode,
            record_within: Duration::from_millis(30),
            ..settings()
        };
        let world = World::with(settings, |connector| connector);
        world.store.set_hanging(true);
        let answer = world.send("POST", "/records/Contact", body).await;
        assert_eq!(answer.decision, None);
        assert_eq!(answer.native().is_some(), mode == Mode::Observe);
        assert_eq!(world.crm.writes().len(), usize::from(mode == Mode::Observe));
    }
}
