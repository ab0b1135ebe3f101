//! An input to be judged: the policy input itself, an operation as `validate` takes it, a data
//! case, or what a recorded decision kept of its input.

use std::sync::Arc;

use crmgate_domain::candidate::PlainCandidate;
use crmgate_domain::{
    Ambient, Candidate, ConnectionName, Document, Operation, OperationId, Timestamp,
};
use crmgate_policy::JudgeOptions;
use crmgate_policy::cases::{self, System};

mod decision;
mod input;
mod operation;

pub use decision::decision;

/// What is to be judged.
#[derive(Clone)]
pub struct Given {
    /// What to call it.
    pub name: String,
    /// The operation.
    pub operation: Operation,
    /// The record.
    pub candidate: Arc<dyn Candidate>,
    /// What else the judgement depends on.
    pub options: JudgeOptions,
    /// Parameters that differ from the policies' own.
    pub params: crmgate_domain::Object,
    /// What is not as it would be at the gate.
    pub notes: Vec<String>,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given")
            .field("name", &self.name)
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

/// What stands in for what an input leaves out.
#[derive(Debug, Clone)]
pub struct Missing<'a> {
    /// The time.
    pub at: Timestamp,
    /// The kinds of CRM there are; the first one where none is named.
    pub systems: &'a [System],
}

/// Why something can't be judged.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    /// It is neither JSON nor YAML, or has a member that is not expected, or of another type.
    #[error("`{name}`: {problem}")]
    Form {
        /// The file.
        name: String,
        /// What is wrong and where.
        problem: String,
    },
    /// It is an object, and none of the forms.
    #[error(
        "`{0}` is neither a policy input (`operation`, `connection`, `object`, `record`), nor an operation as \
         `validate` takes it (`connection` and `operation`), nor a data case (`FILE.yaml#NAME`)"
    )]
    Unknown(String),
    /// A file of cases without that one.
    #[error("`{file}` has no case `{name}`{hint}")]
    NoCase {
        /// The file.
        file: String,
        /// The case that was asked for.
        name: String,
        /// What may have been meant.
        hint: String,
    },
    /// A decision that keeps no input.
    #[error("decision `{id}` keeps no input: its payload is {state}")]
    NoPayload {
        /// The decision.
        id: String,
        /// Why, in the record's word.
        state: String,
    },
}

/// Reads an input by its form. `name` is the file's, for messages.
///
/// # Errors
/// When it is none of the forms, or is in one and has a fault.
pub fn read(name: &str, text: &str, missing: &Missing<'_>) -> Result<Given, GivenError> {
    let form = |problem: String| GivenError::Form {
        name: name.to_owned(),
        problem,
    };
    // YAML has JSON within it, and gives the line of a fault in either.
    let document: Document = yaml_serde::from_str(text).map_err(|error| form(error.to_string()))?;
    let Some(members) = document.as_object() else {
        return Err(GivenError::Unknown(name.to_owned()));
    };
    if let Some(inner) = members.get("input") {
        return read(name, &inner.to_json(), missing);
    }
    let operation = members.get("operation").and_then(Document::as_object);
    let named = members
        .get("connection")
        .and_then(Document::as_str)
        .is_some();
    let whole = members.contains("object") || members.contains("native_object");
    match operation {
        Some(_) if whole => input::read(name, text, missing).map_err(form),
        Some(_) if named => operation::read(name, text, missing).map_err(form),
        _ => Err(GivenError::Unknown(name.to_owned())),
    }
}

/// A case of a file, on a kind of CRM.
///
/// # Errors
/// When the file has a fault or no such case.
pub fn case(file: &str, text: &str, name: &str, system: &System) -> Result<Given, GivenError> {
    let cases = cases::parse(file, text).map_err(|fault| GivenError::Form {
        name: file.to_owned(),
        problem: fault.to_string(),
    })?;
    if let Some(case) = cases.iter().find(|case| case.name == name) {
        return Ok(of_case(&format!("{file}#{name}"), case, system));
    }
    let names = || cases.iter().map(|it| it.name.as_str());
    let hint = cases::nearest(name, names()).map_or_else(
        || {
            let names: Vec<String> = names().map(|it| format!("`{it}`")).collect();
            format!("; there are {}", names.join(", "))
        },
        |meant| format!("; did you mean `{meant}`?"),
    );
    Err(GivenError::NoCase {
        file: file.to_owned(),
        name: name.to_owned(),
        hint,
    })
}

/// A case, on a kind of CRM.
#[must_use]
pub fn of_case(name: &str, case: &cases::Case, system: &System) -> Given {
    let (operation, candidate, options) = case.ask(system);
    Given {
        name: name.to_owned(),
        operation,
        candidate,
        options,
        params: case.params.clone(),
        notes: Vec::new(),
    }
}

/// An object of a file of its own: parameters.
///
/// # Errors
/// When it is neither JSON nor YAML, or no object.
pub fn object(text: &str) -> Result<crmgate_domain::Object, String> {
    yaml_serde::from_str(text).map_err(|error| error.to_string())
}

/// The system a connection is of: the one that is named, or the first.
fn system_of<'a>(missing: &'a Missing<'_>, name: Option<&str>) -> Option<&'a System> {
    let named = name.and_then(|name| missing.systems.iter().find(|it| it.name == name));
    named.or_else(|| missing.systems.first())
}

/// A connection's name where none is given: its system's.
fn connection_of(name: Option<&ConnectionName>, system: Option<&System>) -> Option<ConnectionName> {
    name.cloned()
        .or_else(|| system.map(|it| it.connection.clone()))
}

fn plain(views: crmgate_domain::Views) -> Arc<dyn Candidate> {
    Arc::new(PlainCandidate::new(views))
}

/// An id that is the same every time.
fn id(at: Timestamp) -> OperationId {
    struct Still(Timestamp);
    impl Ambient for Still {
        fn now(&self) -> Timestamp {
            self.0
        }

        fn random(&self) -> [u8; 16] {
            [0; 16]
        }
    }
    OperationId::fresh(&Still(at))
}
