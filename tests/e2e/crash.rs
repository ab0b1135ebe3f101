//! The gate dies between every two steps of a write; no write goes out without its decision on
//! disk, and after a restart every write's outcome is found out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::control::call;
use crate::served::{Site, contact};

/// Every point, and whether the CRM must have seen the write by then.
const POINTS: [(&str, bool); 7] = [
    ("enrich:begin", false),
    ("enrich:end", false),
    ("evaluate:end", false),
    ("record:begin", false),
    ("record:end", false),
    ("write:begin", false),
    ("write:end", true),
];

/// Whether a decision must be on disk when the process dies here.
fn recorded(point: &str) -> bool {
    matches!(point, "record:end" | "write:begin" | "write:end")
}

#[tokio::test]
async fn no_write_without_its_decision_wherever_the_gate_dies() {
    let site = Site::new(&[]).await;
    for salesforce in [true, false] {
        for (point, sent) in POINTS {
            die_at(&site, salesforce, point, sent).await;
        }
    }
    every_outcome_is_found_out(&site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_it_forgets_no_decision() {
    let site = Arc::new(Site::new(&[]).await);
    for answers_before_kill in [1, 7, 40] {
        let mut gate = site.start(&[]);
        let answered = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..6)
            .map(|client| {
                tokio::spawn(write_until_it_dies(
                    Arc::clone(&site),
                    answers_before_kill,
                    client,
                    Arc::clone(&answered),
                ))
            })
            .collect();
        while answered.load(Ordering::Relaxed) < answers_before_kill {
            tokio::task::yield_now().await;
        }
        gate.kill();
        for client in clients {
            client.await.unwrap();
        }
        let _again = site.start(&[]);
        let (writes, decisions) = (
            site.writes(&site.dynamics).await.len(),
            site.decisions().await.len(),
        );
        assert!(writes >= answers_before_kill);
        assert!(
            writes <= decisions,
            "{writes} writes reached the CRM, {decisions} decisions are on disk"
        );
    }
}

async fn write_until_it_dies(
    site: Arc<Site>,
    round: usize,
    client: usize,
    answered: Arc<AtomicUsize>,
) {
    let url = format!("{}/api/data/v9.2/contacts", site.dynamics_url());
    let gate = site.fresh_client();
    for number in 0.. {
        let body = contact(false, &format!("{round} client {client} number {number}"));
        match call(&gate, "POST", &url, &site.dynamics_token, Some(&body)).await {
            Ok(answer) => assert_eq!(answer.status, 204, "{}", answer.body),
            Err(_) => return,
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

async fn die_at(site: &Site, salesforce: bool, point: &str, sent: bool) {
    let simulator = if salesforce {
        &site.salesforce
    } else {
        &site.dynamics
    };
    let (url, token) = if salesforce {
        (
            format!(
                "{}/services/data/v66.0/sobjects/Contact",
                site.salesforce_url()
            ),
            &site.salesforce_token,
        )
    } else {
        (
            format!("{}/api/data/v9.2/contacts", site.dynamics_url()),
            &site.dynamics_token,
        )
    };
    let writes_before = site.writes(simulator).await.len();
    let decisions_before = {
        let _gate = site.start(&[]);
        site.decisions().await.len()
    };
    let mut gate = site.start(&[("CRMGATE_TEST_KILL_AT", point)]);
    let body = contact(salesforce, &format!("Killed at {point}"));
    let answer = call(&site.fresh_client(), "POST", &url, token, Some(&body)).await;
    assert!(
        answer.is_err(),
        "{point}: the gate answered and should have died"
    );
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !gate.ended() {
        assert!(
            std::time::Instant::now() < until,
            "{point}: still running:\n{}",
            gate.output()
        );
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let writes = site.writes(simulator).await.len() - writes_before;
    assert_eq!(
        writes,
        usize::from(sent),
        "{point}: writes that reached the CRM"
    );
    let _again = site.start(&[]);
    let decisions = site.decisions().await.len() - decisions_before;
    assert_eq!(
        decisions,
        usize::from(recorded(point)),
        "{point}: decisions on disk"
    );
    assert!(writes <= decisions, "{point}: a write without its decision");
}

/// The sweeper of a fresh process reads unfinished writes back. Dataverse creates carry a key of the
/// gate's, so that this is conclusive; Salesforce creates without a key field stay open for as long
/// as an equal one may join them.
async fn every_outcome_is_found_out(site: &Site) {
    let gate = site.start(&[]);
    let outcomes = async || -> Vec<Value> {
        let decisions = site.decisions().await;
        let dynamics = decisions
            .iter()
            .filter(|decision| decision["connection"] == "acme-dv");
        dynamics
            .map(|decision| decision["outcome"]["kind"].clone())
            .collect()
    };
    for _ in 0..3000 {
        let outcomes = outcomes().await;
        if outcomes
            .iter()
            .all(|kind| !kind.is_null() && kind != "unknown")
        {
            let count = |kind: &str| outcomes.iter().filter(|found| **found == kind).count();
            assert_eq!(
                (count("succeeded"), count("not_written")),
                (1, outcomes.len() - 1),
                "{outcomes:?}"
            );
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("unfinished: {:?}\n{}", outcomes().await, gate.output());
}
