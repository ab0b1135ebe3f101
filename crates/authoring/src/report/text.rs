//! For people.

use std::fmt::Write as _;

use crmgate_policy::explain::Seen;

use super::{CoverageReport, Range};
use crate::suite::{Kind, Report, Test, Verdict};

/// A value longer than that is cut.
const MOST: usize = 200;

/// Every test that did not pass, with what came out.
#[must_use]
pub fn failures(report: &Report) -> String {
    let mut text = String::new();
    for test in &report.tests {
        let word = match test.verdict {
            Verdict::Passed | Verdict::Skipped => continue,
            Verdict::Failed => "FAILED",
            Verdict::Error => "ERROR",
        };
        writeln!(text, "{word} {} {}", test.place(), test.title()).ok();
        for line in details(test).lines() {
            writeln!(text, "  {line}").ok();
        }
        for print in &test.prints {
            writeln!(text, "  print: {print}").ok();
        }
        text.push('\n');
    }
    text
}

/// What went wrong, in a line.
pub(super) fn headline(test: &Test) -> String {
    match (&test.message, &test.stop, test.kind) {
        (Some(message), _, _) => message.clone(),
        (None, Some(stop), _) => {
            let one: Vec<&str> = stop.at.text.split_whitespace().collect();
            format!("does not hold: {}", one.join(" "))
        }
        (None, None, Kind::Rego) => "the rule is not true".to_owned(),
        (None, None, Kind::Case) => {
            let what: Vec<&str> = test.differences.iter().map(|it| it.what.as_str()).collect();
            format!("came out otherwise: {}", what.join(", "))
        }
    }
}

/// What went wrong, line by line.
pub(super) fn details(test: &Test) -> String {
    let mut text = String::new();
    if let Some(message) = &test.message {
        writeln!(text, "{message}").ok();
    }
    if let Some(stop) = &test.stop {
        let at = &stop.at;
        writeln!(text, "{}:{}:{} does not hold:", at.file, at.line, at.column).ok();
        for line in at.text.lines() {
            writeln!(text, "    {}", line.trim_start_matches('\t')).ok();
        }
        for seen in &stop.saw {
            writeln!(text, "  {}", seen_line(seen)).ok();
        }
    } else if test.message.is_none() && test.kind == Kind::Rego {
        writeln!(text, "the rule is not true").ok();
    }
    for difference in &test.differences {
        let (what, expected, found) = (&difference.what, &difference.expected, &difference.found);
        writeln!(text, "{what}\n  expected {expected}\n  got      {found}").ok();
    }
    if !test.said.is_empty() {
        writeln!(text, "the policies said").ok();
        for said in &test.said {
            writeln!(text, "  {said}").ok();
        }
    }
    text
}

/// An expression with its values.
pub(crate) fn seen_line(seen: &Seen) -> String {
    let expression: Vec<&str> = seen.expression.split_whitespace().collect();
    let expression = expression.join(" ");
    if seen.values.is_empty() {
        return format!("{expression} is undefined");
    }
    let values: Vec<String> = seen.values.iter().map(|it| cut(&it.to_json())).collect();
    format!("{expression} = {}", values.join(" | "))
}

/// A text that is not too long.
pub(crate) fn cut(text: &str) -> String {
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let start: String = text.chars().take(MOST).collect();
    format!("{start}…")
}

/// Files with lines that nothing reached: the file, its share, the lines.
#[must_use]
pub fn uncovered(report: &CoverageReport) -> Vec<(String, f64, String)> {
    let missed = report
        .files
        .iter()
        .filter(|(_, it)| it.not_covered_lines > 0);
    missed
        .map(|(file, it)| (file.clone(), it.coverage, ranges(&it.not_covered)))
        .collect()
}

/// Lines as `3, 7-9`.
#[must_use]
pub fn ranges(ranges: &[Range]) -> String {
    let shown = ranges
        .iter()
        .map(|range| match (range.start.row, range.end.row) {
            (start, end) if start == end => start.to_string(),
            (start, end) => format!("{start}-{end}"),
        });
    shown.collect::<Vec<_>>().join(", ")
}
