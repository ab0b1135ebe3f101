//! `crmgate policy check`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use crmgate_lint::Level;

use super::Form;

#[derive(Debug, Args)]
pub(crate) struct PolicyCheck {
    /// The folder.
    #[arg(default_value = "policies", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Exit with 1 when a finding is of this level or worse. Notes are only counted, unless with
    /// `info`.
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    pub(crate) fail_on: FailOn,
    /// The same as `--fail-on warning`.
    #[arg(long, conflicts_with = "fail_on")]
    pub(crate) strict: bool,
    /// A configuration file: its connections, and the fields that they map beside the usual ones,
    /// are known then.
    #[arg(long, value_name = "FILE", env = "CRMGATE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Write the findings in SARIF here, as code hosts read it.
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<PathBuf>,
    /// Check again whenever a file changes, until it is interrupted.
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl PolicyCheck {
    /// The level from which on a finding is a failure.
    pub(crate) const fn fails(&self) -> Level {
        match self.fail_on {
            _ if self.strict => Level::Warning,
            FailOn::Info => Level::Info,
            FailOn::Warning => Level::Warning,
            FailOn::Error => Level::Error,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum FailOn {
    /// What cannot work: it does not load, or never does what it says.
    #[default]
    Error,
    /// What is most likely not meant.
    Warning,
    /// What is worth knowing.
    Info,
}
