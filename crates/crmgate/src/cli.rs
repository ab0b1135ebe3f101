//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit::CODES;
use crate::output::Output;

mod approvals;
mod authoring;
mod bundle;
mod decisions;
mod linting;
mod narrowing;
mod ops;

pub(crate) use approvals::{Answer as ApprovalsAnswer, Approvals, ApprovalsList};
pub(crate) use authoring::{PolicyBench, PolicyEval, PolicyTest};
pub(crate) use bundle::{Bundle, BundleBuild, BundleShow, BundleVerify};
pub(crate) use decisions::{
    Decisions, DecisionsErase, DecisionsExport, DecisionsList, DecisionsVerify, DecisionsWanted,
    ExportForm,
};
pub(crate) use linting::PolicyCheck;
pub(crate) use narrowing::Narrowing;
pub(crate) use ops::{Found, Ops, OpsAnswer, OpsList, OpsResolve, OpsRetry, OpsSubmit, OpsWanted};

/// Decides with Rego policies whether a record operation on a CRM may happen, before it happens.
#[derive(Debug, Parser)]
#[command(name = "crmgate", version, about, after_help = CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows it at work: simulated CRMs, the gate before them, a tour of real requests.
    Demo(Demo),
    /// Runs the gate.
    Serve(Configured),
    /// Works on queued operations beside any number of gates and workers: they share a database.
    Worker(Configured),
    /// Checks configuration, certificates, policies and connections; tells every fault.
    Check(Check),
    /// Runs the simulator of a CRM alone, and prints its credentials.
    Simulate(Simulate),
    /// Asks for a decision without a write.
    Validate(Validate),
    /// Lists and shows recorded decisions.
    #[command(subcommand)]
    Decisions(Decisions),
    /// Lists, shows and answers what people are asked to agree to.
    #[command(subcommand)]
    Approvals(Approvals),
    /// Submits operations to the queue, shows where they stand, answers for them.
    #[command(subcommand)]
    Ops(Ops),
    /// Lists connections, reports what was seen there, changes their mode.
    #[command(subcommand)]
    Connections(Connections),
    /// Creates, lists and revokes API tokens.
    #[command(subcommand)]
    Token(Token),
    /// Lists the processes that share the store.
    #[command(subcommand)]
    Processes(Processes),
    /// Checks and tests policies in a folder.
    #[command(subcommand)]
    Policy(Policy),
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where the demo keeps everything; made new at every start.
    #[arg(long, value_name = "DIR", default_value = "./.crmgate-demo")]
    pub(crate) data_dir: PathBuf,
    /// The first port; the others follow it.
    #[arg(long, value_name = "PORT", default_value_t = 8700, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub(crate) port_base: u16,
    /// End after the tour; exit code 0 if every step went as told.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Configured {
    /// The configuration file, laid over the defaults.
    #[arg(long, value_name = "FILE", env = "CRMGATE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Leave the CRMs alone: do not sign in.
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) form: Form,
}

#[derive(Debug, Args)]
pub(crate) struct Form {
    /// The form of the output.
    #[arg(long, value_enum, default_value_t, global = true)]
    pub(crate) output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Simulated {
    /// Salesforce, from port 8711.
    Salesforce,
    /// Dynamics 365, from port 8712.
    Dynamics,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Which CRM.
    #[arg(value_enum)]
    pub(crate) system: Simulated,
    /// Where it listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) addr: SocketAddr,
    /// Serve HTTPS, with a certificate for 127.0.0.1 and localhost made for the occasion.
    #[arg(long)]
    pub(crate) tls: bool,
    /// Where `--tls` writes the certificate authority to trust.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "crmgate-simulator-ca.pem",
        requires = "tls"
    )]
    pub(crate) ca_file: PathBuf,
    #[command(flatten)]
    pub(crate) form: Form,
}

