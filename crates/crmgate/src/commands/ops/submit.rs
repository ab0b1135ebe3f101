//! `crmgate ops submit`.

use std::io::{BufRead as _, BufReader};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::{read, summary, upload, watch};
use crate::ambient;
use crate::cli::OpsSubmit;
use crate::client::Api;
use crate::exit::{Exit, Failure};
use crate::json::{at, flag, list, text};
use crate::output::{Count, Output, say, say_json, table};

pub(super) async fn run(wanted: &OpsSubmit) -> Result<Exit, Failure> {
    let source = read::open(&wanted.file)?;
    let api = Api::open(&wanted.remote)?;
    if wanted.dry_run {
        return dry_run(wanted, &api, source).await;
    }
    let drawn = || format!("ops-{}", hex::encode(ambient::system().random()));
    let key = wanted.key.clone().unwrap_or_else(drawn);
    let mut query = Serializer::new(String::new());
    query.append_pair("on_error", wanted.on_error.as_str());
    if let Some(connection) = &wanted.connection {
        query.append_pair("connection", connection);
    }
    let path = format!("/v1/operations?{}", query.finish());
    let (status, answer) = upload::send(&api, &path, &key, source).await?;
    if status != StatusCode::ACCEPTED {
        return Ok(refused(wanted, status, &answer));
    }
    let json = wanted.remote.form.output == Output::Json;
    if !json {
        taken(&answer);
    }
    if !wanted.follow {
        if json {
            say_json(&answer);
        }
        return Ok(Exit::Done);
    }
    let state = watch::submission(&api, text(&answer, "/submission")).await?;
    if json {
        say_json(&json!({"submitted": answer, "submission": state}));
    } else {
        summary::print(&state);
    }
    let exit = summary::exit(&state);
    // A line that was left out did not succeed.
    Ok(match exit {
        Exit::Done | Exit::Held if at(&answer, "/refused").as_u64().unwrap_or(0) > 0 => Exit::No,
        exit => exit,
    })
}

fn taken(answer: &Value) {
    let count = |pointer: &str| at(answer, pointer).as_u64().unwrap_or(0);
    let (repeated, refused) = (count("/repeated"), count("/refused"));
    let mut line = format!(
        "submission {}: {} taken",
        text(answer, "/submission"),
        count("/accepted")
    );
    if repeated > 0 {
        line.push_str(&format!(", {repeated} were there already"));
    }
    if refused > 0 {
        line.push_str(&format!(", {refused} left out"));
    }
    say(line);
    errors(list(answer, "/errors"), flag(answer, "/truncated"));
}

fn errors(errors: &[Value], truncated: bool) {
    if errors.is_empty() {
        return;
    }
    let mut shown = table(&["line", "own id", "field", "what is wrong", "code"]);
    for error in errors {
        shown.add_row([
            at(error, "/line").to_string(),
            text(error, "/client_id").to_owned(),
            text(error, "/field").to_owned(),
            text(error, "/message").to_owned(),
            text(error, "/code").to_owned(),
        ]);
    }
    say(shown);
    if truncated {
        say("there are more errors than these");
    }
}

fn refused(wanted: &OpsSubmit, status: StatusCode, answer: &Value) -> Exit {
    if wanted.remote.form.output == Output::Json {
        say_json(answer);
    } else {
        say(format!(
            "{} ({}, {status})",
            text(answer, "/message"),
            text(answer, "/code")
        ));
        errors(
            list(answer, "/details/errors"),
            flag(answer, "/details/truncated"),
        );
    }
    if status.is_server_error() {
        Exit::Unreachable
    } else {
        Exit::Refused
    }
}

/// Has each line judged; nothing is queued.
async fn dry_run(wanted: &OpsSubmit, api: &Api, source: read::Source) -> Result<Exit, Failure> {
    let mut count = Count::new("operations judged");
    let mut tally = summary::Tally::default();
    for (number, line) in (1_u64..).zip(BufReader::new(source.reader).lines()) {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        match judge(wanted, api, &line).await {
            Ok(effect) => tally.add(&effect.0, &effect.1),
            Err(failure) if failure.exit == Exit::Refused || failure.exit == Exit::Usage => {
                say(format!("line {number}: {failure}"));
                tally.add("refused", "");
            }
            Err(failure) => return Err(failure),
        }
        count.at(number);
    }
    drop(count);
    Ok(tally.tell(wanted.remote.form.output))
}

async fn judge(wanted: &OpsSubmit, api: &Api, line: &str) -> Result<(String, String), Failure> {
    let given: Value = serde_json::from_str(line)
        .map_err(|error| Failure::new(Exit::Usage, format!("is no JSON: {error}")))?;
    let mut body = json!({"connection": wanted.connection});
    for member in ["connection", "operation", "request", "purpose", "actor"] {
        if let Some(value) = given.get(member) {
            crate::json::put(&mut body, member, value.clone());
        }
    }
    let answer = api.call(Method::POST, "/v1/validate", Some(&body)).await?;
    let decision = at(&answer, "/decision");
    let first = |pointer: &str| {
        list(decision, pointer)
            .first()
            .map(|one| text(one, "/code"))
    };
    let code = first("/reasons").or_else(|| first("/approvals"));
    let effect = text(decision, "/effect");
    Ok((effect.to_owned(), code.unwrap_or_default().to_owned()))
}
