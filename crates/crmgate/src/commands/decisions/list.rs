//! `crmgate decisions list`.

use std::time::Duration;

use comfy_table::ContentArrangement;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::super::narrowing::given;
use super::super::times::short_time;
use super::story;
use crate::cli::{DecisionsList, DecisionsWanted};
use crate::client::{Api, sometime};
use crate::exit::{Exit, Failure};
use crate::json::{at, flag, list, text};
use crate::output::{Output, say, say_json, table};

/// How often `--follow` asks.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// The longest page of the API.
const PAGE: usize = 500;

pub(super) async fn run(wanted: &DecisionsList) -> Result<Exit, Failure> {
    let api = Api::open(&wanted.remote)?;
    let mut query = query(&wanted.wanted)?;
    let cursor = [("cursor", wanted.cursor.clone())];
    let first = page(&api, &query, wanted.limit, &cursor).await?;
    if !wanted.follow {
        print(wanted, &first);
        return Ok(Exit::Done);
    }
    // Oldest first from here on, as they come.
    let mut shown = list(&first, "/items").to_vec();
    query.retain(|(name, _)| *name != "until");
    loop {
        shown.reverse();
        for item in &shown {
            print_line(wanted, item);
        }
        let last = shown
            .last()
            .and_then(|item| at(item, "/sequence").as_u64())
            .map(|last| last.to_string());
        if let Some(last) = last {
            query.retain(|(name, _)| *name != "after");
            query.push(("after", last));
        }
        tokio::time::sleep(FOLLOW_EVERY).await;
        shown = sometime(async || newer(&api, &query).await).await?;
    }
}

/// All that is newer, newest first.
async fn newer(api: &Api, query: &[(&'static str, String)]) -> Result<Vec<Value>, Failure> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let found = page(api, query, PAGE, &[("cursor", cursor)]).await?;
        all.extend(list(&found, "/items").iter().cloned());
        cursor = at(&found, "/next").as_str().map(ToOwned::to_owned);
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

async fn page(
    api: &Api,
    query: &[(&'static str, String)],
    limit: usize,
    more: &[(&'static str, Option<String>)],
) -> Result<Value, Failure> {
    let mut text = Serializer::new(String::new());
    for (name, value) in query {
        text.append_pair(name, value);
    }
    for (name, value) in more {
        if let Some(value) = value {
            text.append_pair(name, value);
        }
    }
    text.append_pair("limit", &limit.to_string());
    api.get(&format!("/v1/decisions?{}", text.finish())).await
}

/// The filters as the API takes them.
pub(super) fn query(wanted: &DecisionsWanted) -> Result<Vec<(&'static str, String)>, Failure> {
    let more = [
        ("effect", wanted.effect.clone()),
        ("package", wanted.package.clone()),
        ("reason", wanted.reason.clone()),
        ("mode", wanted.mode.clone()),
        ("outcome", wanted.outcome.clone()),
    ];
    given(&wanted.narrowing, more)
}

const COLUMNS: [&str; 7] = [
    "at",
    "connection",
    "operation",
    "by",
    "effect",
    "why",
    "decision",
];
const MORE_COLUMNS: [&str; 6] = ["code", "packages", "mode", "outcome", "payload", "place"];

fn print(wanted: &DecisionsList, page: &Value) {
    if wanted.remote.form.output == Output::Json {
        return say_json(page);
    }
    let items = list(page, "/items");
    if wanted.ndjson {
        items.iter().for_each(say);
        return;
    }
    let mut header = COLUMNS.to_vec();
    if wanted.wide {
        header.extend(MORE_COLUMNS);
    }
    let mut shown = table(&header);
    if wanted.wide {
        // As wide as it is: for a pager, or a wide screen.
        shown.set_content_arrangement(ContentArrangement::Disabled);
    }
    for item in items {
        shown.add_row(row(item, wanted.wide));
    }
    say(shown);
    if let Some(next) = at(page, "/next").as_str() {
        say(format!("more: --cursor {next}"));
    }
}

/// One decision of those that are followed.
fn print_line(wanted: &DecisionsList, item: &Value) {
    if wanted.ndjson || wanted.remote.form.output == Output::Json {
        say(item);
    } else {
        say(row(item, wanted.wide).join("  "));
    }
}

/// The packages that did not simply allow.
fn spoke(decision: &Value) -> String {
    let packages = list(decision, "/packages").iter();
    let spoke = packages.filter(|one| text(one, "/effect") != "allow" || flag(one, "/patched"));
    let names: Vec<&str> = spoke.map(|one| text(one, "/package")).collect();
    names.join(", ")
}

fn row(item: &Value, wide: bool) -> Vec<String> {
    let decision = at(item, "/decision");
    let mut row = vec![
        short_time(text(item, "/decision/at")),
        text(item, "/connection").to_owned(),
        story::operation(item),
        story::actor(item),
        story::came_of(item),
        story::why(decision),
        text(item, "/decision/id").to_owned(),
    ];
    if wide {
        let names = |pointer: &str, field: &str| {
            let all = list(decision, pointer).iter();
            let names: Vec<&str> = all.map(|one| text(one, field)).collect();
            names.join(", ")
        };
        row.extend([
            names("/reasons", "/code"),
            spoke(decision),
            text(decision, "/mode").to_owned(),
            text(item, "/outcome/kind").to_owned(),
            text(item, "/payload/state").to_owned(),
            at(item, "/sequence").to_string(),
        ]);
    }
    row
}
