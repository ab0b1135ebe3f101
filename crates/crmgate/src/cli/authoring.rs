//! `crmgate policy test | eval | bench`.

use std::path::PathBuf;

use clap::Args;
use crmgate_domain::{ConnectionName, Timestamp};
use regex::Regex;

use super::{Form, Remote};

#[derive(Debug, Args)]
pub(crate) struct PolicyTest {
    /// The folder.
    #[arg(default_value = "policies", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Only tests whose `file::name` this regular expression matches.
    #[arg(long, value_name = "REGEX")]
    pub(crate) filter: Option<Regex>,
    /// Only tests of this pack: a folder of policies.
    #[arg(long, value_name = "PACK")]
    pub(crate) pack: Option<String>,
    /// Tell which lines of the policies nothing reached.
    #[arg(long)]
    pub(crate) coverage: bool,
    /// Fail when fewer lines of a hundred are reached. Implies `--coverage`.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) min: Option<f64>,
    /// Write JUnit's XML here.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write reached lines as an LCOV tracefile here. Implies `--coverage`.
    #[arg(long, value_name = "FILE")]
    pub(crate) lcov: Option<PathBuf>,
    /// Write reached lines in OPA's JSON form here. Implies `--coverage`.
    #[arg(long, value_name = "FILE")]
    pub(crate) coverage_json: Option<PathBuf>,
    /// Run again whenever a file changes, until it is interrupted.
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) form: Form,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyEval {
    /// The folder; or a revision that a running crmgate has or had in force, or `current`.
    #[arg(default_value = "policies", value_name = "DIR|REVISION")]
    pub(crate) dir: PathBuf,
    /// What is judged: a file with the policy input, with an operation as `validate` takes it, or
    /// with data cases (`FILE.yaml#NAME`); `-` is standard input.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "decision",
        conflicts_with = "decision"
    )]
    pub(crate) input: Option<String>,
    /// What is judged: the input that a recorded decision kept, asked of a running crmgate.
    #[arg(long, value_name = "ID")]
    pub(crate) decision: Option<String>,
    /// Judge it at this connection: by its layer, its parameters.
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<ConnectionName>,
    /// The kind of CRM that a data case is judged for; the first one there is without.
    #[arg(long, value_name = "SYSTEM")]
    pub(crate) system: Option<String>,
    /// Tell of this package only.
    #[arg(long, value_name = "PACKAGE")]
    pub(crate) package: Option<String>,
    /// Parameters to judge it with, laid over the policies' own: a file shaped as `params.yaml`.
    #[arg(long, value_name = "FILE")]
    pub(crate) params: Option<PathBuf>,
    /// The time at which it is judged (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyBench {
    /// The folder.
    #[arg(default_value = "policies", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// What is judged: as for `eval`. Repeatable; every data case of the folder without.
    #[arg(long = "input", value_name = "FILE")]
    pub(crate) inputs: Vec<String>,
    /// Only data cases whose `file#name` this regular expression matches.
    #[arg(long, value_name = "REGEX", conflicts_with = "inputs")]
    pub(crate) cases: Option<Regex>,
    /// For about how long.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) seconds: u64,
    /// Compare with what `--output json` told earlier.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// How many lines of each table.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) top: usize,
    #[command(flatten)]
    pub(crate) form: Form,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse::<f64>().ok();
    number
        .filter(|number| (0.0..=100.0).contains(number))
        .ok_or_else(|| "expected a number from 0 to 100".to_owned())
}
