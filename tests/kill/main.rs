//! Kills what runs, and counts what came of it.
//!
//! Real processes in front of simulated CRMs that stay alive: **alone** (`crmgate serve` on a file)
//! and **shared** (two gates, two workers, Postgres and Redis). Operations are submitted as a good
//! client does it, people vote, and meanwhile processes are killed (at random and at every named
//! point), paused for longer than their leases, restarted; the CRMs drop calls before and after they
//! did them, throttle, lock and dawdle; the servers are killed. Then all comes to rest, and what the
//! CRMs really did ([`/_sim/effects`](crmgate_sim)) is held against what the gate says: lost,
//! doubled, unrecorded, stuck, out of order, half groups must all be 0.
//!
//! `KILL_SEED=…` repeats the choices of a run (not the machine's timing). The long run:
//!
//! ```text
//! KILLS=1000 cargo test -p crmgate-tests --test kill -- --ignored --nocapture long
//! ```
//!
//! with `KILL_FORM=alone` or `shared` (default: both, half of the kills each).
//!
//! Beside the kills: single hard cases (`hard.rs`), and a backlog (`backlog.rs`), of 100,000 unless
//! said otherwise:
//!
//! ```text
//! BACKLOG=100000 cargo test -p crmgate-tests --test kill -- --ignored --nocapture backlog
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test's failure is its message, and tests may look at the environment"
)]

mod backlog;
mod chaos;
mod client;
mod count;
mod dice;
mod drama;
mod fleet;
mod hard;
#[path = "../support/pki.rs"]
mod pki;
mod plan;
mod process;
mod site;

use std::collections::BTreeMap;

use drama::{Drama, perform};
use site::Form;

/// So many kills at least in a short run.
const SHORT: usize = 20;

fn seed() -> u64 {
    let given = std::env::var("KILL_SEED").ok();
    given.map_or(4, |text| text.parse().expect("KILL_SEED is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alone() {
    let drama = Drama {
        form: Form::Alone,
        seed: seed(),
        kills: SHORT,
    };
    perform(drama).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared() {
    let drama = Drama {
        form: Form::Shared,
        seed: seed(),
        kills: SHORT,
    };
    perform(drama).await;
}

/// Rounds with a site of their own, each with another seed, until there were enough kills, of
/// which some were at every point that the form has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes an hour: see the head of this file"]
async fn long() {
    let wanted = std::env::var("KILLS").map_or(1000, |text| text.parse().expect("a number"));
    let forms: &[Form] = match std::env::var("KILL_FORM").as_deref() {
        Ok("alone") => &[Form::Alone],
        Ok("shared") => &[Form::Shared],
        _ => &[Form::Alone, Form::Shared],
    };
    let (mut done, mut round) = (0, 0);
    let mut points = BTreeMap::new();
    while done < wanted {
        let form = forms[usize::try_from(round).unwrap() % forms.len()];
        let drama = Drama {
            form,
            seed: seed() + round,
            kills: 100.min(wanted - done),
        };
        let toll = perform(drama).await;
        done += toll.kills();
        for (point, times) in toll.at_points {
            *points.entry(point).or_insert(0) += times;
        }
        round += 1;
        eprintln!("{done} of {wanted} kills in {round} rounds");
    }
    let reached = |point: &&String| points.contains_key(*point);
    let all: Vec<String> = forms.iter().flat_map(|form| chaos::points(*form)).collect();
    let missed: Vec<&String> = all.iter().filter(|point| !reached(point)).collect();
    assert!(
        missed.is_empty() || wanted < 500,
        "never died at {missed:?}"
    );
}
