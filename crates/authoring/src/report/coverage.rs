//! Reached lines: in OPA's JSON form, and as LCOV.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crmgate_policy::Coverage;
use serde::Serialize;

/// Coverage as `opa test --coverage` tells it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CoverageReport {
    /// By file.
    pub files: BTreeMap<String, FileCoverage>,
    /// Lines that were reached.
    pub covered_lines: usize,
    /// Lines that were not.
    pub not_covered_lines: usize,
    /// Of a hundred lines, those that were reached.
    pub coverage: f64,
}

/// Coverage of one file.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FileCoverage {
    /// Reached lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub covered: Vec<Range>,
    /// Lines that were not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_covered: Vec<Range>,
    /// How many were.
    pub covered_lines: usize,
    /// How many were not.
    pub not_covered_lines: usize,
    /// Of a hundred lines, those that were reached.
    pub coverage: f64,
}

/// Lines that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first.
    pub start: Position,
    /// The last.
    pub end: Position,
}

/// A line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Its number.
    pub row: u32,
}

impl CoverageReport {
    /// Counts.
    #[must_use]
    pub fn new(coverage: &Coverage) -> Self {
        let mut files = BTreeMap::new();
        let (mut covered_lines, mut not_covered_lines) = (0, 0);
        for (file, reached, missed) in coverage.files() {
            covered_lines += reached.len();
            not_covered_lines += missed.len();
            let of_file = FileCoverage {
                covered: join(reached),
                not_covered: join(&missed),
                covered_lines: reached.len(),
                not_covered_lines: missed.len(),
                coverage: percent(reached.len(), missed.len()),
            };
            files.insert(file.to_owned(), of_file);
        }
        Self {
            files,
            covered_lines,
            not_covered_lines,
            coverage: percent(covered_lines, not_covered_lines),
        }
    }
}

fn join(lines: &BTreeSet<u32>) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for line in lines {
        let here = Position { row: *line };
        match ranges.last_mut() {
            Some(last) if last.end.row + 1 == *line => last.end = here,
            _ => ranges.push(Range {
                start: here,
                end: here,
            }),
        }
    }
    ranges
}

/// Rounded down to a hundredth, so that only all lines are a hundred.
fn percent(reached: usize, missed: usize) -> f64 {
    let whole = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    match reached + missed {
        0 => 100.0,
        all => (whole(reached) * 10_000.0 / whole(all)).floor() / 100.0,
    }
}

/// Coverage as LCOV's tracefile, paths below `root`.
#[must_use]
pub fn lcov(report: &CoverageReport, root: &str) -> String {
    let mut text = String::new();
    for (file, lines) in &report.files {
        let mut hits: Vec<(u32, u8)> = Vec::new();
        for (ranges, hit) in [(&lines.covered, 1), (&lines.not_covered, 0)] {
            for range in ranges {
                hits.extend((range.start.row..=range.end.row).map(|row| (row, hit)));
            }
        }
        hits.sort_unstable();
        // Writing to a string does not fail.
        writeln!(text, "TN:\nSF:{}", below(root, file)).ok();
        for (row, hit) in &hits {
            writeln!(text, "DA:{row},{hit}").ok();
        }
        let (found, hit) = (hits.len(), lines.covered_lines);
        writeln!(text, "LF:{found}\nLH:{hit}\nend_of_record").ok();
    }
    text
}

/// A file's path as one that stands outside the folder knows it.
pub(super) fn below(root: &str, file: &str) -> String {
    match root.trim_end_matches('/') {
        "" | "." => file.to_owned(),
        root => format!("{root}/{file}"),
    }
}
