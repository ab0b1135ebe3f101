//! What the gateway hands in.

use crmgate_connector::{Class, Refusal};
use crmgate_domain::{Effect, Mode};
use crmgate_store::Basis;
use crmgate_testkit::request;

use crate::world::{World, create, kind, status, under};

#[tokio::test]
async fn a_write_is_judged_and_its_purpose_is_on_record() {
    let world = World::new(Mode::Enforce).await;
    let mut asked = create(r#"{"Name":"Ada","Phone":"0"}"#);
    let purpose = " quarter end ".parse().unwrap();
    asked.head.headers.insert("crmgate-purpose", purpose);
    let answer = world.serve("own", asked).await;
    assert_eq!((status(&answer), answer.effect), (201, Some(Effect::Allow)));
    assert_eq!(answer.changed, ["Phone"]);
    let decisions = world.store.all_decisions();
    let operation = decisions[0].operation.as_ref().unwrap();
    assert_eq!(operation.purpose.as_deref(), Some("quarter end"));
    assert_eq!(operation.connection.org.as_deref(), Some("org-1"));
    let refused = world.serve("own", create(r#"{"Name":"Blocked"}"#)).await;
    assert_eq!(kind(&refused), "denied");
    assert_eq!(world.crm.writes().len(), 1);
}

#[tokio::test]
async fn what_is_not_understood_or_malformed_is_refused_and_recorded() {
    let world = World::new(Mode::Enforce).await;
    for (turn, (asked, expected, seen)) in [
        (request("POST", "/odd", "x"), "not_understood", "POST /odd"),
        (request("GET", "/odd", ""), "not_understood", "GET /odd"),
        (
            request("POST", "/records/Contact/c1", "{}"),
            "not_understood",
            "POST /records/Contact/c1",
        ),
        (create("no json"), "malformed", "POST /records/Contact"),
        (
            create(r#"{"Name":"a","Name":"b"}"#),
            "malformed",
            "POST /records/Contact",
        ),
        (create("[]"), "malformed", "POST /records/Contact"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = world.serve("own", asked).await;
        assert_eq!(kind(&answer), expected);
        let record = &world.store.all_decisions()[turn];
        assert_eq!(answer.decision, Some(record.decision.id));
        assert_eq!(record.decision.judgement.effect, Effect::Deny);
        assert_eq!(record.opaque.as_deref(), Some(seen));
        assert_eq!(record.asked_by.as_deref(), Some("user-t1"));
    }
    assert!(world.crm.journal().is_empty());
    let odd = under("", request("POST", "/odd", "x"));
    let nobody = world.serve("own", odd).await;
    assert_eq!(kind(&nobody), "not_understood");
    assert_eq!(nobody.decision, None, "strangers cannot fill the record");
}

#[tokio::test]
async fn observing_passes_what_is_not_understood_or_malformed_and_records_it() {
    let world = World::new(Mode::Observe).await;
    for (turn, (asked, code)) in [
        (request("POST", "/odd", "x"), "not_understood"),
        (create(r#"{"Name":"a","Name":"b"}"#), "duplicate_field"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = world.serve("own", asked).await;
        assert!(answer.native().is_some(), "{answer:?}");
        assert_eq!(answer.basis, Some(Basis::Opaque));
        assert_eq!(answer.mode, Mode::Observe);
        let decisions = world.store.all_decisions();
        assert_eq!(decisions[turn].decision.judgement.reasons[0].code, code);
    }
    assert_eq!(world.crm.writes().len(), 2);
    let nobody = world
        .serve("own", under("", request("POST", "/odd", "x")))
        .await;
    assert_eq!(kind(&nobody), "unauthenticated");
}

#[tokio::test]
async fn the_gateways_own_refusals_are_counted() {
    let world = World::new(Mode::Enforce).await;
    let connection = world.connection("own");
    let asked = create("x");
    assert!(matches!(connection.classify(&asked.head), Class::Write(_)));
    let refusal = Refusal::TooLarge { limit: 10 };
    let answer = world.app.refuse(&connection, &asked.head, refusal);
    assert_eq!(kind(&answer), "too_large");
    world.app.finish().await;
    world.app.close().await;
    let name = "own".parse().unwrap();
    let seen = crmgate_store::ConnectionLog::sightings(world.store.as_ref(), &name, None);
    let seen = seen.await.unwrap();
    assert_eq!(seen.len(), 1);
    let key = &seen[0].key;
    assert_eq!(
        (key.enforced.as_str(), key.why.as_str()),
        ("refuse", "crmgate/too_large")
    );
    assert_eq!(
        (key.client.as_str(), key.route.as_str()),
        ("testkit", "create")
    );
}
