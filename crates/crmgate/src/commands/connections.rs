//! `crmgate connections`: the CRMs behind the gate.

use http::Method;
use serde_json::{Value, json};

use super::times::short_time;
use crate::cli::{Connections, Remote};
use crate::client::{Api, segment};
use crate::exit::{Exit, Failure};
use crate::json::{at, flag, list, text};
use crate::output::{Output, say, say_json, table};

pub(super) async fn run(command: Connections) -> Result<Exit, Failure> {
    match command {
        Connections::List(remote) => all(&remote).await,
        Connections::Report {
            name,
            since,
            remote,
        } => report(&name, since.as_deref(), &remote).await,
        Connections::Mode { name, mode, remote } => set_mode(&name, mode.as_deref(), &remote).await,
    }
}

async fn all(remote: &Remote) -> Result<Exit, Failure> {
    let answer = Api::open(remote)?.get("/v1/connections").await?;
    if remote.form.output == Output::Json {
        say_json(&answer);
    } else {
        print(list(&answer, "/items"));
    }
    Ok(Exit::Done)
}

async fn report(name: &str, since: Option<&str>, remote: &Remote) -> Result<Exit, Failure> {
    let mut path = format!("/v1/connections/{}/report", segment(name));
    if let Some(since) = since {
        path = format!("{path}?since={}", segment(since));
    }
    let answer = Api::open(remote)?.get(&path).await?;
    match remote.form.output {
        Output::Json => say_json(&answer),
        Output::Table => print_report(&answer),
    }
    Ok(if flag(&answer, "/safe_to_enforce") {
        Exit::Done
    } else {
        Exit::No
    })
}

/// The report as people read it.
pub(crate) fn print_report(report: &Value) {
    let mut shown = table(&[
        "client",
        "route",
        "seen",
        "understood",
        "refused",
        "held",
        "not judged",
        "why",
    ]);
    for row in list(report, "/rows") {
        let why: Vec<String> = list(row, "/why")
            .iter()
            .map(|pair| format!("{} ({}×)", text(pair, "/0"), at(pair, "/1")))
            .collect();
        let count = |field: &str| at(row, field).to_string();
        shown.add_row([
            text(row, "/client").to_owned(),
            text(row, "/route").to_owned(),
            count("/seen"),
            count("/understood"),
            count("/refused"),
            count("/held"),
            count("/not_judged"),
            why.join("\n"),
        ]);
    }
    say(shown);
    for obstacle in list(report, "/obstacles") {
        say(format!("  - {}", text(obstacle, "/message")));
    }
    say(text(report, "/conclusion"));
}

async fn set_mode(name: &str, mode: Option<&str>, remote: &Remote) -> Result<Exit, Failure> {
    let api = Api::open(remote)?;
    let path = format!("/v1/connections/{}", segment(name));
    let answer = match mode {
        None => api.get(&path).await?,
        Some(mode) => {
            let body = json!({"mode": mode});
            api.call(Method::PUT, &format!("{path}/mode"), Some(&body))
                .await?
        }
    };
    if remote.form.output == Output::Json {
        say_json(&answer);
    } else {
        print(std::slice::from_ref(&answer));
    }
    Ok(Exit::Done)
}

fn print(connections: &[Value]) {
    let mut shown = table(&[
        "connection",
        "system",
        "mode",
        "since",
        "by",
        "identity",
        "own credential",
        "",
    ]);
    for connection in connections {
        let notes = match (
            flag(connection, "/protected"),
            flag(connection, "/fail_open"),
        ) {
            (false, _) => "NOTHING IS PROTECTED",
            (true, true) => "FAILS OPEN",
            (true, false) => "",
        };
        let own = flag(connection, "/service_credential");
        shown.add_row([
            text(connection, "/name"),
            text(connection, "/system"),
            text(connection, "/mode"),
            &short_time(text(connection, "/mode_since/at")),
            text(connection, "/mode_since/by"),
            text(connection, "/identity"),
            if own { "yes" } else { "" },
            notes,
        ]);
    }
    say(shown);
}
