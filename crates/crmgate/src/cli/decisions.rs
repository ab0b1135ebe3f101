//! `crmgate decisions`: what it takes.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::{Form, Narrowing, Remote};

#[derive(Debug, Subcommand)]
pub(crate) enum Decisions {
    /// Lists decisions, newest first.
    List(Box<DecisionsList>),
    /// Shows one decision with its reasons and what came of it.
    Show {
        /// The id, as in `Crmgate-Decision`.
        id: String,
        /// Also what was judged, where it is kept.
        #[arg(long)]
        input: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Writes all decisions to a file or standard output, newest first.
    Export(Box<DecisionsExport>),
    /// Verifies that the record is as it was written.
    Verify(Box<DecisionsVerify>),
    /// Shows the public key that verifies the record's checkpoints.
    Key(Remote),
    /// Erases what can identify people from decisions; their entries stay, and say so.
    Erase(Box<DecisionsErase>),
}

/// Which decisions. All that is given must hold.
#[derive(Debug, Args)]
pub(crate) struct DecisionsWanted {
    #[command(flatten)]
    pub(crate) narrowing: Narrowing,
    /// Only of this effect: allow, deny, require_approval, error.
    #[arg(long, value_name = "EFFECT")]
    pub(crate) effect: Option<String>,
    /// Only those that this package spoke in.
    #[arg(long, value_name = "PACKAGE")]
    pub(crate) package: Option<String>,
    /// Only those with this reason code.
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: Option<String>,
    /// Only those made in this mode: enforce, observe.
    #[arg(long, value_name = "MODE")]
    pub(crate) mode: Option<String>,
    /// Only those whose write ended so: succeeded, refused, not_written, version_mismatch,
    /// unknown, uncertain.
    #[arg(long, value_name = "OUTCOME")]
    pub(crate) outcome: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DecisionsList {
    #[command(flatten)]
    pub(crate) wanted: DecisionsWanted,
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    /// Where to go on, as the last page said.
    #[arg(long, value_name = "CURSOR", conflicts_with = "follow")]
    pub(crate) cursor: Option<String>,
    /// Go on with what is decided from now on, until interrupted.
    #[arg(long)]
    pub(crate) follow: bool,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) ndjson: bool,
    /// A table with more columns.
    #[arg(long, conflicts_with = "ndjson")]
    pub(crate) wide: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct DecisionsExport {
    #[command(flatten)]
    pub(crate) wanted: DecisionsWanted,
    /// In which form.
    #[arg(long = "form", value_enum, default_value_t)]
    pub(crate) form: ExportForm,
    /// The file to write, for your eyes only; standard output without it.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with a file that an earlier export left off in.
    #[arg(long, requires = "out")]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// In which form decisions are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ExportForm {
    /// Events of OPA's decision log, one a line.
    #[default]
    Opa,
    /// As the control API shows them, one a line.
    Crmgate,
    /// A table.
    Csv,
}

impl ExportForm {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Opa => "opa",
            Self::Crmgate => "crmgate",
            Self::Csv => "csv",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DecisionsVerify {
    /// What to verify: entries that `--save` wrote, or the database file itself. Without it, the
    /// running gate's record, whose entries are fetched and verified here.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Checkpoints to verify against, one a line: better those of a sink than the gate's own.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoints: Option<PathBuf>,
    /// The public key that verifies them, PEM: better kept since the beginning than asked for now.
    #[arg(long, value_name = "FILE")]
    pub(crate) public_key: Option<PathBuf>,
    /// Write the fetched entries to this file, one a line: they hold payloads.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub(crate) save: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

impl DecisionsVerify {
    pub(crate) const fn form(&self) -> &Form {
        &self.remote.form
    }
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("whose").required(true).multiple(true)
    .args(["decision", "record", "actor", "connection", "before"])))]
pub(crate) struct DecisionsErase {
    /// Of this decision.
    #[arg(long, value_name = "ID")]
    pub(crate) decision: Option<String>,
    /// About this record.
    #[arg(long, value_name = "ID")]
    pub(crate) record: Option<String>,
    /// Asked for by this actor, by id.
    #[arg(long, value_name = "ID")]
    pub(crate) actor: Option<String>,
    /// Of this connection.
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<String>,
    /// Decided before this time: RFC 3339, or so long ago ("90d").
    #[arg(long, value_name = "TIME")]
    pub(crate) before: Option<String>,
    /// Why. It stays in the record: do not name a person.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Only count.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}
