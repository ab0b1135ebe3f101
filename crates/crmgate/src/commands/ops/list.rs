//! `crmgate ops list`.

use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::super::times::short_time;
use super::{given, or_dash};
use crate::cli::OpsList;
use crate::client::Api;
use crate::exit::{Exit, Failure};
use crate::json::{at, list, text};
use crate::output::{Output, say, say_json, table};

pub(super) async fn run(wanted: &OpsList) -> Result<Exit, Failure> {
    let api = Api::open(&wanted.remote)?;
    let mut query = Serializer::new(String::new());
    query.extend_pairs(given(&wanted.wanted)?);
    if let Some(cursor) = &wanted.cursor {
        query.append_pair("cursor", cursor);
    }
    query.append_pair("limit", &wanted.limit.to_string());
    let page = api
        .get(&format!("/v1/operations?{}", query.finish()))
        .await?;
    if wanted.remote.form.output == Output::Json {
        say_json(&page);
        return Ok(Exit::Done);
    }
    let mut shown = table(&["at", "connection", "operation", "by", "state", "why", "id"]);
    for item in list(&page, "/items") {
        shown.add_row(row(item));
    }
    say(shown);
    if let Some(next) = at(&page, "/next").as_str() {
        say(format!("more: --cursor {next}"));
    }
    Ok(Exit::Done)
}

fn row(item: &Value) -> [String; 7] {
    [
        short_time(text(item, "/created_at")),
        text(item, "/connection").to_owned(),
        operation(item),
        actor(item),
        text(item, "/state").to_owned(),
        or_dash(item, "/why/code").to_owned(),
        text(item, "/id").to_owned(),
    ]
}

/// `update contact 003…`.
pub(super) fn operation(item: &Value) -> String {
    let parts = ["/kind", "/object", "/record_id"].map(|pointer| text(item, pointer));
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

/// Who asks.
pub(super) fn actor(item: &Value) -> String {
    let name = text(item, "/actor/username");
    let name = if name.is_empty() {
        text(item, "/actor/id")
    } else {
        name
    };
    name.to_owned()
}
