//! Why sources are not a policy set.

use std::collections::BTreeMap;
use std::fmt;

use crmgate_domain::ConnectionName;

/// One fault in one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadError {
    /// The file, as its source names it.
    pub file: String,
    /// One-based line, where it is known.
    pub line: Option<u32>,
    /// One-based column, where it is known.
    pub column: Option<u32>,
    /// A stable name for the kind of fault: `syntax`, `metadata`, `recursion`, …
    pub code: &'static str,
    /// What is wrong and what was expected.
    pub message: String,
    /// How to mend it.
    pub remedy: Option<String>,
    /// The connection in whose layer it is; `None` in the global one.
    pub connection: Option<ConnectionName>,
}

impl LoadError {
    /// A fault of a whole file.
    #[must_use]
    pub fn file(code: &'static str, file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            column: None,
            code,
            message: message.into(),
            remedy: None,
            connection: None,
        }
    }

    /// The same fault with its place.
    #[must_use]
    pub const fn at(mut self, line: u32, column: Option<u32>) -> Self {
        self.line = Some(line);
        self.column = column;
        self
    }

    /// The same fault, in a connection's layer.
    #[must_use]
    pub fn of(mut self, connection: &ConnectionName) -> Self {
        self.connection = Some(connection.clone());
        self
    }

    /// The same fault with a way to mend it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "; {remedy}")?;
        }
        Ok(())
    }
}

/// All faults that were found, sorted by place. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.joined())]
pub struct LoadErrors(Vec<LoadError>);

impl LoadErrors {
    /// Wraps the faults; `None` when there are none.
    #[must_use]
    pub fn new(mut faults: Vec<LoadError>) -> Option<Self> {
        faults.sort();
        faults.dedup();
        (!faults.is_empty()).then_some(Self(faults))
    }

    /// The faults, sorted by place.
    #[must_use]
    pub fn all(&self) -> &[LoadError] {
        &self.0
    }

    /// The faults of each connection's layer, and those of the global one or of nothing that can
    /// be told.
    #[must_use]
    pub fn by_connection(&self) -> (BTreeMap<ConnectionName, Self>, Option<Self>) {
        let mut of: BTreeMap<ConnectionName, Self> = BTreeMap::new();
        let mut rest = Vec::new();
        for fault in &self.0 {
            match &fault.connection {
                Some(name) => of
                    .entry(name.clone())
                    .or_insert_with(|| Self(Vec::new()))
                    .0
                    .push(fault.clone()),
                None => rest.push(fault.clone()),
            }
        }
        (of, Self::new(rest))
    }

    fn joined(&self) -> String {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }
}

impl From<LoadError> for LoadErrors {
    fn from(fault: LoadError) -> Self {
        Self(vec![fault])
    }
}
