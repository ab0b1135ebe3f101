//! Which lines of the policies some judgements reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use regorus::Engine;

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

    /// Adds what others reached.
    pub fn merge(&mut self, other: &Self) {
        for (file, (reached, missed)) in &other.lines {
            let mine = self.lines.entry(file.clone()).or_default();
            mine.0.extend(reached);
            mine.1.extend(missed);
        }
    }
}

/// Collects coverage while it is given to judgements.
#[derive(Debug, Default)]
pub(crate) struct Tap(Mutex<Coverage>);

impl Tap {
    /// Has an engine count.
    pub(crate) fn watch(engine: &mut Engine) {
        engine.set_enable_coverage(true);
    }

    /// Takes what an engine counted.
    pub(crate) fn take(&self, engine: &mut Engine) {
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
        if let Ok(mut all) = self.0.lock() {
            all.merge(&seen);
        }
    }

    /// What was collected.
    pub(crate) fn done(self) -> Coverage {
        self.0.into_inner().unwrap_or_default()
    }
}
