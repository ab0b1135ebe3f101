//! A measurement beside an earlier one.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Bench;

/// Two measurements.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The earlier one's revision.
    pub baseline: String,
    /// The later one's.
    pub revision: String,
    /// Whole judgements, those that got slower most first.
    pub inputs: Vec<Compared>,
    /// Packages, likewise.
    pub packages: Vec<Compared>,
    /// Rules, likewise.
    pub rules: Vec<Compared>,
}

/// One thing in both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// What it is called.
    pub name: String,
    /// The earlier median in microseconds; `None` where it is new.
    pub before: Option<f64>,
    /// The later one; `None` where it is gone.
    pub now: Option<f64>,
    /// Later by earlier: 2 is twice as slow.
    pub ratio: Option<f64>,
}

/// Compares medians.
#[must_use]
pub fn compare(baseline: &Bench, now: &Bench) -> Comparison {
    let inputs = |bench: &Bench| {
        let all = bench.inputs.iter();
        all.map(|it| (it.name.clone(), it.times.median)).collect()
    };
    let packages = |bench: &Bench| {
        let all = bench.packages.iter();
        all.map(|it| (it.package.clone(), it.times.median))
            .collect()
    };
    // Not by line: a rule is the same when something above it grew.
    let rules = |bench: &Bench| {
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        let mut all: Vec<_> = bench.rules.iter().collect();
        all.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        let named = all.into_iter().map(|it| {
            let name = format!("{} {} in {}", it.package, it.rule, it.file);
            let number = numbers.entry(name.clone()).or_default();
            *number += 1;
            (format!("{name} #{number}"), it.times.median)
        });
        named.collect()
    };
    Comparison {
        baseline: baseline.revision.clone(),
        revision: now.revision.clone(),
        inputs: beside(&inputs(baseline), &inputs(now)),
        packages: beside(&packages(baseline), &packages(now)),
        rules: beside(&rules(baseline), &rules(now)),
    }
}

fn beside(before: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) -> Vec<Compared> {
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort();
    names.dedup();
    let one = |name: &String| {
        let (before, now) = (before.get(name).copied(), now.get(name).copied());
        let ratio = before.zip(now).filter(|(before, _)| *before > 0.0);
        Compared {
            name: name.clone(),
            before,
            now,
            ratio: ratio.map(|(before, now)| (now / before * 100.0).round() / 100.0),
        }
    };
    let mut all: Vec<Compared> = names.into_iter().map(one).collect();
    all.sort_by(|a, b| {
        let of = |it: &Compared| it.ratio.unwrap_or(0.0);
        of(b).total_cmp(&of(a))
    });
    all
}
