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

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test's failure is its message, and tests may look at the environment"
)]

mod chaos;
mod client;
mod count;
mod dice;
mod drama;
mod fleet;
#[path = "../support/pki.rs"]
mod pki;
mod plan;
mod process;
mod site;

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
        operations: 120,
    };
    perform(drama).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "fails: updates at Dataverse end as `uncertain` (KILL_SEED=4)"]
async fn shared() {
    let drama = Drama {
        form: Form::Shared,
        seed: seed(),
        kills: SHORT,
        operations: 120,
    };
    perform(drama).await;
}

/// Rounds with a site of their own, each with another seed, until there were enough kills.
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
    while done < wanted {
        let form = forms[usize::try_from(round).unwrap() % forms.len()];
        let drama = Drama {
            form,
            seed: seed() + round,
            kills: 100.min(wanted - done),
            operations: 400,
        };
        done += perform(drama).await;
        round += 1;
        eprintln!("{done} of {wanted} kills in {round} rounds");
    }
}