/// How to reach the control API. Without an address, the demo's in ./.crmgate-demo.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// The control API.
    #[arg(long, value_name = "URL", env = "CRMGATE_URL")]
    pub(crate) url: Option<url::Url>,
    /// The API token.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "CRMGATE_TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: Option<String>,
    /// A certificate authority to trust beside the system's.
    #[arg(long, value_name = "FILE", env = "CRMGATE_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) form: Form,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// The connection.
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: String,
    /// What would be done: create, update, delete.
    #[arg(long, value_name = "KIND")]
    pub(crate) operation: String,
    /// The object, by canonical or native name.
    #[arg(long, value_name = "OBJECT")]
    pub(crate) object: String,
    /// The record's id; not for a create.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// The fields as JSON: canonical names (`email`) or `native.X`. `@FILE` reads a file, `-`
    /// standard input.
    #[arg(long, value_name = "JSON")]
    pub(crate) record: Option<String>,
    /// Why, as policies see it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) purpose: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Connections {
    /// Lists connections.
    List(Remote),
    /// What was seen, understood and would be refused, per client and route; whether it is safe
    /// to enforce.
    Report {
        /// The connection.
        name: String,
        /// Only from this time on (RFC 3339).
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Shows or changes a connection's mode.
    Mode {
        /// The connection.
        name: String,
        /// The new mode: observe or enforce. Without it, the mode and its changes are shown.
        mode: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Creates a token; it is shown once.
    Create(Box<TokenCreate>),
    /// Lists tokens.
    List(Remote),
    /// Revokes a token.
    Revoke {
        /// Its id.
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TokenCreate {
    /// What people call it.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// What its holder may do: admin, author, operator, approver, auditor, client. Repeatable.
    #[arg(
        long = "role",
        value_name = "ROLE",
        required_unless_present = "bootstrap"
    )]
    pub(crate) roles: Vec<String>,
    /// A connection it may touch; all of them without. Repeatable.
    #[arg(long = "connection", value_name = "NAME")]
    pub(crate) connections: Vec<String>,
    /// The team of an author.
    #[arg(long, value_name = "TEAM")]
    pub(crate) team: Option<String>,
    /// A scope it grants at brokered connections. Repeatable.
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// The person who holds it: an e-mail address, or another name that `[people]` knows. Votes
    /// count people, not tokens.
    #[arg(long, value_name = "PERSON")]
    pub(crate) person: Option<String>,
    /// How long it lives: "72h", "30d"; for ever without.
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    pub(crate) expires_in: Option<u64>,
    /// Make the first admin token, straight in the data folder, without a token.
    #[arg(long)]
    pub(crate) bootstrap: bool,
    /// The configuration file that names the data folder, for `--bootstrap`.
    #[arg(
        long,
        value_name = "FILE",
        env = "CRMGATE_CONFIG",
        requires = "bootstrap"
    )]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Processes {
    /// Those that live, and the policies that are in force in each.
    List(Remote),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Finds mistakes in a folder of policies: what does not load, and what is not meant.
    Check(PolicyCheck),
    /// Runs the tests in Rego and the data cases beside the policies of a folder.
    Test(Box<PolicyTest>),
    /// Judges one input and explains, package by package and rule by rule.
    Eval(Box<PolicyEval>),
    /// Measures how long judging takes, by package, rule and input.
    Bench(PolicyBench),
    /// Builds, verifies and shows OPA bundles.
    #[command(subcommand)]
    Bundle(Bundle),
}

/// Seconds of a duration such as `72h` or `30d`.
fn lifetime(text: &str) -> Result<u64, String> {
    let span: jiff::Span = text.parse().map_err(|_| EXPECTED.to_owned())?;
    let relative = jiff::SpanRelativeTo::days_are_24_hours();
    let seconds = span
        .to_duration(relative)
        .map_err(|_| EXPECTED.to_owned())?;
    u64::try_from(seconds.as_secs())
        .ok()
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| EXPECTED.to_owned())
}

const EXPECTED: &str = "expected a duration such as 12h or 30d";
