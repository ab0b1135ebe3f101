//! MUST 4 and what invariant 5 of the design asks: what was judged is what is written.

use crmgate_domain::{Document, FieldRef, Kind, Patch, PatchOp, PayloadHash};

use super::{Everything, Nothing, Subject, arrived, made, resolve, send, text_of};
use crate::{Failure, ParseFailure, Pin};

/// A permit for another payload lets nothing through.
pub async fn permits_are_bound(subject: &dyn Subject) {
    let resolved = resolve(subject, subject.create("Bound"), &Nothing)
        .await
        .unwrap();
    let before = arrived(subject).await;
    let permit = subject.permit(PayloadHash::of(&[b"another"])).await;
    let outgoing = resolved.change.outgoing();
    let result = subject
        .connector()
        .write(permit, outgoing, &subject.caller())
        .await;
    assert!(
        matches!(result, Err(Failure::Repeatable { .. })),
        "{result:?}"
    );
    let mut changed = resolved.change.outgoing();
    let permit = subject.permit(changed.hash()).await;
    changed.body = [&*changed.body, b" "].concat().into();
    assert!(
        subject
            .connector()
            .write(permit, changed, &subject.caller())
            .await
            .is_err()
    );
    let passed = subject
        .connector()
        .pass(subject.create("Bound"), &subject.caller(), None)
        .await;
    assert!(passed.is_err(), "a write passed without a permit");
    assert_eq!(arrived(subject).await, before);
}

/// A create, a patched update: what the CRM then holds is what the last view said.
pub async fn judged_is_written(subject: &dyn Subject) {
    let before = arrived(subject).await;
    let id = made(subject, "Judged").await;
    assert_eq!(arrived(subject).await, before + 1, "a write is sent once");
    let resolved = resolve(subject, subject.update(&id, "030 1234"), &Everything)
        .await
        .unwrap();
    assert_eq!(resolved.kind, Kind::Update);
    assert_eq!(resolved.record_id.as_deref(), Some(id.as_str()));
    let patch = |op, value: &str| Patch {
        op,
        field: FieldRef("phone".to_owned()),
        value: value.into(),
        package: "crm.conformance".to_owned(),
    };
    let same = resolved
        .change
        .patched_native(&[patch(PatchOp::Default, "unused")])
        .unwrap();
    assert_eq!(same.outgoing().hash(), resolved.change.outgoing().hash());
    assert_eq!(same.views(), resolved.change.views());
    let patched = resolved
        .change
        .patched_native(&[patch(PatchOp::Set, "+49301234")])
        .unwrap();
    let record = patched.views().record.clone().unwrap();
    assert_eq!(record.get("phone"), Some(&Document::from("+49301234")));
    assert_eq!(patched.changed_fields().len(), 1);
    let written = send(subject, &patched).await.unwrap();
    assert!(patched.reply(written.response).status.is_success());
    let answer = subject
        .connector()
        .pass(subject.read(&id), &subject.caller(), None)
        .await
        .unwrap();
    let body = text_of(answer.body).await;
    assert!(
        body.contains("+49301234") && !body.contains("030 1234"),
        "{body}"
    );
}

/// An upsert is judged as what it is, and can only do that.
pub async fn upserts_are_resolved(subject: &dyn Subject) {
    let request = |name: &str| subject.upsert("conformance-1", name);
    let first = resolve(subject, request("First"), &Nothing).await.unwrap();
    assert_eq!((first.kind, &first.record_id), (Kind::Create, &None));
    let second = resolve(subject, request("Second"), &Nothing).await.unwrap();
    assert_eq!(second.kind, Kind::Create);
    let written = send(subject, &first.change).await.unwrap();
    assert!(first.change.reply(written.response).status.is_success());
    // Judged as a create while there was no record: now it must do nothing.
    let raced = send(subject, &second.change).await;
    assert!(matches!(raced, Err(Failure::VersionMismatch)), "{raced:?}");
    let again = resolve(subject, request("Second"), &Everything)
        .await
        .unwrap();
    assert_eq!(again.kind, Kind::Update);
    let id = again.record_id.clone().unwrap();
    let before = again.change.views().before.clone().unwrap();
    assert_eq!(before.get("last_name"), Some(&Document::from("First")));
    let written = send(subject, &again.change).await.unwrap();
    assert!(again.change.reply(written.response).status.is_success());
    let third = resolve(subject, request("Third"), &Everything)
        .await
        .unwrap();
    assert_eq!(third.record_id, Some(id), "it was updated, not made again");
}

/// A delete shows the stored record, and meets only the version that was shown.
pub async fn deletes_are_pinned(subject: &dyn Subject) {
    let id = made(subject, "Gone").await;
    let delete = resolve(subject, subject.delete(&id), &Everything)
        .await
        .unwrap();
    assert_eq!(delete.kind, Kind::Delete);
    let views = delete.change.views();
    assert!(views.record.is_none() && views.native.is_none() && views.changes.is_empty());
    let before = views.before.as_ref().unwrap();
    assert_eq!(before.get("last_name"), Some(&Document::from("Gone")));
    if subject.connector().capabilities().pin == Pin::Version {
        let update = resolve(subject, subject.update(&id, "+491"), &Nothing)
            .await
            .unwrap();
        send(subject, &update.change).await.unwrap();
        let result = send(subject, &delete.change).await;
        assert!(
            matches!(result, Err(Failure::VersionMismatch)),
            "{result:?}"
        );
    }
    let delete = resolve(subject, subject.delete(&id), &Everything)
        .await
        .unwrap();
    let written = send(subject, &delete.change).await.unwrap();
    assert!(delete.change.reply(written.response).status.is_success());
    absent(subject, &id).await;
}

/// What is not there is refused with the CRM's own answer.
pub async fn absent_records_are_refused(subject: &dyn Subject) {
    absent(subject, &subject.absent_id()).await;
}

async fn absent(subject: &dyn Subject, id: &str) {
    for request in [subject.update(id, "+491"), subject.delete(id)] {
        let name = format!("{request:?}");
        match resolve(subject, request, &Everything).await {
            Err(ParseFailure::Failure(Failure::Refused { response, .. })) => {
                assert_eq!(response.unwrap().status.as_u16(), 404, "{name}");
            }
            Err(other) => panic!("{name}: {other}"),
            Ok(_) => panic!("{name}: resolved"),
        }
    }
}
