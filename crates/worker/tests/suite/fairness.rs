//! Fair to the org, over all processes.

use std::time::Duration;

use crmgate_domain::{Ambient as _, State};
use crmgate_worker::fair::Quiet;
use jiff::civil::{Weekday, time};
use jiff::tz::TimeZone;
use serde_json::json;

use crate::world::{System, World};

#[tokio::test]
async fn two_workers_share_a_days_calls() {
    let mut world = World::new(System::Salesforce).await;
    let mut records = Vec::new();
    for nth in 0..12 {
        records.push(world.create(&format!("R{nth}")));
    }
    let records = world.work_off(records).await;
    let before = world.calls().len();
    let spent = {
        let cell = crmgate_store::Cells::cell(world.store.as_ref(), "fair/acme").await;
        let text = cell.unwrap().unwrap().body;
        let known: serde_json::Value = serde_json::from_str(&text).unwrap();
        known["day"]["calls"].as_u64().unwrap()
    };
    // Updates take two calls each: what is stored is looked up, and a write that goes alone.
    world.rules.daily = Some(spent + 10);
    let mut wishes = Vec::new();
    for record in &records {
        wishes.push(world.update(record.record_id.as_deref().unwrap(), "1"));
    }
    let ids = world.submit(wishes).await;
    let (one, two) = (world.worker(), world.worker());
    let mut waiting = Vec::new();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        waiting.clear();
        for id in &ids {
            let seen = world.see(*id).await;
            let code = seen.why.as_ref().map(|why| why.code.as_str());
            if seen.state == State::Received && code == Some("daily_limit") {
                waiting.push(seen);
            }
        }
        let states = world.states(&ids).await;
        let done = states.iter().filter(|state| **state == State::Succeeded);
        if done.count() + waiting.len() == ids.len() {
            break;
        }
    }
    one.stop().await;
    two.stop().await;
    let written = world.calls().len() - before;
    let states = world.states(&ids).await;
    assert!(!waiting.is_empty(), "{states:?}");
    let succeeded = states.iter().filter(|state| **state == State::Succeeded);
    assert_eq!(succeeded.count(), written);
    // Two calls for each, and none is looked up that could not be written.
    assert!((3..=5).contains(&written), "{written}");
    let midnight = waiting[0].due.to_zoned(TimeZone::UTC).date();
    assert!(midnight > world.ambient.now().to_zoned(TimeZone::UTC).date());
    // The next day they go on.
    world.advance(Duration::from_secs(26 * 60 * 60));
    world.rules.daily = None;
    let working = world.worker();
    world.end(&ids).await;
    working.stop().await;
    assert!(
        world
            .states(&ids)
            .await
            .iter()
            .all(|state| *state == State::Succeeded)
    );
}

#[tokio::test]
async fn two_workers_on_one_store_write_everything_once() {
    let world = World::new(System::Dynamics).await;
    let wishes = (0..120).map(|nth| world.create(&format!("Two {nth:03}")));
    let ids = world.submit(wishes.collect()).await;
    let (one, two) = (world.worker(), world.worker());
    world.end(&ids).await;
    one.stop().await;
    two.stop().await;
    assert!(
        world
            .states(&ids)
            .await
            .iter()
            .all(|state| *state == State::Succeeded)
    );
    for nth in 0..120 {
        assert_eq!(world.count(&format!("Two {nth:03}")).await, 1);
    }
}

#[tokio::test]
async fn quiet_hours_are_kept_and_the_rows_say_until_when() {
    let mut world = World::new(System::Salesforce).await;
    let now = world.ambient.now().to_zoned(TimeZone::UTC);
    let days = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];
    world.rules.quiet = vec![Quiet {
        zone: TimeZone::UTC,
        days: days.to_vec(),
        from: time(now.hour(), 0, 0, 0),
        to: time((now.hour() + 2) % 24, 0, 0, 0),
    }];
    let ids = world.submit(vec![world.create("Quiet")]).await;
    let working = world.worker();
    let mut seen = world.see(ids[0]).await;
    for _ in 0..200 {
        if seen.why.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        seen = world.see(ids[0]).await;
    }
    assert_eq!(seen.state, State::Received);
    assert_eq!(seen.why.unwrap().code, "quiet_hours");
    assert!(seen.due > world.ambient.now() + Duration::from_secs(30 * 60));
    assert_eq!(seen.attempts, 0);
    assert_eq!(world.calls(), Vec::<String>::new());
    world.advance(Duration::from_secs(3 * 60 * 60));
    world.end(&ids).await;
    working.stop().await;
    assert_eq!(world.count("Quiet").await, 1);
}

#[tokio::test]
async fn a_crm_that_does_not_answer_is_left_alone_and_probed() {
    let mut world = World::new(System::Salesforce).await;
    world.rules.breaker.failures = 3;
    world.rules.breaker.pause = Duration::from_millis(300);
    world.faults(
        &json!([{"kind": "status", "status": 503, "path": "*/sobjects/*", "method": "POST"}]),
    );
    let wishes = (0..30).map(|nth| {
        let mut wish = world.create(&format!("Down {nth}"));
        // One by one, so that there would be many calls.
        wish.0.lane = Some("one".to_owned());
        wish
    });
    let ids = world.submit(wishes.collect()).await;
    let working = world.worker();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let calls = world.calls().len();
    assert!((1..=12).contains(&calls), "{calls}");
    world.faults(&json!([]));
    world.end(&ids).await;
    working.stop().await;
    for nth in 0..30 {
        assert_eq!(world.count(&format!("Down {nth}")).await, 1);
    }
    assert!(
        world
            .states(&ids)
            .await
            .iter()
            .all(|state| *state == State::Succeeded)
    );
}
