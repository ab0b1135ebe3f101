//! `crmgate policy`: policies in a folder, without a running crmgate.

use std::path::Path;

use crmgate_app::PolicyChecker as _;
use crmgate_policy::{LoadErrors, PolicySet, Sources, read_folder};
use serde_json::{Value, json};

use crate::cli::Policy;
use crate::exit::{Exit, Failure};
use crate::output::{Output, patiently, say, say_json};
use crate::wiring::child::ChildChecker;

mod bench;
mod bundle;
mod check;
mod eval;
mod inputs;
mod known;
mod revision;
mod systems;
mod test;

pub(super) async fn run(command: Policy) -> Result<Exit, Failure> {
    match command {
        Policy::Check(check) => check::run(&check).await,
        Policy::Test(test) => test::run(&test).await,
        Policy::Eval(eval) => eval::run(&eval).await,
        Policy::Bench(bench) => bench::run(&bench).await,
        Policy::Bundle(command) => bundle::run(command).await,
    }
}

async fn load(dir: &Path) -> Result<Result<(Sources, PolicySet), LoadErrors>, Failure> {
    let checker = ChildChecker::new()?;
    let sources = match read_folder(dir) {
        Ok(sources) => sources,
        Err(errors) => return Ok(Err(errors)),
    };
    let checked = patiently("loading policies", checker.check(&sources)).await;
    Ok(checked
        .and_then(|()| PolicySet::load(&sources))
        .map(|set| (sources, set)))
}

fn broken(errors: &LoadErrors, output: Output) -> Exit {
    if output == Output::Json {
        let faults: Vec<Value> = errors
            .all()
            .iter()
            .map(|fault| {
                json!({
                    "file": fault.file, "line": fault.line, "column": fault.column,
                    "code": fault.code, "message": fault.message, "remedy": fault.remedy,
                })
            })
            .collect();
        say_json(&json!({"sound": false, "faults": faults}));
    } else {
        for fault in errors.all() {
            say(fault);
        }
    }
    Exit::No
}
