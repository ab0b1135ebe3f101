//! The gateway beside nginx: requests per second, added latency, memory, time to serving.
//!
//! Load: POST creates of a fixed corpus over TLS to a front (nginx's `proxy_pass`, or the gate
//! under 5 and under 20 rules), which speaks TLS to one nginx upstream that answers `201`. The
//! gate's decisions go to disk as always.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark's failure is its message"
)]

mod disk;
mod fronts;
mod load;
#[path = "../support/pki.rs"]
mod pki;

use std::path::Path;

use fronts::{Bench, Gate};
use load::{Load, median};

fn main() {
    // `cargo test --benches` and the like run this without meaning to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|n| n.parse().ok())
            .unwrap_or(default)
    };
    let (seconds, rounds) = (number("BENCH_SECONDS", 8), number("BENCH_ROUNDS", 3));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let bench = runtime.block_on(Bench::start());
    let load = Load {
        bench: &bench,
        seconds,
    };

    let mut gates = Vec::new();
    for rules in ["five", "twenty"] {
        let gate = Gate::start(&bench, rules);
        println!(
            "gate, {rules:>6} rules: serving after {:>4.0} ms, idle {:.1} MiB",
            gate.started_in_ms,
            gate.memory_mib()
        );
        gates.push((rules, gate));
    }
    let mut rates = vec![Vec::new(); 3];
    for round in 1..=rounds {
        let mut line = format!("round {round}:");
        for (index, (name, url)) in targets(&bench, &gates).iter().enumerate() {
            let before = index.checked_sub(1).map(|gate| gates[gate].1.cpu_seconds());
            let run = load.full(url);
            rates[index].push(run.per_second);
            line += &format!(
                "  {name} {:.0}/s (p50 {:.2} ms, p99 {:.2} ms",
                run.per_second, run.p50_ms, run.p99_ms
            );
            if let Some(before) = before {
                let cpu = gates[index - 1].1.cpu_seconds() - before;
                line += &format!(", {:.0} us of processor each", cpu * 1e6 / run.requests);
            }
            // A machine that is too busy may spend a judgement's time budget: told, never hidden.
            line += &if run.refused > 0 {
                format!(", {} NOT 201)", run.refused)
            } else {
                ")".to_owned()
            };
        }
        println!("{line}");
    }
    let rates: Vec<f64> = rates.into_iter().map(median).collect();
    for (index, (rules, gate)) in gates.iter().enumerate() {
        println!(
            "ratio, {rules:>6} rules: {:.3} x nginx; memory under load {:.1} MiB",
            rates[index + 1] / rates[0],
            gate.memory_mib()
        );
    }
    added_latency(&runtime, &load, &gates, rates[2] / 2.0);
    println!(
        "fdatasync p50 {:.3} ms",
        disk::fdatasync_p50_ms(bench.dir())
    );
    for (rules, gate) in &gates {
        println!("decisions recorded, {rules:>6} rules: {}", gate.decisions());
    }
}

fn targets(bench: &Bench, gates: &[(&str, Gate)]) -> Vec<(String, String)> {
    let mut all = vec![("nginx".to_owned(), bench.nginx_url())];
    all.extend(
        gates
            .iter()
            .map(|(rules, gate)| (format!("gate/{rules}"), gate.url())),
    );
    all
}

fn added_latency(
    runtime: &tokio::runtime::Runtime,
    load: &Load<'_>,
    gates: &[(&str, Gate)],
    rate: f64,
) {
    let mut seen = Vec::new();
    for (name, url) in targets(load.bench, gates) {
        let paced = runtime.block_on(load.paced(&url, rate));
        println!(
            "at {rate:.0}/s, {name}: p50 {:.3} ms, p99 {:.3} ms",
            paced.p50_ms, paced.p99_ms
        );
        seen.push(paced.p50_ms);
    }
    for ((rules, _), p50) in gates.iter().zip(seen.iter().skip(1)) {
        println!("added p50, {rules:>6} rules: {:.3} ms", p50 - seen[0]);
    }
}

/// The files that belong to the benchmark.
fn here() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/bench"))
}
