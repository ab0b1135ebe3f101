//! `crmgate approvals`.

use clap::{Args, Subcommand};

use super::Remote;

#[derive(Debug, Subcommand)]
pub(crate) enum Approvals {
    /// Lists what people are asked to agree to; what you can answer now with `--mine`.
    List(Box<ApprovalsList>),
    /// Shows one: what changes, who must agree to what, who answered.
    Show {
        /// Its id, as the held caller was told.
        id: String,
        /// Wait until it is decided, and until what it released has come to its end: "30s".
        #[arg(long, value_name = "TIME")]
        wait: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Agrees.
    Approve(Answer),
    /// Refuses.
    Reject(Answer),
}

#[derive(Debug, Args)]
pub(crate) struct ApprovalsList {
    /// Only those that you can answer now.
    #[arg(long)]
    pub(crate) mine: bool,
    /// Only of this connection.
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<String>,
    /// Only with this status: waiting, approved, rejected, expired, cancelled, superseded, spent;
    /// several with commas.
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
    /// Only asked for by this actor.
    #[arg(long, value_name = "ID")]
    pub(crate) actor: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// Its id.
    pub(crate) id: String,
    /// Why; some rejections must say.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Wait until what it released has come to its end: "30s".
    #[arg(long, value_name = "TIME")]
    pub(crate) wait: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}
