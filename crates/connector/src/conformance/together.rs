//! Writes that go in one call: each keeps a permit, an outcome and a key of its own.
//!
//! A connector that sends writes together runs these by
//! `crmgate_connector::conformance_together_tests!(fresh)`. It must take keyed creates together;
//! updates are tried where it takes them, too.

use std::sync::Arc;

use crmgate_domain::{
    Actor, ConnectionRef, Kind, Object, Operation, OperationId, PayloadHash, Point,
};

use super::{Everything, Nothing, Subject, arrived, control, fault, made};
use crate::{Credential, Delivered, Failure, NativeChange, Needs, Parcel, ReadBackResult};

/// A change on its way, and the operation that its key comes from.
pub(super) struct Queued {
    seed: OperationId,
    fields: Object,
    pub(super) change: Arc<dyn NativeChange>,
}

/// An operation as it comes out of a queue.
fn operation(subject: &dyn Subject, kind: Kind, record_id: Option<String>) -> Operation {
    let connector = subject.connector();
    let ambient = subject.ambient();
    Operation {
        id: OperationId::fresh(ambient.as_ref()),
        kind,
        requested: None,
        point: Point::Queue,
        at: ambient.now(),
        connection: ConnectionRef {
            name: connector.name().clone(),
            system: connector.system().to_owned(),
            org: None,
        },
        object: subject.object().to_owned(),
        native_object: String::new(),
        record_id,
        actor: Actor::default(),
        request: None,
        purpose: None,
        batch: None,
        name: None,
        arguments: None,
        relation: None,
    }
}

async fn judged(
    subject: &dyn Subject,
    operation: &Operation,
    fields: Object,
    seed: Option<OperationId>,
    needs: &dyn Needs,
) -> Arc<dyn NativeChange> {
    let connector = subject.connector();
    let mut draft = connector.draft(operation, Some(fields)).await.unwrap();
    draft.seed = seed;
    let resolved = connector
        .resolve(draft, needs, &Credential::Service)
        .await
        .unwrap();
    assert_eq!(resolved.kind, operation.kind);
    resolved.change
}

/// A create of a record with this last name.
pub(super) async fn create(subject: &dyn Subject, name: &str) -> Queued {
    let operation = operation(subject, Kind::Create, None);
    let mut fields = Object::new();
    fields.set("last_name", name.into());
    let seed = operation.id;
    let change = judged(subject, &operation, fields.clone(), Some(seed), &Nothing).await;
    Queued {
        seed,
        fields,
        change,
    }
}

/// Creates of records with these last names.
pub(super) async fn creates(subject: &dyn Subject, names: &[&str]) -> Vec<Queued> {
    let mut all = Vec::new();
    for name in names {
        all.push(create(subject, name).await);
    }
    all
}

/// An update of the record's phone number, pinned to its present version.
pub(super) async fn update(subject: &dyn Subject, id: &str, phone: &str) -> Queued {
    let operation = operation(subject, Kind::Update, Some(id.to_owned()));
    let mut fields = Object::new();
    fields.set("phone", phone.into());
    let change = judged(subject, &operation, fields.clone(), None, &Everything).await;
    Queued {
        seed: operation.id,
        fields,
        change,
    }
}

/// The same create, judged anew: by another process, or after a crash.
async fn again(subject: &dyn Subject, queued: &Queued) -> Queued {
    let operation = operation(subject, Kind::Create, None);
    let fields = queued.fields.clone();
    let seed = Some(queued.seed);
    let change = judged(subject, &operation, fields.clone(), seed, &Nothing).await;
    Queued {
        seed: queued.seed,
        fields,
        change,
    }
}

/// Sends changes in one call, each with a permit of its own.
pub(super) async fn together(subject: &dyn Subject, all: &[Queued], atomic: bool) -> Delivered {
    let hashes: Vec<PayloadHash> = all
        .iter()
        .map(|queued| queued.change.outgoing().hash())
        .collect();
    together_with(subject, all, hashes, atomic).await
}

