//! Waiting until nothing more happens.

use crmgate_app::operations::is_settled;
use serde_json::Value;

use super::{exit_of, story, summary};
use crate::cli::Remote;
use crate::client::{Api, segment, sometime};
use crate::exit::{Exit, Failure};
use crate::json::{at, flag, text};
use crate::output::{Bar, Output, say, say_json};

/// How long crmgate is asked to wait; the bar moves as often.
const WAIT: &str = "2s";

pub(super) async fn run(id: &str, remote: &Remote) -> Result<Exit, Failure> {
    let api = Api::open(remote)?;
    let json = remote.form.output == Output::Json;
    let path = format!("/v1/operations/{}?wait={WAIT}", segment(id));
    let mut asked = api.get(&path).await;
    loop {
        match asked {
            Ok(operation) => {
                let state = text(&operation, "/state");
                if !state.parse().is_ok_and(is_settled) {
                    asked = sometime(async || api.get(&path).await).await;
                    continue;
                }
                if json {
                    say_json(&operation);
                } else {
                    say(story::line(&operation));
                }
                return Ok(exit_of(state));
            }
            // It may be a submission's id.
            Err(failure) if failure.exit == Exit::Refused => break,
            Err(failure) => return Err(failure),
        }
    }
    let state = submission(&api, id).await?;
    if json {
        say_json(&state);
    } else {
        summary::print(&state);
    }
    Ok(summary::exit(&state))
}

/// Waits for a submission, with a bar: where it stands then.
pub(super) async fn submission(api: &Api, id: &str) -> Result<Value, Failure> {
    let path = format!("/v1/submissions/{}?wait={WAIT}", segment(id));
    let mut bar = Bar::new("ended");
    loop {
        let state = sometime(async || api.get(&path).await).await?;
        if flag(&state, "/settled") {
            return Ok(state);
        }
        let number = |pointer: &str| {
            let number = at(&state, pointer).as_u64().unwrap_or(0);
            usize::try_from(number).unwrap_or(usize::MAX)
        };
        bar.at(number("/ended") + number("/waiting"), number("/count"));
    }
}
