//! Connections: modes, reports, scopes.

use std::time::Duration;

use crmgate_app::AppError;
use crmgate_domain::{ConnectionName, DecisionId, Mode};
use crmgate_store::{DecisionFilter, HoldFilter, HoldStatus, Role};
use crmgate_testkit::request;

use crate::world::{World, create, under, under_secret};

fn name(text: &str) -> ConnectionName {
    text.parse().unwrap()
}

#[tokio::test]
async fn the_report_says_what_stands_in_the_way() {
    let world = World::new(Mode::Observe).await;
    let operator = world.principal(&[Role::Operator], &[]).await;
    let report = || world.app.connections().report(&operator, &OWN, None);
    let empty = report().await.unwrap();
    assert!(!empty.safe_to_enforce);
    assert_eq!(empty.obstacles[0].code, "nothing_seen");

    world.serve("own", create(r#"{"Name":"Ada"}"#)).await;
    world
        .serve("own", request("GET", "/records/Contact", ""))
        .await;
    let good = report().await.unwrap();
    assert!(good.safe_to_enforce, "{good:?}");
    assert_eq!(good.conclusion, "safe to enforce");
    assert_eq!((good.rows.len(), good.mode), (2, Mode::Observe));

    world.serve("own", create(r#"{"Name":"Blocked"}"#)).await;
    world
        .serve("own", request("POST", "/odd/12345/x", "{}"))
        .await;
    world.serve("own", create("no json")).await;
    let bad = report().await.unwrap();
    assert!(!bad.safe_to_enforce);
    let told: Vec<&str> = bad.obstacles.iter().map(|o| o.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "`testkit` at `create`: refused, 2 of 3 times: crm.sales.contacts/blocked (1), \
             crmgate/invalid_json (1)",
            "`testkit` at `POST /odd/*/x`: not understood, 1 of 1 times",
        ]
    );
    world.ambient.advance(Duration::from_secs(7_200));
    let now = crmgate_domain::Ambient::now(world.ambient.as_ref());
    let later = world
        .app
        .connections()
        .report(&operator, &OWN, Some(now))
        .await
        .unwrap();
    assert_eq!(later.obstacles[0].code, "nothing_seen", "since then");
}

static OWN: std::sync::LazyLock<ConnectionName> = std::sync::LazyLock::new(|| name("own"));

#[tokio::test]
async fn switching_the_mode_is_recorded_and_holds_at_once() {
    let world = World::new(Mode::Observe).await;
    world.app.connections().record_modes().await.unwrap();
    let operator = world.principal(&[Role::Operator], &["own"]).await;
    let connections = world.app.connections();
    let status = connections
        .set_mode(&operator, &OWN, Mode::Enforce)
        .await
        .unwrap();
    assert!(status.protected);
    assert_eq!(status.mode_since.unwrap().by, "robot");
    let denied = world.serve("own", create(r#"{"Name":"Blocked"}"#)).await;
    assert!(denied.refusal().is_some());
    let lent = name("lent");
    let hidden = connections.set_mode(&operator, &lent, Mode::Enforce).await;
    assert!(matches!(hidden, Err(AppError::NotFound { .. })));
    let auditor = world.principal(&[Role::Auditor], &[]).await;
    let refused = connections.set_mode(&auditor, &OWN, Mode::Observe).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))));
    world.store.set_broken(true);
    let unrecorded = connections.set_mode(&operator, &OWN, Mode::Observe).await;
    assert!(matches!(unrecorded, Err(AppError::Unavailable(_))));
    assert_eq!(
        world.connection("own").mode(),
        Mode::Enforce,
        "not without a record"
    );
    world.store.set_broken(false);
    let listed = connections.list(&operator).await.unwrap();
    assert_eq!(listed.len(), 1, "only what it may see");
}

#[tokio::test]
async fn decisions_are_seen_by_whom_they_concern() {
    let world = World::new(Mode::Enforce).await;
    let client = world.token(&[Role::Client], &[]).await;
    let other = world.principal(&[Role::Client], &[]).await;
    world
        .serve("own", under("t1", create(r#"{"Name":"Ada"}"#)))
        .await;
    let mine = world
        .serve("lent", under_secret(&client, create(r#"{"Name":"Ada"}"#)))
        .await;
    let mine = mine.decision.unwrap();
    let client = world.app.tokens().verify(&client).await.unwrap();
    let decisions = world.app.decisions();
    let all = || async {
        let auditor = world.principal(&[Role::Auditor], &[]).await;
        decisions
            .list(&auditor, DecisionFilter::default(), None, 10)
            .await
            .unwrap()
            .items
    };
    assert_eq!(all().await.len(), 2);
    let of = |by: crmgate_app::Principal, filter: DecisionFilter| async move {
        let page = decisions.list(&by, filter, None, 10).await.unwrap();
        page.items
            .iter()
            .map(|d| d.record.decision.id)
            .collect::<Vec<DecisionId>>()
    };
    assert_eq!(of(client.clone(), DecisionFilter::default()).await, [mine]);
    let prying = DecisionFilter {
        actor: Some("user-t1".to_owned()),
        ..DecisionFilter::default()
    };
    assert!(of(client.clone(), prying).await.is_empty());
    assert!(
        of(other.clone(), DecisionFilter::default())
            .await
            .is_empty()
    );
    let scoped = world.principal(&[Role::Auditor], &["own"]).await;
    let everything = DecisionFilter {
        visible: None,
        ..DecisionFilter::default()
    };
    assert_eq!(of(scoped.clone(), everything).await.len(), 1);

    assert!(decisions.show(&client, mine).await.is_ok());
    for by in [&other, &scoped] {
        let hidden = decisions.show(by, mine).await;
        assert!(matches!(hidden, Err(AppError::NotFound { .. })));
    }
    for limit in [0, 501] {
        let wrong = decisions
            .list(&scoped, DecisionFilter::default(), None, limit)
            .await;
        assert!(matches!(wrong, Err(AppError::Invalid { .. })));
    }
    let wrong = decisions
        .list(&scoped, DecisionFilter::default(), Some("x"), 1)
        .await;
    assert_eq!(wrong.unwrap_err().code(), "invalid");
    let holds = world
        .app
        .holds()
        .list(&client, HoldFilter::default(), None, 5)
        .await;
    assert!(holds.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_hold_that_nobody_answered_is_over_for_whoever_looks() {
    let world = World::new(Mode::Enforce).await;
    let answer = world.serve("own", create(r#"{"Size":500}"#)).await;
    let id = answer.hold.unwrap();
    let approver = world.principal(&[Role::Approver], &[]).await;
    let elsewhere = world.principal(&[Role::Approver], &["lent"]).await;
    let holds = world.app.holds();
    let waiting = holds.show(&approver, id).await.unwrap();
    assert_eq!(waiting.status, HoldStatus::Waiting);
    assert_eq!(waiting.approvals[0].users, ["boss"]);
    assert!(matches!(
        holds.show(&elsewhere, id).await,
        Err(AppError::NotFound { .. })
    ));
    world.ambient.advance(Duration::from_secs(3_600));
    let listed = holds.list(&approver, HoldFilter::default(), None, 5).await;
    assert_eq!(listed.unwrap().items[0].status, HoldStatus::Expired);
    assert_eq!(
        holds.show(&approver, id).await.unwrap().status,
        HoldStatus::Expired
    );
}

#[tokio::test]
async fn modes_that_the_configuration_sets_are_recorded_once() {
    let world = World::new(Mode::Observe).await;
    let connections = world.app.connections();
    connections.record_modes().await.unwrap();
    connections.record_modes().await.unwrap();
    let log: &dyn crmgate_store::ConnectionLog = world.store.as_ref();
    let modes = log.modes(&OWN).await.unwrap();
    assert_eq!(modes.len(), 1);
    assert_eq!(
        (modes[0].by.as_str(), modes[0].mode),
        ("configuration", Mode::Observe)
    );
}
