//! The query language: text to syntax tree, to a plan bound to the schema, to records.

mod aggregate;
mod ast;
mod bind;
mod dates;
mod filter;
mod parse;
mod pattern;
mod project;
mod run;
mod token;

pub(crate) use ast::Filter;
pub(crate) use bind::Scope;
pub(crate) use filter::holds;
pub(crate) use parse::{parse, parse_filter};
pub(crate) use project::Projection;
pub(crate) use run::{Found, Selected, run};

/// Why a query isn't answered, as Salesforce words it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct QueryError {
    /// `MALFORMED_QUERY`, `INVALID_FIELD` and the like.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Where in the text, if that can be said.
    at: Option<usize>,
}

impl QueryError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            at: None,
        }
    }

    fn malformed(message: impl Into<String>) -> Self {
        Self::new("MALFORMED_QUERY", message)
    }

    fn at(mut self, at: usize) -> Self {
        self.at = Some(at);
        self
    }

    /// The message with the place in the query, as Salesforce shows it.
    pub(crate) fn explain(&self, query: &str) -> String {
        let Some(at) = self.at.map(|at| at.min(query.len())) else {
            return self.message.clone();
        };
        let before = query.get(..at).unwrap_or(query);
        let row = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        let line = query.lines().nth(row - 1).unwrap_or_default();
        let from = column.saturating_sub(21);
        let shown: String = line.chars().skip(from).take(60).collect();
        let caret = " ".repeat(column - 1 - from);
        format!(
            "\n{shown}\n{caret}^\nERROR at Row:{row}:Column:{column}\n{}",
            self.message
        )
    }
}

#[cfg(test)]
mod tests;
