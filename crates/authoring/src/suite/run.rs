//! What came out of a run.

use std::time::Duration;

use crmgate_policy::Coverage;
use crmgate_policy::cases;
use crmgate_policy::explain::{Seen, Statement};
use serde::Serialize;

use crate::report::CoverageReport;

/// A run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Tests that passed; a case counts once for every system.
    pub passed: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those in which the engine stopped.
    pub errors: usize,
    /// Those that wait to be written.
    pub skipped: usize,
    /// How long all took.
    pub seconds: f64,
    /// The tests, by file.
    pub tests: Vec<Test>,
    /// The lines that were reached, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<CoverageReport>,
}

/// What a test is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A rule.
    Rego,
    /// A data case.
    Case,
}

/// How a test went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "plain words")]
pub enum Verdict {
    Passed,
    Failed,
    Error,
    Skipped,
}

/// One test, or one case on one system.
#[derive(Debug, Clone, Serialize)]
pub struct Test {
    /// What it is written in.
    pub kind: Kind,
    /// The file below the policies' folder.
    pub file: String,
    /// The line.
    pub line: Option<u32>,
    /// The pack.
    pub pack: String,
    /// Its name.
    pub name: String,
    /// The kind of CRM, of a case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// How it went.
    pub verdict: Verdict,
    /// How long it took.
    pub seconds: f64,
    /// Where what came out differs from what must, of a case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// What the packages said, of a case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
    /// Where a test stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// What the engine told, of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What `print` wrote.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prints: Vec<String>,
}

/// Where a test stopped.
#[derive(Debug, Clone, Serialize)]
pub struct Stop {
    /// The statement.
    pub at: Statement,
    /// What it looked at.
    pub saw: Vec<Seen>,
}

/// What came out beside what must.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What is compared.
    pub what: String,
    /// What must come out.
    pub expected: String,
    /// What came out.
    pub found: String,
}

impl From<&cases::Difference> for Difference {
    fn from(difference: &cases::Difference) -> Self {
        Self {
            what: difference.what.to_owned(),
            expected: difference.expected.clone(),
            found: difference.found.clone(),
        }
    }
}

impl Test {
    pub(super) fn new(kind: Kind, file: &str, name: &str) -> Self {
        Self {
            kind,
            file: file.to_owned(),
            line: None,
            pack: pack_of(file).to_owned(),
            name: name.to_owned(),
            system: None,
            verdict: Verdict::Passed,
            seconds: 0.0,
            differences: Vec::new(),
            said: Vec::new(),
            stop: None,
            message: None,
            prints: Vec::new(),
        }
    }

    /// File and line.
    #[must_use]
    pub fn place(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.clone(),
        }
    }

    /// Its name, with the system of a case.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.system {
            Some(system) => format!("{} ({system})", self.name),
            None => self.name.clone(),
        }
    }
}

impl Report {
    pub(super) fn new(tests: Vec<Test>, took: Duration, coverage: Option<&Coverage>) -> Self {
        let mut tests = tests;
        tests.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        let count = |verdict| tests.iter().filter(|it| it.verdict == verdict).count();
        Self {
            passed: count(Verdict::Passed),
            failed: count(Verdict::Failed),
            errors: count(Verdict::Error),
            skipped: count(Verdict::Skipped),
            seconds: took.as_secs_f64(),
            coverage: coverage.map(CoverageReport::new),
            tests,
        }
    }

    /// Whether nothing failed.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.failed == 0 && self.errors == 0
    }
}

/// The pack that a file belongs to: the first folder below the layer's.
pub(super) fn pack_of(file: &str) -> &str {
    let mut parts = file.split('/');
    match parts.next() {
        Some("connections") => parts.nth(1).unwrap_or_default(),
        first => first.unwrap_or_default(),
    }
}
