//! `crmgate ops`: queued operations.

use http::Method;
use serde_json::{Map, Value, json};

use super::narrowing;
use crate::cli::{Found, Ops, OpsAnswer, OpsResolve, OpsRetry, OpsWanted, Remote};
use crate::client::{Api, segment};
use crate::exit::{Exit, Failure};
use crate::json::{at, flag, text};
use crate::output::{Output, say, say_json};

mod list;
mod read;
mod story;
mod submit;
mod summary;
mod upload;
mod watch;

pub(super) async fn run(command: Ops) -> Result<Exit, Failure> {
    match command {
        Ops::Submit(wanted) => submit::run(&wanted).await,
        Ops::List(wanted) => list::run(&wanted).await,
        Ops::Show { id, remote } => show(&id, &remote).await,
        Ops::Watch { id, remote } => watch::run(&id, &remote).await,
        Ops::Cancel(wanted) => cancel(&wanted).await,
        Ops::Retry(wanted) => retry(&wanted).await,
        Ops::Resolve(wanted) => resolve(&wanted).await,
    }
}

async fn show(id: &str, remote: &Remote) -> Result<Exit, Failure> {
    let api = Api::open(remote)?;
    let path = format!("/v1/operations/{}/history", segment(id));
    let life = api.get(&path).await?;
    if remote.form.output == Output::Json {
        say_json(&life);
    } else {
        story::print(&life);
    }
    Ok(Exit::Done)
}

async fn cancel(wanted: &OpsAnswer) -> Result<Exit, Failure> {
    answer(wanted, "cancel", json!({})).await
}

async fn retry(wanted: &OpsRetry) -> Result<Exit, Failure> {
    let more = if wanted.did_not_happen {
        json!({"did_not_happen": true})
    } else {
        json!({})
    };
    answer(&wanted.answer, "retry", more).await
}

/// Answers for one operation, or for all that the filters narrow to.
async fn answer(wanted: &OpsAnswer, verb: &str, mut body: Value) -> Result<Exit, Failure> {
    let filter = filter(&wanted.wanted)?;
    let api = Api::open(&wanted.remote)?;
    if let Some(reason) = &wanted.reason {
        crate::json::put(&mut body, "reason", reason.clone());
    }
    let path = match &wanted.id {
        Some(_) if !filter.is_empty() => {
            let message = "give an id, or filters, not both";
            return Err(Failure::new(Exit::Usage, message));
        }
        Some(id) => format!("/v1/operations/{}/{verb}", segment(id)),
        None if filter.is_empty() => {
            let message = format!(
                "{verb} what? give an id, or filters such as `--submission` or `--connection`"
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        None => {
            crate::json::put(&mut body, "filter", Value::Object(filter));
            format!("/v1/operations/{verb}")
        }
    };
    let answer = api.call(Method::POST, &path, Some(&body)).await?;
    if wanted.remote.form.output == Output::Json {
        say_json(&answer);
    } else if wanted.id.is_some() {
        say(story::line(&answer));
    } else {
        say(format!(
            "{} moved, {} could not be{}",
            at(&answer, "/moved"),
            at(&answer, "/missed"),
            if flag(&answer, "/more") {
                "; there are more: once again"
            } else {
                ""
            }
        ));
    }
    Ok(Exit::Done)
}

async fn resolve(wanted: &OpsResolve) -> Result<Exit, Failure> {
    let api = Api::open(&wanted.remote)?;
    let found = match wanted.found {
        Found::Succeeded => "succeeded",
        Found::NotWritten => "not_written",
        Found::Cancelled => "cancelled",
    };
    let body = json!({"as": found, "record_id": wanted.record, "reason": wanted.reason});
    let path = format!("/v1/operations/{}/resolve", segment(&wanted.id));
    let answer = api.call(Method::POST, &path, Some(&body)).await?;
    if wanted.remote.form.output == Output::Json {
        say_json(&answer);
    } else {
        say(story::line(&answer));
    }
    Ok(Exit::Done)
}

/// The filters, by the API's names.
fn given(wanted: &OpsWanted) -> Result<Vec<(&'static str, String)>, Failure> {
    let more = [
        ("state", wanted.state.clone()),
        ("submission", wanted.submission.clone()),
        ("client_id", wanted.client_id.clone()),
        ("reason", wanted.reason_code.clone()),
    ];
    narrowing::given(&wanted.narrowing, more)
}

/// The filters as a body holds them.
fn filter(wanted: &OpsWanted) -> Result<Map<String, Value>, Failure> {
    let given = given(wanted)?.into_iter();
    Ok(given
        .map(|(name, value)| match name {
            "state" => {
                let states: Vec<&str> = value.split(',').map(str::trim).collect();
                ("states".to_owned(), json!(states))
            }
            _ => (name.to_owned(), json!(value)),
        })
        .collect())
}

/// How an operation that has come to rest ends a command.
fn exit_of(state: &str) -> Exit {
    match state {
        "succeeded" => Exit::Done,
        "held" | "stale" | "unjudged" => Exit::Held,
        _ => Exit::No,
    }
}

/// What stands in a field, or a dash.
fn or_dash<'a>(value: &'a Value, pointer: &str) -> &'a str {
    match text(value, pointer) {
        "" => "-",
        found => found,
    }
}
