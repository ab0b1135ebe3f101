//! Why a use case did not do what it was asked.

use crmgate_domain::State;
use crmgate_domain::approval::Ended;
use crmgate_policy::LoadErrors;
use crmgate_store::StoreError;

/// A refused or failed use case.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// No valid token.
    #[error("{0}")]
    Unauthenticated(String),
    /// The caller's roles or its scope of connections do not allow it.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing, or the caller may not see it.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// `decision`, `hold`, `connection`, `token`.
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// A parameter is wrong.
    #[error("{parameter}: {problem}")]
    Invalid {
        /// The parameter, with dots: `operation.kind`.
        parameter: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// It came too late, or too early: where the operation stands.
    #[error("{message}")]
    Stands {
        /// What was wanted, and why it cannot be.
        message: String,
        /// Where it stands.
        state: State,
        /// Its version.
        version: u64,
    },
    /// Somebody, or time, was faster: how it was decided.
    #[error("{message}")]
    Decided {
        /// How, by whom and when.
        message: String,
        /// The same for programs.
        ended: Ended,
    },
    /// The policies cannot be loaded.
    #[error("the policies cannot be loaded:\n{0}")]
    Policies(LoadErrors),
    /// The CRM said no to a look-up.
    #[error("{message}")]
    Refused {
        /// The CRM's code.
        code: String,
        /// The CRM's message.
        message: String,
    },
    /// It cannot be done now; try again.
    #[error("{0}")]
    Unavailable(String),
}

impl AppError {
    /// A stable code for callers.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::NotFound { .. } => "not_found",
            Self::Invalid { .. } => "invalid",
            Self::Conflict(_) => "conflict",
            Self::Stands { .. } => "wrong_state",
            Self::Decided { .. } => "already_decided",
            Self::Policies(_) => "policies_broken",
            Self::Refused { .. } => "refused_by_crm",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// A wrong parameter.
    #[must_use]
    pub fn invalid(parameter: &str, problem: impl Into<String>) -> Self {
        Self::Invalid {
            parameter: parameter.to_owned(),
            problem: problem.into(),
        }
    }

    /// Something that is not there or not to be seen; the two are not told apart.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers pass ids, names and texts alike"
    )]
    pub fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound {
            what,
            id: id.to_string(),
        }
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists(_) => Self::Conflict(error.to_string()),
            StoreError::Unavailable(_) | StoreError::Corrupt(_) => {
                Self::Unavailable(error.to_string())
            }
            StoreError::BadCursor => Self::invalid("cursor", error.to_string()),
        }
    }
}
