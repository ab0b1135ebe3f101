//! `crmgate approvals`: what people are asked to agree to, and their answers.

use http::Method;
use serde_json::{Value, json};

use super::decisions::writer;
use super::times::short_time;
use crate::cli::{Approvals, ApprovalsAnswer, ApprovalsList, Remote};
use crate::client::{Api, segment};
use crate::exit::{Exit, Failure};
use crate::json::{at, flag, list, text};
use crate::output::{Output, say, say_json, table};

pub(super) async fn run(command: Approvals) -> Result<Exit, Failure> {
    match command {
        Approvals::List(wanted) => all(&wanted).await,
        Approvals::Show { id, wait, remote } => show(&id, wait.as_deref(), &remote).await,
        Approvals::Approve(answer) => vote("approve", &answer).await,
        Approvals::Reject(answer) => vote("reject", &answer).await,
    }
}

fn query(pairs: &[(&str, Option<&str>)]) -> String {
    let given = pairs
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", segment((*value)?))));
    let given: Vec<String> = given.collect();
    if given.is_empty() {
        String::new()
    } else {
        format!("?{}", given.join("&"))
    }
}

async fn all(wanted: &ApprovalsList) -> Result<Exit, Failure> {
    let api = Api::open(&wanted.remote)?;
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    while items.len() < wanted.limit {
        let limit = (wanted.limit - items.len()).min(500).to_string();
        let query = query(&[
            ("mine", wanted.mine.then_some("true")),
            ("connection", wanted.connection.as_deref()),
            ("status", wanted.status.as_deref()),
            ("actor", wanted.actor.as_deref()),
            ("cursor", cursor.as_deref()),
            ("limit", Some(&limit)),
        ]);
        let page = api.get(&format!("/v1/approvals{query}")).await?;
        items.extend(list(&page, "/items").iter().cloned());
        cursor = at(&page, "/next").as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if wanted.remote.form.output == Output::Json {
        say_json(&json!({"items": items, "next": cursor}));
        return Ok(Exit::Done);
    }
    let mut shown = table(&[
        "id",
        "connection",
        "status",
        "what",
        "asked by",
        "missing",
        "until",
        "yours",
    ]);
    for item in &items {
        shown.add_row([
            text(item, "/id").to_owned(),
            text(item, "/connection").to_owned(),
            text(item, "/status").to_owned(),
            what(item),
            text(item, "/requester").to_owned(),
            lacking(item).join("\n"),
            short_time(text(item, "/expires_at")),
            if flag(item, "/mine") { "answer it" } else { "" }.to_owned(),
        ]);
    }
    say(shown);
    Ok(Exit::Done)
}

fn what(item: &Value) -> String {
    let record = text(item, "/record_id");
    let action = text(item, "/action");
    let verb = if action.is_empty() {
        text(item, "/kind")
    } else {
        action
    };
    format!("{verb} {} {record}", text(item, "/object"))
        .trim_end()
        .to_owned()
}

/// Whom it still takes: `1 of group finance (crm.a.b/code)`.
fn lacking(item: &Value) -> Vec<String> {
    let asked = list(item, "/agreements").iter();
    let lacking = asked.filter_map(|one| {
        let missing = at(one, "/missing").as_u64().filter(|count| *count > 0)?;
        let users = list(one, "/users").iter().filter_map(Value::as_str);
        let groups = list(one, "/groups").iter().filter_map(Value::as_str);
        let mut named: Vec<String> = users.map(str::to_owned).collect();
        named.extend(groups.map(|group| format!("group {group}")));
        Some(format!("{missing} of {}", named.join(", ")))
    });
    lacking.collect()
}

async fn show(id: &str, wait: Option<&str>, remote: &Remote) -> Result<Exit, Failure> {
    let path = format!("/v1/approvals/{}{}", segment(id), query(&[("wait", wait)]));
    let answer = Api::open(remote)?.get(&path).await?;
    match remote.form.output {
        Output::Json => say_json(&answer),
        Output::Table => print(&answer),
    }
    Ok(Exit::Done)
}

async fn vote(word: &str, answer: &ApprovalsAnswer) -> Result<Exit, Failure> {
    let wait = query(&[("wait", answer.wait.as_deref())]);
    let path = format!("/v1/approvals/{}/{word}{wait}", segment(&answer.id));
    let body = json!({"reason": answer.reason});
    let api = Api::open(&answer.remote)?;
    let told = api.call(Method::POST, &path, Some(&body)).await?;
    if answer.remote.form.output == Output::Json {
        say_json(&told);
        return Ok(Exit::Done);
    }
    let approval = at(&told, "/approval");
    let id = text(approval, "/id");
    say(match text(&told, "/result") {
        "counted" => format!(
            "counted; {id} still needs {}",
            lacking(approval).join(" and ")
        ),
        "approved" => format!("approved {id}: {}", released(approval)),
        _ => format!("rejected {id}: nothing is written"),
    });
    Ok(Exit::Done)
}

/// What an approval came to, for people.
fn released(approval: &Value) -> String {
    let operation = at(approval, "/operation_state");
    if operation.is_null() {
        let until = short_time(text(approval, "/expires_at"));
        return format!("the caller's identical request passes once, until {until}");
    }
    let why = text(operation, "/why/message");
    let why = if why.is_empty() {
        String::new()
    } else {
        format!(" ({why})")
    };
    format!(
        "operation {} is {}{why}",
        text(operation, "/id"),
        text(operation, "/state")
    )
}

fn print(item: &Value) {
    let mut head = table(&[]);
    let ended = match text(item, "/ended/how") {
        "" => String::new(),
        how => format!(
            "{how} {} {}",
            Some(text(item, "/ended/by"))
                .filter(|by| !by.is_empty())
                .map_or_else(String::new, |by| format!("by {by}")),
            short_time(text(item, "/ended/at"))
        ),
    };
    for (name, value) in [
        ("approval", text(item, "/id").to_owned()),
        ("status", text(item, "/status").to_owned()),
        ("ended", ended),
        ("connection", text(item, "/connection").to_owned()),
        ("what", what(item)),
        ("asked by", text(item, "/requester").to_owned()),
        ("purpose", text(item, "/purpose").to_owned()),
        ("until", short_time(text(item, "/expires_at"))),
        ("releases", text(item, "/release").to_owned()),
        ("written as", writer(item)),
        ("asks again for", text(item, "/replaces").to_owned()),
        ("decision", text(item, "/decision").to_owned()),
    ] {
        if !value.is_empty() {
            head.add_row([name.to_owned(), value]);
        }
    }
    if !at(item, "/operation_state").is_null() {
        head.add_row(["operation".to_owned(), released(item)]);
    }
    say(head);
    print_fields(item);
    print_agreements(item);
    for vote in list(item, "/votes") {
        let reason = text(vote, "/reason");
        let reason = if reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        };
        let (at, person) = (short_time(text(vote, "/at")), text(vote, "/person"));
        say(format!(
            "  {at}  {person} {}s{reason}",
            text(vote, "/choice")
        ));
    }
    if flag(item, "/mine") {
        let id = text(item, "/id");
        say(format!("You can answer: crmgate approvals approve {id}"));
    }
}

fn print_fields(item: &Value) {
    let fields = list(item, "/fields");
    if fields.is_empty() {
        return;
    }
    let mut shown = table(&["field", "before", "after"]);
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    for field in fields {
        shown.add_row([
            text(field, "/field").to_owned(),
            plain(at(field, "/from")),
            plain(at(field, "/to")),
        ]);
    }
    say(shown);
}

fn print_agreements(item: &Value) {
    let mut shown = table(&["agreement", "why", "of", "needed", "agreed"]);
    for one in list(item, "/agreements") {
        let words = |pointer: &str| -> Vec<String> {
            let words = list(one, pointer).iter().filter_map(Value::as_str);
            words.map(str::to_owned).collect()
        };
        let groups = words("/groups")
            .into_iter()
            .map(|group| format!("group {group}"));
        let of: Vec<String> = words("/users").into_iter().chain(groups).collect();
        shown.add_row([
            format!("{}/{}", text(one, "/package"), text(one, "/code")),
            text(one, "/reason").to_owned(),
            of.join(", "),
            at(one, "/quorum").to_string(),
            words("/agreed").join(", "),
        ]);
    }
    say(shown);
}
