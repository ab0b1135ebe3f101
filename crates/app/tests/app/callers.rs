//! Who callers are.

use std::sync::Arc;
use std::time::Duration;

use crmgate_app::IdentitySettings;
use crmgate_domain::Mode;
use crmgate_store::Role;
use crmgate_testkit::{Fault, request};

use crate::world::{World, create, kind, status, under, under_secret};

const ADA: &str = r#"{"Name":"Ada"}"#;

#[tokio::test]
async fn the_crm_is_asked_once_per_token_however_many_come() {
    let world = World::new(Mode::Enforce).await;
    let world = Arc::new(world);
    let tasks: Vec<_> = (0..8)
        .map(|turn| {
            let world = Arc::clone(&world);
            let body = format!(r#"{{"Name":"n{turn}"}}"#);
            tokio::spawn(async move { world.serve("own", create(&body)).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(status(&task.await.unwrap()), 201);
    }
    assert_eq!(world.crm.identifications(), 1);
    world.serve("own", under("t2", create(ADA))).await;
    assert_eq!(world.crm.identifications(), 2);
    let decisions = world.store.all_decisions();
    let actor = &decisions.last().unwrap().operation.as_ref().unwrap().actor;
    assert_eq!(actor.id, "user-t2");
}

#[tokio::test]
async fn reads_ask_nobody_who_it_is() {
    let world = World::new(Mode::Enforce).await;
    let answer = world
        .serve("own", under("any", request("GET", "/records/Contact", "")))
        .await;
    assert_eq!(status(&answer), 200);
    let open = world
        .serve("own", under("", request("GET", "/versions", "")))
        .await;
    assert_eq!(status(&open), 200);
    assert_eq!(world.crm.identifications(), 0);
    let nobody = world
        .serve("own", under("", request("GET", "/records/Contact", "")))
        .await;
    assert_eq!(kind(&nobody), "unauthenticated");
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_remembered_for_a_while() {
    let world = World::new(Mode::Enforce).await;
    for _ in 0..3 {
        let answer = world.serve("own", under("bad1", create(ADA))).await;
        assert_eq!(kind(&answer), "unauthenticated");
    }
    assert_eq!(world.crm.identifications(), 1);
    assert!(world.crm.writes().is_empty());
}

#[tokio::test]
async fn a_crm_that_cannot_be_asked_is_no_verdict_on_the_token() {
    let world = World::new(Mode::Enforce).await;
    world.crm.fail_lookups(true);
    let answer = world.serve("own", create(ADA)).await;
    assert_eq!(kind(&answer), "inability");
    world.crm.fail_lookups(false);
    assert_eq!(
        status(&world.serve("own", create(ADA)).await),
        201,
        "not remembered"
    );
}

#[tokio::test]
async fn identities_are_forgotten_in_time_and_when_the_crm_refuses_the_token() {
    let short = IdentitySettings {
        ttl: Duration::from_millis(40),
        ..IdentitySettings::default()
    };
    let world = World::with(Mode::Enforce, short).await;
    world.serve("own", create(ADA)).await;
    // Longer than the time to live, on the cache's own clock.
    tokio::time::sleep(Duration::from_millis(60)).await;
    world.serve("own", create(r#"{"Name":"Bob"}"#)).await;
    assert_eq!(world.crm.identifications(), 2);

    let world = World::new(Mode::Enforce).await;
    world.serve("own", create(ADA)).await;
    world.crm.fault([Fault::Unauthorized]);
    let expired = world.serve("own", create(r#"{"Name":"Bob"}"#)).await;
    assert_eq!(status(&expired), 401);
    world.serve("own", create(r#"{"Name":"Cyd"}"#)).await;
    assert_eq!(world.crm.identifications(), 2, "asked anew");
}

#[tokio::test]
async fn a_brokered_connection_serves_holders_of_its_tokens_only() {
    let world = World::new(Mode::Enforce).await;
    let good = world.token(&[Role::Client], &["lent"]).await;
    let elsewhere = world.token(&[Role::Client], &["own"]).await;
    let reader = world.token(&[Role::Auditor], &[]).await;
    for answer in [
        world
            .serve("lent", under_secret(&elsewhere, create(ADA)))
            .await,
        world
            .serve("lent", under_secret(&reader, create(ADA)))
            .await,
        world
            .serve(
                "lent",
                under_secret(&reader, request("GET", "/records/Contact", "")),
            )
            .await,
    ] {
        assert_eq!(kind(&answer), "forbidden");
    }
    for token in ["t1", "", "crmgate_0000000000000000_00"] {
        for asked in [create(ADA), request("GET", "/records/Contact", "")] {
            let answer = world.serve("lent", under(token, asked)).await;
            assert_eq!(kind(&answer), "unauthenticated", "{token}");
        }
    }
    assert!(
        world.crm.journal().is_empty(),
        "the connection's credential is not lent to strangers"
    );

    let read = world
        .serve(
            "lent",
            under_secret(&good, request("GET", "/records/Contact", "")),
        )
        .await;
    assert_eq!(status(&read), 200);
    let refused = world.serve("lent", under_secret(&good, create(ADA))).await;
    assert_eq!(
        refused.why.as_deref(),
        Some("crm.sales.contacts/robot"),
        "policies see the holder"
    );
    let decisions = world.store.all_decisions();
    let actor = &decisions[0].operation.as_ref().unwrap().actor;
    assert_eq!(actor.scopes.as_deref(), Some(&["write".to_owned()][..]));
    assert_eq!(world.crm.identifications(), 0);
}

#[tokio::test]
async fn observing_lends_no_credential_to_strangers_either() {
    let world = World::new(Mode::Observe).await;
    for asked in [
        create(ADA),
        request("POST", "/odd", "x"),
        request("GET", "/odd", ""),
    ] {
        let answer = world.serve("lent", under("stranger", asked)).await;
        assert_eq!(kind(&answer), "unauthenticated");
    }
    assert!(world.crm.journal().is_empty());
    let unknown = world.serve("own", under("bad1", create(ADA))).await;
    assert_eq!(status(&unknown), 201, "the CRM looks at its own tokens");
}

#[tokio::test]
async fn signing_in_at_a_brokered_connection_exchanges_a_crmgate_token() {
    use secrecy::ExposeSecret as _;
    let world = World::new(Mode::Enforce).await;
    let token = world.token(&[Role::Client], &["lent"]).await;
    let body = format!(r#"{{"client_secret":"{}"}}"#, token.expose_secret());
    let answer = world
        .serve("lent", request("POST", "/sign-in", &body))
        .await;
    assert_eq!(status(&answer), 200);
    for wrong in ["{}", r#"{"client_secret":"other"}"#] {
        let answer = world
            .serve("lent", request("POST", "/sign-in", wrong))
            .await;
        assert_eq!(kind(&answer), "unauthenticated");
    }
    let through = world.serve("own", request("POST", "/sign-in", "{}")).await;
    assert_eq!(status(&through), 200);
}
