//! How long judging takes: by input, by package, by rule.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crmgate_domain::Layer;
use crmgate_policy::explain::work::Work;
use crmgate_policy::{PolicySet, Sources};
use serde::{Deserialize, Serialize};

use crate::Given;

mod compare;
mod samples;

pub use compare::{Compared, Comparison, compare};
use samples::Samples;

/// What was measured. Times are microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bench {
    /// The revision.
    pub revision: String,
    /// How long it takes until policies can judge.
    pub load: Load,
    /// Whole judgements, the slowest first.
    pub inputs: Vec<Input>,
    /// Packages, those that take most of all first.
    pub packages: Vec<Package>,
    /// Definitions of rules, those that take most of all first. Each is measured alone: what
    /// several use is counted for each of them.
    pub rules: Vec<Rule>,
}

/// How long it takes until policies can judge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Reading the files.
    pub read: f64,
    /// Parsing every policy.
    pub parse: f64,
    /// All that loading does: parsing, checking, preparing the engines.
    pub load: f64,
    /// Bytes of policies and data.
    pub bytes: usize,
}

/// How long one thing takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Half of the runs took no longer.
    pub median: f64,
    /// 99 of 100 runs took no longer.
    pub p99: f64,
    /// How often it ran.
    pub runs: usize,
}

/// An input's judgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// What it is called.
    pub name: String,
    /// The effect it has.
    pub effect: String,
    /// How long it takes.
    pub times: Times,
}

/// A package's evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub package: String,
    /// Its layer.
    pub layer: Layer,
    /// Of all packages' time over all inputs, how much is its: a hundred is all.
    pub share: f64,
    /// How many of the inputs it governs.
    pub governs: usize,
    /// The input that it takes longest for.
    pub worst: String,
    /// How long it takes.
    pub times: Times,
}

/// A definition's evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The package.
    pub package: String,
    /// The rule.
    pub rule: String,
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The input that it takes longest for.
    pub worst: String,
    /// How long it takes.
    pub times: Times,
}

/// Everything runs at least so often, however little time there is.
const AT_LEAST: usize = 5;
/// Runs before the ones that count.
const WARM: usize = 2;

/// One input with the policies it is judged by.
pub struct Subject<'a> {
    /// The input.
    pub given: &'a Given,
    /// The policies, with the input's parameters.
    pub set: &'a PolicySet,
}

/// Measures for about `time`. `sources` are those that the sets were loaded from.
pub fn measure(
    sources: &Sources,
    load: Load,
    subjects: &[Subject<'_>],
    time: Duration,
    progress: &mut dyn FnMut(Duration),
) -> Bench {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for subject in subjects {
        parts.push(Part::whole(subject));
        let given = subject.given;
        let work = subject
            .set
            .work(sources, &given.operation, &given.candidate, &given.options);
        parts.extend(work.into_iter().map(|work| Part::of(subject, work)));
    }
    for part in &mut parts {
        for _ in 0..WARM {
            part.run();
        }
        part.samples = Samples::default();
    }
    let started = Instant::now();
    let mut rounds = 0;
    // Round by round, so that a slow moment of the machine meets all of them.
    while rounds < AT_LEAST || started.elapsed() < time {
        for part in &mut parts {
            part.run();
            if rounds >= AT_LEAST && started.elapsed() >= time {
                break;
            }
        }
        rounds += 1;
        progress(started.elapsed());
        if parts.is_empty() {
            break;
        }
    }
    let revision = subjects.first().map(|it| it.set.revision().to_string());
    Bench {
        revision: revision.unwrap_or_default(),
        load,
        inputs: inputs(&mut parts),
        packages: packages(&mut parts),
        rules: rules(&mut parts),
    }
}

/// One thing to measure.
struct Part<'a> {
    subject: &'a Subject<'a>,
    /// `None` for the whole judgement.
    work: Option<Work>,
    effect: &'static str,
    samples: Samples,
}

