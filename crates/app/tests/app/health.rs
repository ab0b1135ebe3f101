//! Readiness, and the standing work.

use std::sync::Arc;
use std::time::Duration;

use crmgate_app::State;
use crmgate_domain::Mode;
use tokio_util::sync::CancellationToken;

use crate::world::{World, create};

#[tokio::test]
async fn readiness_tells_what_is_wrong() {
    let world = World::new(Mode::Enforce).await;
    let health = world.app.health();
    let early = health.ready().await;
    assert_eq!(early.state, State::Degraded, "no CRM was asked yet");
    health.probe_all().await;
    let good = health.ready().await;
    assert_eq!(good.state, State::Ok, "{good:?}");
    assert!(good.observing.is_empty());
    let names: Vec<&str> = good
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "store",
            "policies",
            "record",
            "connection lent",
            "connection own"
        ]
    );

    world.crm.fail_lookups(true);
    health.probe_all().await;
    let lonely = health.ready().await;
    assert_eq!(
        lonely.state,
        State::Degraded,
        "the others' gates stay in service"
    );
    assert!(
        lonely.checks[3]
            .detail
            .as_deref()
            .unwrap()
            .contains("told to fail")
    );

    world.crm.fail_lookups(false);
    health.probe_all().await;
    "package crm.sales.contacts\n\ndeny contains".clone_into(&mut world.desk.0.lock().unwrap());
    assert!(world.app.policies().reload().await.is_err());
    let degraded = health.ready().await;
    assert_eq!(degraded.state, State::Degraded);
    assert!(
        degraded.checks[1]
            .detail
            .as_deref()
            .unwrap()
            .contains("sales/contacts.rego")
    );

    world.store.set_broken(true);
    assert_eq!(health.ready().await.state, State::Failed);
}

#[tokio::test]
async fn observing_connections_are_named() {
    let world = World::new(Mode::Observe).await;
    assert_eq!(world.app.health().ready().await.observing, ["lent", "own"]);
    assert!(world.app.connections().any_observes());
}

#[tokio::test]
async fn the_standing_work_ends_when_told_and_ending_writes_down_what_is_left() {
    let world = World::new(Mode::Enforce).await;
    let stop = CancellationToken::new();
    let app = Arc::clone(&world.app);
    let until = stop.clone();
    let running = tokio::spawn(async move { app.run(until).await });
    world.serve("own", create(r#"{"Name":"Ada"}"#)).await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), running)
        .await
        .unwrap()
        .unwrap();
    world.app.finish().await;
    world.app.close().await;
    let name = "own".parse().unwrap();
    let log: &dyn crmgate_store::ConnectionLog = world.store.as_ref();
    let seen = log.sightings(&name, None).await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(world.store.all_outcomes().len(), 1);
}