async fn together_with(
    subject: &dyn Subject,
    all: &[Queued],
    hashes: Vec<PayloadHash>,
    atomic: bool,
) -> Delivered {
    let connector = subject.connector();
    let mut keys = Vec::new();
    let mut parcels = Vec::new();
    for (queued, hash) in all.iter().zip(hashes) {
        let form = connector.form(queued.change.as_ref(), atomic);
        let form = form.unwrap_or_else(|| panic!("no form for {:?}", queued.change.outgoing()));
        assert!(form.most >= all.len() && form.most_bytes > 0, "{form:?}");
        keys.push(form.key);
        parcels.push(Parcel {
            permit: subject.permit(hash).await,
            outgoing: queued.change.outgoing(),
            change: Arc::clone(&queued.change),
        });
    }
    keys.dedup();
    assert!(keys.len() <= 1, "equal forms: {keys:?}");
    let before = arrived(subject).await;
    let delivered = connector
        .write_together(parcels, atomic, &Credential::Service)
        .await;
    assert_eq!(delivered.results.len(), all.len(), "an answer for each");
    let sent = arrived(subject).await - before;
    assert!(
        usize::try_from(delivered.calls).unwrap() >= sent,
        "{} calls were counted of {sent}",
        delivered.calls
    );
    delivered
}

/// The id that each write gave; they must all have succeeded.
pub(super) fn ids(all: &[Queued], delivered: Delivered) -> Vec<String> {
    let one = |(queued, result): (&Queued, Result<crate::Written, Failure>)| {
        let written = result.unwrap_or_else(|failure| panic!("{failure:?}"));
        let id = written.record_id.clone();
        assert!(queued.change.reply(written.response).status.is_success());
        id.unwrap_or_else(|| panic!("a write tells the record's id"))
    };
    all.iter().zip(delivered.results).map(one).collect()
}

/// What became of a write, as reading back finds it.
pub(super) async fn found(subject: &dyn Subject, queued: &Queued) -> ReadBackResult {
    let read_back = queued.change.read_back(None);
    subject.connector().read_back(&read_back).await.unwrap()
}

/// Puts faults in force.
pub(super) async fn faults(subject: &dyn Subject, list: &str) {
    let body = format!(r#"{{"faults":[{list}]}}"#);
    control(subject, "PUT", "faults", body).await;
}

pub(super) async fn no_faults(subject: &dyn Subject) {
    control(subject, "DELETE", "faults", String::new()).await;
}

fn rolled_back(result: &Result<crate::Written, Failure>) -> bool {
    result.as_ref().is_err_and(Failure::is_rolled_back)
}

/// Many writes, few calls, and for each the answer that it would have had alone.
pub async fn writes_go_together(subject: &dyn Subject) {
    let all = creates(subject, &["Together A", "Together B", "Together C"]).await;
    let before = arrived(subject).await;
    let delivered = together(subject, &all, false).await;
    assert_eq!((delivered.calls, arrived(subject).await - before), (1, 1));
    let mut made = ids(&all, delivered);
    for (queued, id) in all.iter().zip(&made) {
        assert_eq!(
            found(subject, queued).await,
            ReadBackResult::Happened(Some(id.clone()))
        );
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), all.len(), "records of their own");
    let alone = create(subject, "Together D").await;
    let one = together(subject, std::slice::from_ref(&alone), false).await;
    assert_eq!(ids(std::slice::from_ref(&alone), one).len(), 1);
    let none = together(subject, &[], false).await;
    assert_eq!((none.results.len(), none.calls), (0, 0));
}

