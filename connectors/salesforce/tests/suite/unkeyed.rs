//! Creates without a key whose answer is lost: found again by who, when and what.

use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{Failure, NativeChange, ReadBackResult};
use serde_json::json;

use crate::support::{Org, RAE, request, sobjects};
use crate::together::judged;

const LATER: Duration = Duration::from_mins(12);

struct Lost {
    org: Org,
    actor: String,
}

impl Lost {
    async fn new() -> Self {
        let org = Org::new().await;
        org.agree_on_time();
        let actor = org.connector.identify(&RAE.into()).await.unwrap().actor.id;
        Self { org, actor }
    }

    async fn lead(&self, name: &str) -> Arc<dyn NativeChange> {
        let body = json!({"LastName": name, "Company": "Lost & Co", "NumberOfEmployees": 12});
        judged(
            &self.org,
            request("POST", &sobjects("Lead"), &body.to_string()),
            None,
        )
        .await
    }

    /// Sends a create whose answer is lost.
    async fn lose(&self, change: &Arc<dyn NativeChange>, kind: &str) {
        let faults = json!({"faults": [{"method": "POST", "kind": kind, "times": 1}]});
        self.org.set_faults(&faults).await;
        let failure = self.org.send(change).await.unwrap_err();
        assert!(matches!(failure, Failure::Unknown { .. }), "{failure:?}");
    }

    async fn ask(&self, change: &Arc<dyn NativeChange>) -> Result<ReadBackResult, Failure> {
        let read_back = change.read_back(Some(&self.actor));
        // As it comes back from a store.
        let stored = serde_json::to_string(&read_back).unwrap();
        let read_back = serde_json::from_str(&stored).unwrap();
        self.org.connector.read_back(&read_back).await
    }

    fn later(&self) {
        self.org.time.advance(LATER);
        self.org.sim_clock(LATER);
    }
}

#[tokio::test]
async fn nothing_made_is_certain_once_nothing_can_come() {
    let lost = Lost::new().await;
    let change = lost.lead("Never").await;
    lost.lose(&change, "drop_before_commit").await;
    match lost.ask(&change).await {
        Err(Failure::Repeatable { retry_after, .. }) => {
            assert!(retry_after.unwrap() <= Duration::from_mins(11));
        }
        other => panic!("too early to tell: {other:?}"),
    }
    lost.later();
    assert_eq!(
        lost.ask(&change).await.unwrap(),
        ReadBackResult::DidNotHappen
    );
}

#[tokio::test]
async fn one_record_alike_may_be_the_one_and_is_named() {
    let lost = Lost::new().await;
    let change = lost.lead("Likely").await;
    lost.lose(&change, "drop_after_commit").await;
    let id = lost.org.id_of("Lead", "LastName", "Likely").await;
    let may_be = |found: &ReadBackResult| {
        assert!(
            matches!(found, ReadBackResult::Uncertain(why) if why.contains(&id)),
            "{found:?}"
        );
    };
    may_be(&lost.ask(&change).await.unwrap());
    // Another user's is not ours, and deleted ones count.
    let place = sobjects(&format!("Lead/{id}"));
    lost.org
        .send(&judged(&lost.org, request("DELETE", &place, ""), None).await)
        .await
        .unwrap();
    lost.later();
    may_be(&lost.ask(&change).await.unwrap());
    let read_back = change.read_back(Some("005000000000000AAA"));
    let found = lost.org.connector.read_back(&read_back).await.unwrap();
    assert_eq!(found, ReadBackResult::DidNotHappen);
}

#[tokio::test]
async fn records_whose_answers_came_are_not_the_lost_one() {
    let lost = Lost::new().await;
    let (twin, change) = (lost.lead("Twin").await, lost.lead("Twin").await);
    lost.org.send(&twin).await.unwrap();
    lost.lose(&change, "drop_before_commit").await;
    lost.later();
    assert_eq!(
        lost.ask(&change).await.unwrap(),
        ReadBackResult::DidNotHappen
    );
}

#[tokio::test]
async fn what_cannot_be_told_is_said_with_all_that_is_known() {
    let lost = Lost::new().await;
    let change = lost.lead("Twins").await;
    lost.lose(&change, "drop_after_commit").await;
    lost.lose(&lost.lead("Twins").await, "drop_after_commit")
        .await;
    let uncertain = async |change: &Arc<dyn NativeChange>| match lost.ask(change).await.unwrap() {
        ReadBackResult::Uncertain(why) => why,
        other => panic!("{other:?}"),
    };
    let why = uncertain(&change).await;
    let query = format!(
        "SELECT Company, Id, LastName, NumberOfEmployees FROM Lead WHERE CreatedById = '{}' AND CreatedDate >= ",
        lost.actor
    );
    assert!(
        why.contains("2 records hold what was written") && why.contains(&query),
        "{why}"
    );
    assert!(
        !why.contains("Twins") && !why.contains("Lost & Co"),
        "no values: {why}"
    );
    let page = lost
        .org
        .connector
        .query("SELECT Id FROM Lead WHERE LastName = 'Twins'", None)
        .await
        .unwrap();
    for row in &page.rows {
        assert!(
            why.contains(row.get("Id").unwrap().as_str().unwrap()),
            "{why}"
        );
    }
    let other = lost.lead("Nobody").await;
    lost.lose(&other, "drop_before_commit").await;
    assert!(matches!(
        lost.ask(&other).await,
        Err(Failure::Repeatable { .. })
    ));
    lost.later();
    let why = uncertain(&other).await;
    assert!(
        why.contains("of 2 records made by its user at that time none holds"),
        "{why}"
    );
}
