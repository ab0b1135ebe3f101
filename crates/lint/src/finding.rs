//! What the linter says.

use std::collections::BTreeSet;

use crmgate_policy::LoadError;
use crmgate_policy::analysis::{Place, Span};
use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Most likely not what its author meant.
    Warning,
    /// Cannot work: it does not load, or its rule never does what it says.
    Error,
}

impl Level {
    /// The word for people and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Another place that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Also {
    /// The file.
    pub file: String,
    /// One-based line.
    pub line: u32,
    /// What is there.
    pub what: String,
}

/// One mistake, or what may be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// A stable name for the kind of mistake: `unknown_field`.
    pub code: &'static str,
    /// The file, as its source names it.
    pub file: String,
    /// One-based line; none where the whole file is meant.
    pub line: Option<u32>,
    /// One-based column.
    pub column: Option<u32>,
    /// How many characters are meant, from the column on.
    pub length: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub expected: Option<String>,
    /// How to mend it.
    pub remedy: Option<String>,
    /// Other places that it is about.
    pub also: Vec<Also>,
}

impl Finding {
    /// A finding about a whole file.
    pub(crate) fn new(level: Level, code: &'static str, file: &str, message: String) -> Self {
        Self {
            level,
            code,
            file: file.to_owned(),
            line: None,
            column: None,
            length: None,
            message,
            expected: None,
            remedy: None,
            also: Vec::new(),
        }
    }

    pub(crate) const fn at(mut self, place: Place) -> Self {
        self.line = Some(place.line);
        self.column = Some(place.column);
        self
    }

    pub(crate) fn of(self, span: &Span) -> Self {
        let mut found = self.at(span.into());
        let first = span.text().lines().next().unwrap_or_default();
        found.length = u32::try_from(first.trim_end().chars().count()).ok();
        found
    }

    pub(crate) const fn on_line(mut self, line: u32) -> Self {
        self.line = Some(line);
        self
    }

    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(crate) fn also(mut self, file: &str, line: u32, what: impl Into<String>) -> Self {
        self.also.push(Also {
            file: file.to_owned(),
            line,
            what: what.into(),
        });
        self
    }
}

impl Finding {
    /// The engine's own columns count a tab as four: makes characters of one.
    pub(crate) fn in_characters(mut self, source: Option<&str>) -> Self {
        let line = self.line.and_then(|line| usize::try_from(line).ok());
        let text = line
            .zip(source)
            .and_then(|(line, source)| source.lines().nth(line.checked_sub(1)?));
        if let (Some(text), Some(column)) = (text, self.column) {
            let mut width = 1;
            let before = text.chars().take_while(|char| {
                let here = width < column;
                width += if *char == '\t' { 4 } else { 1 };
                here
            });
            self.column = u32::try_from(before.count() + 1).ok();
        }
        self
    }
}

impl From<&LoadError> for Finding {
    fn from(fault: &LoadError) -> Self {
        Self {
            line: fault.line,
            column: fault.column,
            remedy: fault.remedy.clone(),
            ..Self::new(Level::Error, fault.code, &fault.file, fault.message.clone())
        }
    }
}

/// Everything that was found, by place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn sorted(mut all: Vec<Finding>) -> Self {
        all.sort_by(|a, b| {
            let key = |f: &Finding| (f.file.clone(), f.line, f.column, f.code);
            key(a).cmp(&key(b))
        });
        // One mistake that two checks see is told once.
        let mut seen = BTreeSet::new();
        all.retain(|f| seen.insert((f.file.clone(), f.line, f.column, f.code, f.message.clone())));
        Self(all)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    /// How many are of that level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|f| f.level == level).count()
    }

    /// Whether any is of that level or worse.
    #[must_use]
    pub fn any(&self, at_least: Level) -> bool {
        self.0.iter().any(|f| f.level >= at_least)
    }
}