/// One refused, one locked: each has its own failure, and the others happen.
pub async fn rows_fail_alone(subject: &dyn Subject) {
    let all = creates(subject, &["Row fine", "Row no", "Row lock", "Row good"]).await;
    faults(
        subject,
        r#"{"kind":"status","status":400,"row":{"holds":"Row no"}},{"kind":"lock_row","row":{"holds":"Row lock"}}"#,
    )
    .await;
    let delivered = together(subject, &all, false).await;
    no_faults(subject).await;
    let results = &delivered.results;
    assert!(results[0].is_ok() && results[3].is_ok(), "{results:?}");
    match &results[1] {
        Err(Failure::Refused { response, .. }) => {
            let response = response.as_ref().unwrap();
            assert_eq!(response.status.as_u16(), 400, "as when it goes alone");
        }
        other => panic!("refused: {other:?}"),
    }
    match &results[2] {
        Err(Failure::Repeatable { code, .. }) => {
            assert!(matches!(code.as_str(), "locked" | "throttled"), "{code}");
        }
        other => panic!("locked: {other:?}"),
    }
    for (queued, happened) in all.iter().zip([true, false, false, true]) {
        let found = found(subject, queued).await;
        assert_eq!(matches!(found, ReadBackResult::Happened(_)), happened);
        assert_eq!(found == ReadBackResult::DidNotHappen, !happened);
    }
}

/// A version that no longer stands fails its own write only.
pub async fn stale_pins_fail_alone(subject: &dyn Subject) {
    let connector = subject.connector();
    let (one, two) = (
        made(subject, "Pin one").await,
        made(subject, "Pin two").await,
    );
    let all = [
        update(subject, &one, "+491").await,
        update(subject, &two, "+492").await,
    ];
    if connector.form(all[0].change.as_ref(), false).is_none() {
        return;
    }
    let other = update(subject, &one, "+493").await;
    ids(
        std::slice::from_ref(&other),
        together(subject, std::slice::from_ref(&other), false).await,
    );
    let delivered = together(subject, &all, false).await;
    let results = &delivered.results;
    assert!(
        matches!(results[0], Err(Failure::VersionMismatch)),
        "{results:?}"
    );
    assert!(results[1].is_ok(), "{results:?}");
}

