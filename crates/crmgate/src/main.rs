//! The one binary: configuration, wiring, commands.

use std::process::ExitCode;

use clap::Parser as _;

mod ambient;
mod cli;
mod client;
mod commands;
mod config;
mod demo;
mod exit;
mod json;
mod output;
mod pki;
mod simulators;
mod wiring;

use exit::{Exit, Failure};

/// Judging makes many small values; the system's allocator took a fifth of the processor.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Policies are evaluated on the request's own thread, and evaluation recurses.
const STACK: usize = 64 << 20;

fn main() -> ExitCode {
    // Not on the main thread, whose stack the system chose.
    let work = std::thread::Builder::new().stack_size(STACK).spawn(work);
    let done = work.map(std::thread::JoinHandle::join);
    done.unwrap_or_else(|_| Ok(ExitCode::FAILURE))
        .unwrap_or(ExitCode::FAILURE)
}

fn work() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(wiring::child::CHILD_COMMAND) {
        return wiring::child::try_policies(std::env::args().skip(2)).into();
    }
    match run(cli::Cli::parse().command) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::complain(format!("error: {failure}"));
            failure.exit.into()
        }
    }
}

fn run(command: cli::Command) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK)
        .enable_all()
        .build()?;
    let done = runtime.block_on(commands::run(command));
    // Whatever still runs, as a look-up of a name, is of no use any more.
    runtime.shutdown_background();
    done
}
