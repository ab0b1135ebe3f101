//! `crmgate decisions erase`.

use http::Method;
use serde_json::{Value, json};

use super::super::times::moment;
use crate::cli::DecisionsErase;
use crate::client::Api;
use crate::exit::{Exit, Failure};
use crate::json::{at, text};
use crate::output::{Output, say, say_json};

pub(super) async fn run(wanted: &DecisionsErase) -> Result<Exit, Failure> {
    let api = Api::open(&wanted.remote)?;
    let asked = json!({
        "decision": wanted.decision,
        "record_id": wanted.record,
        "actor": wanted.actor,
        "connection": wanted.connection,
        "before": moment("--before", wanted.before.as_deref())?,
        "reason": wanted.reason,
        "dry_run": wanted.dry_run,
    });
    let erased = api
        .call(Method::POST, "/v1/decisions/erase", Some(&asked))
        .await?;
    if wanted.remote.form.output == Output::Json {
        say_json(&erased);
    } else {
        print(&erased, wanted.dry_run);
    }
    Ok(Exit::Done)
}

fn print(erased: &Value, dry_run: bool) {
    let word = if dry_run { "would be erased" } else { "erased" };
    for (field, what) in [
        ("/decisions", "decisions' payloads"),
        ("/read_backs", "open writes' values"),
        ("/holds", "holds' contents"),
    ] {
        say(format!("{} {what} {word}", at(erased, field)));
    }
    say(format!("not reached: {}", text(erased, "/not_reached")));
}
