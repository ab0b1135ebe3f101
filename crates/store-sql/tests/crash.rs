//! A process is killed in the middle of its writing. Whatever it had been told is stored, is.

#![expect(clippy::unwrap_used, reason = "a test that fails, fails")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crmgate_domain::{Ambient as _, DecisionId};
use crmgate_store::suite::{Ticking, full_record};
use crmgate_store::verify::Verification;
use crmgate_store::{AttemptLog as _, DecisionLog as _, Ledger as _, Outcome, OutcomeKind};
use crmgate_store_sql::{Settings, SqliteStore};

const DIR: &str = "CRMGATE_CRASH_DIR";
const ROUNDS: u64 = 4;
const ACKNOWLEDGED: usize = 300;

/// The process that is killed: writes as fast as it can, and says what it was told is stored.
#[test]
#[ignore = "started by the test below"]
#[expect(
    clippy::disallowed_methods,
    reason = "the parent says by it where to write"
)]
fn child() {
    let Ok(dir) = std::env::var(DIR) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        // Another start must not repeat the ids of the one before.
        let ambient = Arc::new(Ticking::after(u64::from(std::process::id()) << 32));
        let shared = Arc::clone(&ambient) as _;
        let store = SqliteStore::open(Path::new(&dir), &Settings::default(), shared).await;
        let store = Arc::new(store.unwrap());
        let workers: Vec<_> = (0..16)
            .map(|_| tokio::spawn(write(Arc::clone(&store), Arc::clone(&ambient))))
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
    });
}

async fn write(store: Arc<SqliteStore>, ambient: Arc<Ticking>) {
    loop {
        let record = full_record(ambient.as_ref());
        let decision = record.decision.id;
        store.append_decision(record).await.unwrap();
        say(&format!("decision {decision}"));
        let outcome = Outcome {
            decision,
            at: ambient.now(),
            kind: OutcomeKind::Succeeded,
            status: None,
            code: None,
            record_id: None,
        };
        store.append_outcome(outcome).await.unwrap();
        say(&format!("outcome {decision}"));
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut decisions: Vec<DecisionId> = Vec::new();
    let mut ended: Vec<DecisionId> = Vec::new();
    for _ in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "child",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = 0;
        while heard < ACKNOWLEDGED {
            let line = lines.next().expect("the child ended by itself").unwrap();
            heard += usize::from(note(&line, &mut decisions, &mut ended));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            note(&line, &mut decisions, &mut ended);
        }
    }
    assert!(
        ended.len() > 100,
        "only {} outcomes were heard of",
        ended.len()
    );

    let ambient = Arc::new(Ticking::default());
    let store = SqliteStore::open(dir.path(), &Settings::default(), ambient)
        .await
        .unwrap();
    for id in &decisions {
        assert!(
            store.decision(*id).await.unwrap().is_some(),
            "decision {id} is lost"
        );
    }
    for id in &ended {
        let stored = store.decision(*id).await.unwrap().unwrap();
        assert!(stored.outcome.is_some(), "the outcome of {id} is lost");
        assert_eq!(stored.record.read_back, None);
    }
    assert_whole(&store, &decisions).await;
    let later = Ticking::default().now() + std::time::Duration::from_secs(1 << 30);
    for open in store.unfinished(later, 10_000).await.unwrap() {
        assert!(!ended.contains(&open.decision));
        assert!(
            store.decision(open.decision).await.unwrap().is_some(),
            "half a transaction"
        );
    }
}

/// Every process's chain fits together and to the one before it, whenever it was killed.
async fn assert_whole(store: &SqliteStore, decisions: &[DecisionId]) {
    let mut check = Verification::new(Vec::new());
    let mut after = 0;
    loop {
        let page = store.entries(after, 500).await.unwrap();
        for raw in &page {
            check.take(raw);
            after = raw.entry.position;
        }
        if page.len() < 500 {
            break;
        }
    }
    let report = check.finish();
    assert!(report.whole, "{:#?}", report.faults);
    assert_eq!(report.chains.len() as u64, ROUNDS);
    assert!(report.payloads.kept >= decisions.len() as u64);
}

/// Whether the line was whole and told something.
fn note(line: &str, decisions: &mut Vec<DecisionId>, ended: &mut Vec<DecisionId>) -> bool {
    let Some((what, id)) = line.split_once(' ') else {
        return false;
    };
    let Ok(id) = id.parse() else {
        return false;
    };
    match what {
        "decision" => decisions.push(id),
        "outcome" => ended.push(id),
        _ => return false,
    }
    true
}
