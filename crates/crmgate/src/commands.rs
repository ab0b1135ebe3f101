//! The commands, one module each.

use crate::cli::{Command, Configured};
use crate::config::{self, Loaded};
use crate::demo;
use crate::exit::{Exit, Failure};

mod approvals;
mod check;
mod connections;
mod decisions;
mod narrowing;
mod ops;
mod policy;
mod processes;
mod serve;
mod simulate;
mod times;
mod token;
mod validate;
mod worker;

pub(crate) use connections::print_report;
pub(crate) use decisions::verify;

/// Runs a command.
pub(crate) async fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Demo(demo) => demo::run(demo).await,
        Command::Serve(configured) => serve::run(&configured).await,
        Command::Worker(configured) => worker::run(&configured).await,
        Command::Check(check) => check::run(&check).await,
        Command::Simulate(simulate) => simulate::run(&simulate).await,
        Command::Validate(validate) => validate::run(&validate).await,
        Command::Decisions(decisions) => decisions::run(decisions).await,
        Command::Approvals(approvals) => approvals::run(approvals).await,
        Command::Ops(ops) => ops::run(ops).await,
        Command::Connections(connections) => connections::run(connections).await,
        Command::Token(token) => token::run(token).await,
        Command::Processes(processes) => processes::run(processes).await,
        Command::Policy(policy) => policy::run(policy).await,
    }
}

/// The configuration that the command line names.
fn load(configured: &Configured) -> Result<Loaded, Failure> {
    let environment = config::process_environment();
    Ok(config::load(configured.config.as_deref(), &environment)?)
}
