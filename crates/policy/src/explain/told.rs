//! What an explanation is made of.

use crmgate_domain::{Document, Enforcement, Judgement, Layer};
use regorus::Value;
use serde::Serialize;

use crate::value;

/// Why a judgement came out as it did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The judgement.
    pub judgement: Judgement,
    /// The record as it was judged at last, patches applied; `None` for a delete.
    pub record: Option<crmgate_domain::Object>,
    /// The packages that governed, the global layer's first.
    pub packages: Vec<PackageTold>,
    /// Those that did not.
    pub silent: Vec<Silent>,
}

/// What a governing package did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PackageTold {
    /// Its name.
    pub package: String,
    /// Its layer.
    pub layer: Layer,
    /// How it counts.
    pub enforcement: Enforcement,
    /// How often it was evaluated: again after every patch.
    pub evaluations: usize,
    /// The fields of the record that it reads.
    pub reads: Vec<String>,
    /// Its rules, every definition for itself.
    pub rules: Vec<RuleTold>,
    /// What `print` wrote, with file and line.
    pub prints: Vec<String>,
}

/// A package that did not govern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silent {
    /// Its name.
    pub package: String,
    /// Its layer.
    pub layer: Layer,
    /// Why it did not: one reason or more.
    pub because: Vec<String>,
}

/// How one definition of a rule came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleTold {
    /// The rule; with its package, where that is another one.
    pub rule: String,
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// How it came out.
    #[serde(flatten)]
    pub came: Came,
}

/// How a rule came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "came", rename_all = "snake_case")]
pub enum Came {
    /// It holds, with these values.
    Fired {
        /// Each once.
        values: Vec<Document>,
    },
    /// A statement of its body did not hold.
    Stopped {
        /// The first one.
        at: Statement,
        /// What it looked at.
        saw: Vec<Seen>,
        /// The rules behind that.
        because: Vec<RuleTold>,
    },
    /// The engine stopped.
    Failed {
        /// Where, if it is known.
        at: Option<Statement>,
        /// What it told.
        message: String,
        /// What the statement looked at.
        saw: Vec<Seen>,
    },
    /// Its body holds, and its value is undefined.
    Undefined {
        /// What the value looked at.
        saw: Vec<Seen>,
        /// The rules behind that.
        because: Vec<RuleTold>,
    },
    /// A function that is for other arguments.
    Unfit,
    /// The value for when nothing else holds.
    Default {
        /// That value.
        value: Document,
    },
}

/// A statement of a rule's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// As it is written.
    pub text: String,
}

/// An expression and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// As it is written.
    pub expression: String,
    /// Its value; several where the statements before it have several solutions, none where it
    /// is undefined.
    pub values: Vec<Document>,
}

/// Values of one expression that are shown.
const MOST: usize = 3;

impl Seen {
    pub(crate) fn new(expression: &str, values: &[Value]) -> Self {
        Self {
            expression: expression.to_owned(),
            values: documents(values, MOST),
        }
    }
}

/// Values as documents, each once.
pub(crate) fn documents(values: &[Value], most: usize) -> Vec<Document> {
    let mut shown: Vec<&Value> = Vec::new();
    for value in values {
        if shown.len() < most && !shown.contains(&value) {
            shown.push(value);
        }
    }
    shown.into_iter().map(document).collect()
}

/// A value as a document; what none can hold as the engine writes it.
pub(crate) fn document(value: &Value) -> Document {
    value::to_document(value).unwrap_or_else(|_| Document::from(value.to_string()))
}
