//! `crmgate processes`: who shares the store.

use super::times::short_time;
use crate::cli::{Processes, Remote};
use crate::client::Api;
use crate::exit::{Exit, Failure};
use crate::json::{flag, list, text};
use crate::output::{Output, say, say_json, table};

pub(super) async fn run(command: Processes) -> Result<Exit, Failure> {
    match command {
        Processes::List(remote) => all(&remote).await,
    }
}

async fn all(remote: &Remote) -> Result<Exit, Failure> {
    let answer = Api::open(remote)?.get("/v1/processes").await?;
    if remote.form.output == Output::Json {
        say_json(&answer);
        return Ok(Exit::Done);
    }
    let mut shown = table(&[
        "process", "kind", "host", "version", "since", "policies", "",
    ]);
    for process in list(&answer, "/items") {
        let revision = text(process, "/revision");
        let mut notes = Vec::new();
        for (member, note) in [("/this", "answers"), ("/draining", "ends")] {
            if flag(process, member) {
                notes.push(note);
            }
        }
        if !flag(process, "/same_policies") {
            notes.push("OTHER POLICIES");
        }
        shown.add_row([
            text(process, "/id").to_owned(),
            text(process, "/kind").to_owned(),
            text(process, "/host").to_owned(),
            text(process, "/version").to_owned(),
            short_time(text(process, "/started_at")),
            revision.get(..12).unwrap_or(revision).to_owned(),
            notes.join(", "),
        ]);
    }
    say(shown);
    Ok(Exit::Done)
}
