//! Load, full and paced.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crmgate_outbound::{Client, Settings};
use http::Request;

use crate::fronts::{Bench, PATH};
use crate::here;

pub(crate) struct Load<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) seconds: u64,
}

/// What one run saw.
pub(crate) struct Run {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    pub(crate) refused: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Load<'_> {
    /// As many requests as 32 connections can get through, by `wrk`.
    pub(crate) fn full(&self, url: &str) -> Run {
        let output = Command::new("wrk")
            .args(["-t1", "-c32", "--latency", "-s"])
            .arg(here().join("post.lua"))
            .args([&format!("-d{}s", self.seconds), url])
            .env("BENCH_CORPUS", here().join("corpus.jsonl"))
            .env("BENCH_PATH", PATH)
            .env("BENCH_TOKEN", &self.bench.token)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("BENCH "))
            .unwrap_or_else(|| panic!("{text}"));
        let n: Vec<f64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        Run {
            requests: n[0],
            per_second: n[0] / (n[1] / 1e6),
            refused: n[2] as u64,
            p50_ms: n[3] / 1e3,
            p99_ms: n[4] / 1e3,
        }
    }

    /// A fixed rate, each request on its own schedule, so that waiting in line is counted.
    pub(crate) async fn paced(&self, url: &str, rate: f64) -> Run {
        let settings = Settings {
            extra_ca_files: vec![self.bench.ca_file()],
            ..Settings::default()
        };
        let client = Client::new(settings).unwrap();
        let corpus = std::fs::read_to_string(here().join("corpus.jsonl")).unwrap();
        let bodies: Arc<Vec<Bytes>> = Arc::new(
            corpus
                .lines()
                .map(|line| Bytes::from(line.to_owned()))
                .collect(),
        );
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a count"
        )]
        let count = (rate * self.seconds as f64) as u32;
        let gap = Duration::from_secs_f64(1.0 / rate);
        let started = Instant::now();
        let mut running = Vec::new();
        for index in 0..count {
            let due = started + gap * index;
            tokio::time::sleep_until(due.into()).await;
            let body = bodies[index as usize % bodies.len()].clone();
            let request = Request::post(format!("{url}{PATH}"))
                .header("content-type", "application/json")
                .header("authorization", format!("Bearer {}", self.bench.token))
                .body(body)
                .unwrap();
            let client = client.clone();
            running.push(tokio::spawn(async move {
                let answer = client.execute_bytes(request, 1 << 20).await;
                (
                    answer.is_ok_and(|answer| answer.status() == 201),
                    due.elapsed(),
                )
            }));
        }
        let (mut times, mut refused) = (Vec::new(), 0);
        for task in running {
            let (good, took) = task.await.unwrap();
            refused += u64::from(!good);
            times.push(took.as_secs_f64() * 1e3);
        }
        // The first tenth pays for connections.
        times.drain(..times.len() / 10);
        times.sort_by(f64::total_cmp);
        let at = |share: usize| times[times.len() * share / 100];
        Run {
            requests: f64::from(count),
            per_second: rate,
            refused,
            p50_ms: at(50),
            p99_ms: at(99),
        }
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