impl<'a> Part<'a> {
    const fn whole(subject: &'a Subject<'a>) -> Self {
        Self {
            subject,
            work: None,
            effect: "",
            samples: Samples::new(),
        }
    }

    const fn of(subject: &'a Subject<'a>, work: Work) -> Self {
        Self {
            subject,
            work: Some(work),
            effect: "",
            samples: Samples::new(),
        }
    }

    fn run(&mut self) {
        let started = Instant::now();
        if let Some(work) = &mut self.work {
            work.run();
            self.samples.add(started.elapsed());
        } else {
            let given = self.subject.given;
            let set = self.subject.set;
            let judged = set.judge(&given.operation, &given.candidate, &given.options);
            self.samples.add(started.elapsed());
            self.effect = judged.judgement.effect.as_str();
        }
    }
}

fn inputs(parts: &mut [Part<'_>]) -> Vec<Input> {
    let whole = parts.iter_mut().filter(|part| part.work.is_none());
    let mut inputs: Vec<Input> = whole
        .map(|part| Input {
            name: part.subject.given.name.clone(),
            effect: part.effect.to_owned(),
            times: part.samples.times(),
        })
        .collect();
    inputs.sort_by(|a, b| b.times.median.total_cmp(&a.times.median));
    inputs
}

/// Things of one name, over all inputs.
#[derive(Default)]
struct Over {
    samples: Samples,
    sum: f64,
    inputs: usize,
    worst: (f64, String),
}

impl Over {
    fn add(&mut self, part: &mut Part<'_>) {
        let median = part.samples.times().median;
        self.sum += median;
        self.inputs += 1;
        if median > self.worst.0 {
            self.worst = (median, part.subject.given.name.clone());
        }
        self.samples.append(&part.samples);
    }
}

fn packages(parts: &mut [Part<'_>]) -> Vec<Package> {
    let mut over: BTreeMap<(bool, String), (Layer, Over)> = BTreeMap::new();
    for part in parts {
        let Some((layer, name)) = part.work.as_ref().and_then(|work| {
            let whole = work.rule.is_none();
            whole.then(|| (work.layer, work.package.clone()))
        }) else {
            continue;
        };
        let key = (layer == Layer::Connection, name);
        over.entry(key)
            .or_insert_with(|| (layer, Over::default()))
            .1
            .add(part);
    }
    let all: f64 = over.values().map(|(_, over)| over.sum).sum();
    let made = over
        .into_iter()
        .map(|((_, package), (layer, mut over))| Package {
            package,
            layer,
            share: if all > 0.0 {
                over.sum * 100.0 / all
            } else {
                0.0
            },
            governs: over.inputs,
            worst: over.worst.1,
            times: over.samples.times(),
        });
    let mut packages: Vec<Package> = made.collect();
    packages.sort_by(|a, b| b.share.total_cmp(&a.share));
    packages
}

fn rules(parts: &mut [Part<'_>]) -> Vec<Rule> {
    let mut over: BTreeMap<_, (String, Over)> = BTreeMap::new();
    for part in parts {
        let Some((definition, package)) = part
            .work
            .as_ref()
            .and_then(|work| Some((work.rule.clone()?, work.package.clone())))
        else {
            continue;
        };
        over.entry(definition)
            .or_insert_with(|| (package, Over::default()))
            .1
            .add(part);
    }
    let mut rules: Vec<(f64, Rule)> = over
        .into_iter()
        .map(|(definition, (package, mut over))| {
            let rule = Rule {
                package,
                rule: definition.rule,
                file: definition.file,
                line: definition.line,
                worst: over.worst.1,
                times: over.samples.times(),
            };
            (over.sum, rule)
        })
        .collect();
    rules.sort_by(|a, b| b.0.total_cmp(&a.0));
    rules.into_iter().map(|(_, rule)| rule).collect()
}
