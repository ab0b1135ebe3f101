//! `crmgate validate`: a decision without a write.

use std::io::Read as _;

use http::Method;
use serde_json::{Value, json};

use crate::cli::Validate;
use crate::client::Api;
use crate::exit::{Exit, Failure};
use crate::json::{at, list, text};
use crate::output::{Output, say, say_json};

pub(super) async fn run(validate: &Validate) -> Result<Exit, Failure> {
    let record = validate.record.as_deref().map(record).transpose()?;
    let api = Api::open(&validate.remote)?;
    let body = json!({
        "connection": validate.connection,
        "purpose": validate.purpose,
        "operation": {
            "kind": validate.operation,
            "object": validate.object,
            "id": validate.id,
            "record": record,
        },
    });
    let answer = api.call(Method::POST, "/v1/validate", Some(&body)).await?;
    match validate.remote.form.output {
        Output::Json => say_json(&answer),
        Output::Table => print(&answer),
    }
    Ok(match text(&answer, "/decision/effect") {
        "allow" => Exit::Done,
        "require_approval" => Exit::Held,
        "error" => Exit::NoJudgement,
        _ => Exit::No,
    })
}

/// The record: JSON itself, a file's, or standard input's.
fn record(given: &str) -> Result<Value, Failure> {
    let text = match given.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| Failure::new(Exit::Usage, format!("`{file}`: {error}")))?,
        None if given == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
        None => given.to_owned(),
    };
    serde_json::from_str(&text)
        .map_err(|error| Failure::new(Exit::Usage, format!("`--record` is not JSON: {error}")))
}

fn print(answer: &Value) {
    let decision = at(answer, "/decision");
    say(super::decisions::headline(decision));
    super::decisions::print_reasons(decision);
    let changed = list(answer, "/changed");
    if !changed.is_empty() {
        let fields: Vec<&str> = changed.iter().filter_map(Value::as_str).collect();
        say(format!(
            "  it would be changed first: {}",
            fields.join(", ")
        ));
    }
    if text(answer, "/mode") == "observe" {
        say("  the connection only observes: the gateway would let it pass all the same");
    }
    say(format!("decision {}", text(decision, "/id")));
}
