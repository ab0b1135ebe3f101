//! Which lines of the policies some judgements reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use crmgate_domain::Layer;
use regorus::{Engine, Value};

use crate::syntax::{self, Module};
use crate::{Source, precheck};

/// Lines reached and not reached, by file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    lines: BTreeMap<String, (BTreeSet<u32>, BTreeSet<u32>)>,
}

impl Coverage {
    /// Lines of a file that nothing reached.
    #[must_use]
    pub fn missed(&self) -> BTreeMap<&str, Vec<u32>> {
        let missed = self.lines.iter().map(|(file, (reached, missed))| {
            let missed: Vec<u32> = missed.difference(reached).copied().collect();
            (file.as_str(), missed)
        });
        missed.filter(|(_, lines)| !lines.is_empty()).collect()
    }

    /// The files that were looked at, with the share of lines reached.
    #[must_use]
    pub fn shares(&self) -> BTreeMap<&str, f64> {
        let share = |reached: usize, all: usize| {
            if all == 0 {
                return 1.0;
            }
            let whole = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
            whole(reached) / whole(all)
        };
        self.lines
            .iter()
            .map(|(file, (reached, missed))| {
                (
                    file.as_str(),
                    share(reached.len(), reached.union(missed).count()),
                )
            })
            .collect()
    }

    /// The files, with the lines that were reached and those that were not.
    pub fn files(&self) -> impl Iterator<Item = (&str, &BTreeSet<u32>, BTreeSet<u32>)> {
        self.lines.iter().map(|(file, (reached, missed))| {
            let missed = missed.difference(reached).copied().collect();
            (file.as_str(), reached, missed)
        })
    }

    /// Adds policies of which nothing was reached: no judgement came near them.
    pub fn complete(&mut self, sources: &[Source]) {
        for source in sources {
            if self.lines.contains_key(&source.path) || precheck::check(source).is_err() {
                continue;
            }
            let Ok(module) = Module::parse(source) else {
                continue;
            };
            let mut lines = BTreeSet::new();
            for rule in &module.rules {
                syntax::every_expr(&rule.node, &mut |expr| _ = lines.insert(expr.span().line));
            }
            let nothing = BTreeSet::new();
            self.lines.insert(source.path.clone(), (nothing, lines));
        }
    }

    /// Leaves out files.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.lines.retain(|file, _| keep(file));
    }

    /// Adds what others reached.
    pub fn merge(&mut self, other: &Self) {
        for (file, (reached, missed)) in &other.lines {
            let mine = self.lines.entry(file.clone()).or_default();
            mine.0.extend(reached);
            mine.1.extend(missed);
        }
    }
}

/// Watches judgements: which lines they reach, and what every evaluation was given and said.
#[derive(Debug, Default)]
pub struct Tap {
    covers: bool,
    coverage: Mutex<Coverage>,
    prints: Mutex<Vec<String>>,
    heard: Option<Mutex<Vec<Heard>>>,
}

/// One evaluation of a package.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) layer: Layer,
    pub(crate) package: String,
    pub(crate) input: Value,
    pub(crate) prints: Vec<String>,
}

impl Tap {
    /// One that finds out which lines are reached.
    #[must_use]
    pub fn covering() -> Self {
        Self {
            covers: true,
            ..Self::default()
        }
    }

    /// One that remembers every evaluation.
    pub(crate) fn hearing() -> Self {
        Self {
            heard: Some(Mutex::default()),
            ..Self::default()
        }
    }

    /// Has an engine count.
    pub(crate) fn watch(&self, engine: &mut Engine) {
        engine.set_enable_coverage(self.covers);
    }

    /// Takes what an engine counted and printed.
    pub(crate) fn take(&self, engine: &mut Engine) {
        if let (Ok(told), Ok(mut prints)) = (engine.take_prints(), self.prints.lock()) {
            *prints = told;
        }
        let Ok(report) = engine.get_coverage_report() else {
            return;
        };
        let mut seen = Coverage::default();
        for file in report.files {
            if !file.path.starts_with("crmgate/") {
                let lines = (file.covered, file.not_covered);
                seen.lines.insert(file.path, lines);
            }
        }
        engine.clear_coverage_data();
        if let Ok(mut all) = self.coverage.lock() {
            all.merge(&seen);
        }
    }

    /// Remembers an evaluation, after `take`.
    pub(crate) fn hear(&self, layer: Layer, package: &str, input: &Value) {
        if let Some(Ok(mut heard)) = self.heard.as_ref().map(Mutex::lock) {
            let prints = self.prints.lock();
            heard.push(Heard {
                layer,
                package: package.to_owned(),
                input: input.clone(),
                prints: prints.map_or_else(|_| Vec::new(), |mut it| std::mem::take(&mut *it)),
            });
        }
    }

    /// Which lines were reached.
    #[must_use]
    pub fn done(self) -> Coverage {
        self.coverage.into_inner().unwrap_or_default()
    }

    /// Every evaluation, in order.
    pub(crate) fn heard(self) -> Vec<Heard> {
        let heard = self.heard.map(Mutex::into_inner);
        heard.and_then(Result::ok).unwrap_or_default()
    }
}
