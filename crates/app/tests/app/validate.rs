//! Decisions without writes.

use crmgate_app::{AppError, ValidateRequest};
use crmgate_domain::{Document, Effect, Mode, Point};
use crmgate_store::Role;

use crate::world::World;

fn asked(json: &str) -> ValidateRequest {
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn both_forms_give_the_same_verdict_and_nothing_is_written() {
    let world = World::new(Mode::Enforce).await;
    let by = world.principal(&[Role::Operator], &[]).await;
    let canonical = r#"{"connection": "own", "actor": {"id": "u9"}, "purpose": "trying",
        "operation": {"kind": "create", "object": "contact", "record": {"name": "Ada", "phone": "0", "native.Score__c": 7}}}"#;
    let native = r#"{"connection": "own", "actor": {"id": "u9"},
        "request": {"method": "POST", "path": "/records/Contact", "body": {"Name": "Ada", "Phone": "0", "Score__c": 7}}}"#;
    let mut natives = Vec::new();
    for form in [canonical, native] {
        let validated = world.app.validate(&by, asked(form)).await.unwrap();
        assert_eq!(validated.decision.judgement.effect, Effect::Allow);
        assert_eq!(validated.changed, ["Phone"]);
        assert_eq!(validated.mode, Mode::Enforce);
        let record = validated.record.unwrap();
        assert_eq!(record.get("phone"), Some(&Document::from("+49")));
        natives.push(validated.native.unwrap());
    }
    assert_eq!(natives[0], natives[1]);
    assert!(world.crm.journal().is_empty());
    for stored in world.store.all_decisions() {
        let operation = stored.operation.unwrap();
        assert_eq!((operation.point, stored.basis), (Point::Validate, None));
        assert_eq!(operation.actor.id, "u9");
        assert!(operation.request.is_none());
    }
}

#[tokio::test]
async fn a_text_body_goes_in_as_it_is() {
    let world = World::new(Mode::Enforce).await;
    let by = world.principal(&[Role::Admin], &[]).await;
    let broken = r#"{"connection": "own", "request": {"method": "POST", "path": "/records/Contact", "body": "{\"Name\": 1, \"Name\": 2}"}}"#;
    let error = world.app.validate(&by, asked(broken)).await.unwrap_err();
    assert_eq!(error.to_string(), "request: a field appears twice");
}

#[tokio::test]
async fn bad_questions_name_what_is_wrong() {
    let world = World::new(Mode::Enforce).await;
    let by = world.principal(&[Role::Admin], &["own"]).await;
    for (question, told) in [
        (
            r#"{"connection": "own"}"#,
            "operation: expected exactly one of",
        ),
        (
            r#"{"connection": "lent", "operation": {"kind": "create", "object": "contact"}}"#,
            "there is no connection `lent`",
        ),
        (
            r#"{"connection": "own", "operation": {"kind": "read", "object": "contact"}}"#,
            "operation.kind: `read`",
        ),
        (
            r#"{"connection": "own", "operation": {"kind": "update", "object": "contact"}}"#,
            "operation.id: is needed",
        ),
        (
            r#"{"connection": "own", "operation": {"kind": "delete", "object": "contact", "id": "c", "record": {}}}"#,
            "operation.record: ",
        ),
        (
            r#"{"connection": "own", "operation": {"kind": "update", "object": "contact", "id": "none", "record": {}}}"#,
            "no `Contact` has the id `none`",
        ),
        (
            r#"{"connection": "own", "request": {"method": "POST", "path": "records"}}"#,
            "request.path: `records`",
        ),
        (
            r#"{"connection": "own", "request": {"method": "G T", "path": "/x"}}"#,
            "request.method: `G T`",
        ),
        (
            r#"{"connection": "own", "request": {"method": "POST", "path": "/x", "headers": {"a b": "c"}}}"#,
            "request.headers.a b: ",
        ),
        (
            r#"{"connection": "own", "request": {"method": "GET", "path": "/records/Contact"}}"#,
            "request: is not a write",
        ),
        (
            r#"{"connection": "own", "request": {"method": "POST", "path": "/odd"}}"#,
            "request: is not understood",
        ),
    ] {
        let error = world.app.validate(&by, asked(question)).await.unwrap_err();
        assert!(error.to_string().starts_with(told), "{error}");
    }
    for unknown in [
        r#"{"connection": "own", "operatoin": {}}"#,
        r#"{"connection": "own", "operation": {"kind": "create", "object": "contact", "id_": 1}}"#,
    ] {
        assert!(serde_json::from_str::<ValidateRequest>(unknown).is_err());
    }
}

#[tokio::test]
async fn a_client_asks_for_itself_only() {
    let world = World::new(Mode::Enforce).await;
    let client = world.principal(&[Role::Client], &[]).await;
    let question = r#"{"connection": "own", "operation": {"kind": "create", "object": "contact", "record": {"name": "x"}}}"#;
    let own = world.app.validate(&client, asked(question)).await.unwrap();
    assert_eq!(
        own.decision.judgement.reasons[0].code, "robot",
        "judged as the token's holder"
    );
    let other = question.replacen('{', r#"{"actor": {"id": "boss"}, "#, 1);
    let refused = world.app.validate(&client, asked(&other)).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))));
    let auditor = world.principal(&[Role::Auditor], &[]).await;
    let refused = world.app.validate(&auditor, asked(question)).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))));
}

#[tokio::test]
async fn what_cannot_be_judged_or_recorded_is_told_apart() {
    let world = World::new(Mode::Enforce).await;
    let by = world.principal(&[Role::Admin], &[]).await;
    let question = r#"{"connection": "own", "operation": {"kind": "create", "object": "contact", "record": {"name": "x"}}}"#;
    world.crm.fail_lookups(true);
    let judged = world.app.validate(&by, asked(question)).await.unwrap();
    assert_eq!(judged.decision.judgement.effect, Effect::Error);
    assert!(judged.record.is_none());
    world.crm.fail_lookups(false);
    world.store.set_broken(true);
    let lost = world.app.validate(&by, asked(question)).await;
    assert!(matches!(lost, Err(AppError::Unavailable(_))));
}
