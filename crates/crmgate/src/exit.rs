//! How a command ends: its exit code and what it says.

use std::fmt;

/// Exit codes, which scripts can rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It ran, and the answer is yes.
    Done = 0,
    /// It ran, and the answer is no: denied, faults found, a step of the demo that went wrong.
    No = 1,
    /// The command line was wrong. `clap` uses the same code.
    Usage = 2,
    /// The configuration or the policies cannot be used.
    Config = 3,
    /// crmgate, or a CRM, could not be reached.
    Unreachable = 4,
    /// crmgate refused: no token, no right, no such thing.
    Refused = 5,
    /// It would be held for people.
    Held = 6,
    /// No judgement could be made; trying again may help.
    NoJudgement = 7,
    /// Something of this machine: a port in use, a disk that is full.
    System = 8,
}

/// The codes for people, shown by `--help`.
pub(crate) const CODES: &str = "\
Exit codes:
  0  done; the answer is yes
  1  done; the answer is no: denied, faults found, a demo step that went wrong
  2  the command line is wrong
  3  the configuration or the policies cannot be used
  4  crmgate or a CRM cannot be reached
  5  crmgate refused: no token, no right, no such thing
  6  validate: it would be held for people
  7  validate: no judgement could be made; trying again may help
  8  this machine: a port in use, a file that cannot be written";

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { exit, message }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::new(Exit::Config, error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::System, error.to_string())
    }
}
