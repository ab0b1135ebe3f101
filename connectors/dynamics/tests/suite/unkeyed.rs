//! Creates without a key of their own, looked for by who made them, when, and with which values.

use std::time::Duration;

use crmgate_connector::{Failure, ReadBackResult};
use crmgate_domain::{Object, PayloadHash, Timestamp};
use crmgate_sim::Clock;
use crmgate_store::ReadBack;
use crmgate_store::attempt::Locate;
use serde_json::json;

use crate::support::{ADMIN, Org};
use crate::together::{account, made, sent};

/// The longest that a create can be under way.
const OVER: Duration = Duration::from_secs(11 * 60 + 61);

struct Lost {
    clock: Clock,
    org: Org,
    since: Timestamp,
}

impl Lost {
    async fn new() -> Self {
        let clock = Clock::default();
        let org = Org::on(json!({}), ADMIN, &clock).await;
        // Behind whatever was seeded.
        clock.advance(OVER);
        Self {
            since: clock.now(),
            clock,
            org,
        }
    }

    /// Looks for an account of this name.
    async fn ask(&self, name: &str) -> Result<ReadBackResult, Failure> {
        let mut expect = Object::new();
        expect.set("name", name.into());
        let read_back = ReadBack {
            native_object: "account".to_owned(),
            locate: Locate::Nowhere,
            expect,
            deleted: false,
            version: Some(format!("*{}", self.since)),
            actor: None,
            join_key: PayloadHash::of(&[]),
        };
        self.org.connector.read_back(&read_back).await
    }
}

#[tokio::test]
async fn one_that_holds_the_values_may_be_it_and_is_named() {
    let lost = Lost::new().await;
    let id = made(&lost.org, "Lost").await;
    made(&lost.org, "Another").await;
    let found = lost.ask("Lost").await.unwrap();
    assert!(
        matches!(&found, ReadBackResult::Uncertain(why) if why.contains(&id)),
        "{found:?}"
    );
    made(&lost.org, "Lost").await;
    match lost.ask("Lost").await.unwrap() {
        ReadBackResult::Uncertain(why) => {
            assert!(why.contains("2 records hold what was written"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn none_is_certain_once_nothing_more_can_come() {
    let lost = Lost::new().await;
    // Somebody else's counts for nothing.
    let theirs = account(&lost.org, json!({"name": "Lost"})).await;
    lost.org.send(&theirs).await.unwrap();
    match lost.ask("Lost").await {
        Err(Failure::Repeatable { retry_after, .. }) => assert!(retry_after.is_some()),
        other => panic!("{other:?}"),
    }
    lost.clock.advance(OVER);
    let found = lost.ask("Lost").await.unwrap();
    assert_eq!(found, ReadBackResult::DidNotHappen);
}

#[tokio::test]
async fn others_of_that_time_leave_it_uncertain() {
    let lost = Lost::new().await;
    let id = made(&lost.org, "Trimmed by a plug-in").await;
    lost.clock.advance(OVER);
    match lost.ask("Lost").await.unwrap() {
        ReadBackResult::Uncertain(why) => assert!(why.contains(&id), "{why}"),
        other => panic!("{other:?}"),
    }
    let many = Lost::new().await;
    let mut all = Vec::new();
    for number in 0..12 {
        let body = json!({"name": format!("Many {number}")});
        all.push(account(&many.org, body).await);
    }
    sent(&many.org, &all, false).await;
    many.clock.advance(OVER);
    match many.ask("Lost").await.unwrap() {
        ReadBackResult::Uncertain(why) => assert!(why.contains('…'), "{why}"),
        other => panic!("{other:?}"),
    }
}
