//! `crmgate decisions`: what was decided, and why.

use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::cli::{Decisions, DecisionsList, Remote};
use crate::client::Api;
use crate::exit::{Exit, Failure};
use crate::json::{at, flag, list, text};
use crate::output::{Output, say, say_json, table};

pub(super) async fn run(command: Decisions) -> Result<Exit, Failure> {
    match command {
        Decisions::List(wanted) => several(&wanted).await,
        Decisions::Show { id, remote } => one(&id, &remote).await,
    }
}

async fn several(wanted: &DecisionsList) -> Result<Exit, Failure> {
    let api = Api::open(&wanted.remote)?;
    let page = api.get(&format!("/v1/decisions?{}", query(wanted))).await?;
    if wanted.remote.form.output == Output::Json {
        say_json(&page);
        return Ok(Exit::Done);
    }
    print(&page);
    Ok(Exit::Done)
}

fn query(wanted: &DecisionsList) -> String {
    let mut query = Serializer::new(String::new());
    let given = [
        ("connection", &wanted.connection),
        ("object", &wanted.object),
        ("record_id", &wanted.record),
        ("actor", &wanted.actor),
        ("effect", &wanted.effect),
        ("package", &wanted.package),
        ("reason", &wanted.reason),
        ("since", &wanted.since),
        ("until", &wanted.until),
        ("cursor", &wanted.cursor),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.append_pair("limit", &wanted.limit.to_string());
    query.finish()
}

fn print(page: &Value) {
    let mut shown = table(&[
        "at",
        "connection",
        "operation",
        "by",
        "effect",
        "why",
        "decision",
    ]);
    for item in list(page, "/items") {
        shown.add_row([
            short_time(text(item, "/decision/at")),
            text(item, "/connection").to_owned(),
            operation(item),
            actor(item),
            came_of(item),
            why(at(item, "/decision")),
            text(item, "/decision/id").to_owned(),
        ]);
    }
    say(shown);
    if let Some(next) = at(page, "/next").as_str() {
        say(format!("more: --cursor {next}"));
    }
}

async fn one(id: &str, remote: &Remote) -> Result<Exit, Failure> {
    let api = Api::open(remote)?;
    let shown = api.get(&format!("/v1/decisions/{}", segment(id))).await?;
    if remote.form.output == Output::Json {
        say_json(&shown);
        return Ok(Exit::Done);
    }
    let decision = at(&shown, "/decision");
    say(headline(decision));
    print_reasons(decision);
    let mut facts = table(&[]);
    let rows = [
        ("decision", text(decision, "/id").to_owned()),
        ("at", text(decision, "/at").to_owned()),
        ("connection", text(&shown, "/connection").to_owned()),
        ("operation", operation(&shown)),
        ("by", actor(&shown)),
        ("mode", text(decision, "/mode").to_owned()),
        ("let through by", text(&shown, "/basis").to_owned()),
        ("changed", words(list(&shown, "/changed"))),
        ("hold", text(&shown, "/hold").to_owned()),
        ("outcome", outcome(&shown)),
        ("policies", text(decision, "/revision").to_owned()),
        ("input hash", text(&shown, "/input_hash").to_owned()),
    ];
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        facts.add_row([name.to_owned(), value]);
    }
    say(facts);
    print_packages(decision);
    Ok(Exit::Done)
}

/// What was decided, in one line.
pub(super) fn headline(decision: &Value) -> String {
    let word = match text(decision, "/effect") {
        "allow" => "ALLOWED",
        "deny" => "DENIED",
        "require_approval" => "HELD: people must agree first",
        "error" => "NO JUDGEMENT: it does not pass, and may be tried again",
        other => other,
    };
    if flag(decision, "/ungoverned") {
        format!("{word} (no policy governs it)")
    } else {
        word.to_owned()
    }
}

/// Every reason, one line each.
pub(super) fn print_reasons(decision: &Value) {
    let lines = [
        ("/reasons", "denied"),
        ("/approvals", "needs agreement"),
        ("/errors", "error"),
        ("/warnings", "warning"),
        ("/dryrun", "dry-run, only recorded"),
    ];
    for (pointer, word) in lines {
        for reason in list(decision, pointer) {
            let message = [text(reason, "/message"), text(reason, "/reason")].concat();
            let code = Some(text(reason, "/code")).filter(|code| !code.is_empty());
            let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
            say(format!(
                "  {word}: {message}{code}, says {}",
                text(reason, "/package")
            ));
            if let Some(remedy) = at(reason, "/remediation").as_str() {
                say(format!("    {remedy}"));
            }
        }
    }
    for patch in list(decision, "/patches") {
        let (op, field) = (text(patch, "/op"), text(patch, "/field"));
        say(format!(
            "  patch: {op} `{field}` to {}, says {}",
            at(patch, "/value"),
            text(patch, "/package")
        ));
    }
}

fn print_packages(decision: &Value) {
    let packages = list(decision, "/packages");
    if packages.is_empty() {
        return;
    }
    let mut shown = table(&[
        "package",
        "owner",
        "layer",
        "enforcement",
        "said",
        "patched",
    ]);
    for package in packages {
        shown.add_row([
            text(package, "/package"),
            text(package, "/owner"),
            text(package, "/layer"),
            text(package, "/enforcement"),
            text(package, "/effect"),
            if flag(package, "/patched") { "yes" } else { "" },
        ]);
    }
    say(shown);
}

/// The effect, and what came of the write where it did not simply succeed.
fn came_of(item: &Value) -> String {
    let effect = effect(at(item, "/decision"));
    match text(item, "/outcome/kind") {
        "" | "succeeded" => effect,
        outcome => format!("{effect}, {outcome}"),
    }
}

fn effect(decision: &Value) -> String {
    let effect = text(decision, "/effect");
    if text(decision, "/mode") == "observe" {
        format!("{effect} (observed)")
    } else {
        effect.to_owned()
    }
}

/// The first reason, whatever it is.
fn why(decision: &Value) -> String {
    let first = |pointer: &str, field: &str| {
        list(decision, pointer)
            .first()
            .map(|reason| text(reason, field).to_owned())
    };
    first("/reasons", "/message")
        .or_else(|| first("/errors", "/message"))
        .or_else(|| first("/approvals", "/reason"))
        .or_else(|| first("/warnings", "/message"))
        .unwrap_or_default()
}

fn operation(item: &Value) -> String {
    if let Some(opaque) = at(item, "/opaque").as_str() {
        return opaque.to_owned();
    }
    let parts = [
        text(item, "/operation/kind"),
        text(item, "/operation/object"),
        text(item, "/operation/record_id"),
    ];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

fn actor(item: &Value) -> String {
    let name = text(item, "/operation/actor/username");
    if name.is_empty() {
        text(item, "/operation/actor/id").to_owned()
    } else {
        name.to_owned()
    }
}

fn outcome(item: &Value) -> String {
    let kind = text(item, "/outcome/kind");
    match at(item, "/outcome/status").as_u64() {
        Some(status) => format!("{kind} ({status})"),
        None => kind.to_owned(),
    }
}

fn words(items: &[Value]) -> String {
    let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
    words.join(", ")
}

/// `2026-03-01 12:00:00`: the rest is for programs.
pub(super) fn short_time(at: &str) -> String {
    at.get(..19).unwrap_or(at).replace('T', " ")
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}