/// No answer to the call: every write of it is unknown, none is sent again, and reading back finds
/// each. A create that is judged again after that cannot become a second record.
pub async fn lost_calls_lose_no_write(subject: &dyn Subject) {
    for (kind, happened) in [("drop_before_commit", false), ("drop_after_commit", true)] {
        let all = creates(subject, &["Lost A", "Lost B", "Lost C"]).await;
        fault(subject, "POST", &format!(r#""kind":"{kind}""#)).await;
        let before = arrived(subject).await;
        let delivered = together(subject, &all, false).await;
        assert_eq!(arrived(subject).await - before, 1, "never repeated blindly");
        for result in &delivered.results {
            assert!(matches!(result, Err(Failure::Unknown { .. })), "{result:?}");
        }
        let mut there = Vec::new();
        for queued in &all {
            match found(subject, queued).await {
                ReadBackResult::Happened(id) if happened => there.push(id.unwrap()),
                ReadBackResult::DidNotHappen if !happened => {}
                other => panic!("{kind}: {other:?}"),
            }
        }
        let mut repeated = Vec::new();
        for queued in &all {
            repeated.push(again(subject, queued).await);
        }
        let made = ids(&repeated, together(subject, &repeated, false).await);
        if happened {
            assert_eq!(made, there, "the same records, not others");
        }
        let once = made.clone();
        let alone = again(subject, &all[0]).await;
        let outgoing = alone.change.outgoing();
        let permit = subject.permit(outgoing.hash()).await;
        let written = subject
            .connector()
            .write(permit, outgoing, &Credential::Service)
            .await
            .unwrap();
        assert_eq!(written.record_id.as_ref(), Some(&once[0]), "alone as well");
    }
}

/// What must happen together happens not at all when one of it is refused.
pub async fn groups_are_atomic(subject: &dyn Subject) {
    let all = creates(subject, &["Group A", "Group no", "Group C"]).await;
    faults(
        subject,
        r#"{"kind":"status","status":400,"row":{"holds":"Group no"}}"#,
    )
    .await;
    let delivered = together(subject, &all, true).await;
    no_faults(subject).await;
    let results = &delivered.results;
    assert!(
        matches!(results[1], Err(Failure::Refused { .. })),
        "{results:?}"
    );
    assert!(
        rolled_back(&results[0]) && rolled_back(&results[2]),
        "{results:?}"
    );
    for queued in &all {
        assert_eq!(found(subject, queued).await, ReadBackResult::DidNotHappen);
    }
    let mut good = Vec::new();
    for queued in &all {
        good.push(again(subject, queued).await);
    }
    let delivered = together(subject, &good, true).await;
    assert_eq!(delivered.calls, 1);
    let made = ids(&good, delivered);
    known_again(subject, &good, &made).await;
    let lost = creates(subject, &["Group lost A", "Group lost B"]).await;
    fault(subject, "POST", r#""kind":"drop_after_commit""#).await;
    let delivered = together(subject, &lost, true).await;
    for (queued, result) in lost.iter().zip(&delivered.results) {
        assert!(matches!(result, Err(Failure::Unknown { .. })), "{result:?}");
        assert!(matches!(
            found(subject, queued).await,
            ReadBackResult::Happened(_)
        ));
    }
}

/// A group that is sent once more makes nothing: what was made is told, or found.
async fn known_again(subject: &dyn Subject, group: &[Queued], made: &[String]) {
    let mut repeated = Vec::new();
    for queued in group {
        repeated.push(again(subject, queued).await);
    }
    let delivered = together(subject, &repeated, true).await;
    for ((queued, id), result) in repeated.iter().zip(made).zip(delivered.results) {
        match result {
            Ok(written) => assert_eq!(written.record_id.as_ref(), Some(id)),
            Err(Failure::Unknown { .. }) => {
                let there = ReadBackResult::Happened(Some(id.clone()));
                assert_eq!(found(subject, queued).await, there);
            }
            Err(other) => panic!("it had happened: {other:?}"),
        }
    }
}

/// A permit for another payload lets its own write not through, and of an atomic call none.
pub async fn permits_are_bound_one_by_one(subject: &dyn Subject) {
    for atomic in [false, true] {
        let all = creates(subject, &["Permit A", "Permit B"]).await;
        let hashes = vec![
            PayloadHash::of(&[b"another"]),
            all[1].change.outgoing().hash(),
        ];
        let before = arrived(subject).await;
        let delivered = together_with(subject, &all, hashes, atomic).await;
        let results = &delivered.results;
        assert!(
            matches!(results[0], Err(Failure::Repeatable { .. })),
            "{results:?}"
        );
        assert_eq!(found(subject, &all[0]).await, ReadBackResult::DidNotHappen);
        assert_eq!(results[1].is_ok(), !atomic, "{results:?}");
        let sent = usize::from(!atomic);
        assert_eq!(arrived(subject).await - before, sent);
    }
}

/// A create's key comes from its operation alone.
pub async fn seeds_give_keys(subject: &dyn Subject) {
    let (one, other) = (create(subject, "Seed").await, create(subject, "Seed").await);
    let body = |queued: &Queued| queued.change.outgoing().body;
    assert_eq!(body(&one), body(&again(subject, &one).await));
    assert_ne!(body(&one), body(&other));
    let operation = operation(subject, Kind::Create, None);
    let mut drawn = Vec::new();
    for _ in 0..2 {
        let change = judged(subject, &operation, one.fields.clone(), None, &Nothing).await;
        drawn.push(change.outgoing().body);
    }
    assert_ne!(drawn[0], drawn[1], "without a seed a key is drawn");
}

/// Makes one test of each part about writes that go together.
#[macro_export]
macro_rules! conformance_together_tests {
    ($fresh:path) => {
        $crate::conformance_tests! {
            $fresh:
            groups_are_atomic
            lost_calls_lose_no_write
            permits_are_bound_one_by_one
            rows_fail_alone
            seeds_give_keys
            stale_pins_fail_alone
            writes_go_together
        }
    };
}
