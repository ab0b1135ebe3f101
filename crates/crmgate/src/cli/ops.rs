//! `crmgate ops`: what it takes.

use clap::{Args, Subcommand, ValueEnum};

use super::{Narrowing, Remote};

#[derive(Debug, Subcommand)]
pub(crate) enum Ops {
    /// Submits operations from a file: NDJSON (one a line), a JSON array, or one JSON object.
    Submit(Box<OpsSubmit>),
    /// Lists queued operations, newest first.
    List(Box<OpsList>),
    /// Shows the whole life of one operation.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Waits until an operation, or a whole submission, is at its end or waits for people.
    Watch {
        /// The id of an operation or a submission.
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Takes operations back that have not begun to be written.
    Cancel(Box<OpsAnswer>),
    /// Tries operations once more that are denied, refused or dead.
    Retry(Box<OpsRetry>),
    /// Says what became of an operation whose outcome is uncertain.
    Resolve(Box<OpsResolve>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Take nothing.
    Refuse,
    /// Take the other lines.
    Skip,
}

impl OnError {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Skip => "skip",
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = SUBMIT_CODES)]
pub(crate) struct OpsSubmit {
    /// The file; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: String,
    /// Wait until all are at their end or wait for people, and show how they ended.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) follow: bool,
    /// What becomes of the other lines when some are wrong.
    #[arg(long, value_enum, default_value = "refuse", value_name = "WHAT")]
    pub(crate) on_error: OnError,
    /// Makes the request one, however often it is sent; drawn where not given.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// The connection of operations that name none.
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<String>,
    /// Only have each judged; nothing is queued.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// The exit codes of submitting, for people.
const SUBMIT_CODES: &str = "\
Exit codes:
  0  taken; with --follow: all succeeded; with --dry-run: all would pass
  1  some did not succeed, or would not pass
  2  the command line or the file is wrong
  4  crmgate cannot be reached, or broke off
  5  crmgate refused the submission: nothing was taken
  6  none failed, but some wait for people, or for other policies";

/// Which operations. All that is given must hold.
#[derive(Debug, Args)]
pub(crate) struct OpsWanted {
    #[command(flatten)]
    pub(crate) narrowing: Narrowing,
    /// Only those that stand here; several with commas: held,stale.
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<String>,
    /// Only those of this submission.
    #[arg(long, value_name = "ID")]
    pub(crate) submission: Option<String>,
    /// Only the one of this id of the submitter's own.
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// Only those that stand where they stand for this reason.
    #[arg(long, value_name = "CODE")]
    pub(crate) reason_code: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct OpsList {
    #[command(flatten)]
    pub(crate) wanted: OpsWanted,
    /// How many, 1 to 500.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// Where the page starts, as the last one said.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct OpsAnswer {
    /// The operation; without it, all that the filters narrow to (at most 10,000 at a time).
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) wanted: OpsWanted,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct OpsRetry {
    #[command(flatten)]
    pub(crate) answer: OpsAnswer,
    /// Of an uncertain one: you looked, and it did not happen.
    #[arg(long, requires = "id")]
    pub(crate) did_not_happen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Found {
    /// The CRM has it.
    Succeeded,
    /// It did not happen: it is tried again.
    NotWritten,
    /// It is not known, and not wanted any more.
    Cancelled,
}

#[derive(Debug, Args)]
pub(crate) struct OpsResolve {
    /// The operation.
    pub(crate) id: String,
    /// What you found out.
    #[arg(long = "as", value_enum, value_name = "WHAT")]
    pub(crate) found: Found,
    /// The written record, where it succeeded.
    #[arg(long, value_name = "ID")]
    pub(crate) record: Option<String>,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}
