//! `crmgate decisions`: what was decided, and why; and whether the record of it is whole.

use crate::cli::{Decisions, Remote};
use crate::client::{Api, segment};
use crate::exit::{Exit, Failure};
use crate::json::text;
use crate::output::{Output, say, say_json};

mod erase;
mod export;
mod list;
mod story;
pub(crate) mod verify;

pub(super) use story::{headline, print_reasons, writer};

pub(super) async fn run(command: Decisions) -> Result<Exit, Failure> {
    match command {
        Decisions::List(wanted) => list::run(&wanted).await,
        Decisions::Show { id, input, remote } => one(&id, input, &remote).await,
        Decisions::Verify(wanted) => verify::run(&wanted).await,
        Decisions::Export(wanted) => export::run(&wanted).await,
        Decisions::Key(remote) => key(&remote).await,
        Decisions::Erase(wanted) => erase::run(&wanted).await,
    }
}

async fn key(remote: &Remote) -> Result<Exit, Failure> {
    let key = Api::open(remote)?.get("/v1/record/key").await?;
    if remote.form.output == Output::Json {
        say_json(&key);
    } else {
        say(text(&key, "/pem").trim_end());
    }
    Ok(Exit::Done)
}

async fn one(id: &str, input: bool, remote: &Remote) -> Result<Exit, Failure> {
    let api = Api::open(remote)?;
    let shown = api.get(&format!("/v1/decisions/{}", segment(id))).await?;
    if remote.form.output == Output::Json {
        say_json(&shown);
    } else {
        story::print(&shown, input);
    }
    Ok(Exit::Done)
}
