//! The life of one operation, told to people.

use serde_json::Value;

use super::super::decisions::{headline, print_reasons, writer};
use super::super::times::short_time;
use super::list::{actor, operation};
use crate::json::{at, flag, list, text};
use crate::output::{say, table};

/// Where an operation stands, in one line.
pub(super) fn line(item: &Value) -> String {
    let why = match (text(item, "/why/code"), text(item, "/why/message")) {
        ("", _) => String::new(),
        (code, "") => format!(": {code}"),
        (code, message) => format!(": {message} ({code})"),
    };
    format!(
        "{} {} at {} is {}{why}",
        text(item, "/id"),
        operation(item),
        text(item, "/connection"),
        text(item, "/state").to_uppercase(),
    )
}

/// All that is known of it.
pub(super) fn print(life: &Value) {
    let item = at(life, "/operation");
    say(line(item));
    let mut facts = table(&[]);
    for (name, value) in facts_of(life) {
        if !value.is_empty() {
            facts.add_row([name.to_owned(), value]);
        }
    }
    say(facts);
    print_history(life);
    for decision in list(life, "/decisions") {
        let shown = at(decision, "/decision");
        let id = text(shown, "/id");
        let writer = Some(writer(decision)).filter(|writer| !writer.is_empty());
        let writer = writer.map_or_else(String::new, |writer| format!(", written as {writer}"));
        say(format!("decision {id}: {}{writer}", headline(shown)));
        print_reasons(shown);
    }
    print_hold(at(life, "/hold"));
    print_callback(life);
}

fn facts_of(life: &Value) -> Vec<(&'static str, String)> {
    let item = at(life, "/operation");
    let word = |pointer: &str| text(item, pointer).to_owned();
    let ids = |pointer: &str| {
        let ids: Vec<&str> = list(life, pointer)
            .iter()
            .filter_map(Value::as_str)
            .collect();
        ids.join(", ")
    };
    let calls = at(item, "/calls");
    vec![
        ("submission", word("/submission")),
        ("own id", word("/client_id")),
        ("by", actor(item)),
        ("submitted with token", word("/owner")),
        ("purpose", word("/purpose")),
        ("goes on at", due(item)),
        ("not wanted after", word("/expires_at")),
        ("tries that failed", number(at(item, "/attempts"))),
        ("calls to the CRM", number(calls)),
        ("waits for", ids("/depends_on")),
        ("waited for by", ids("/dependants")),
        ("with", ids("/group")),
        ("lane", word("/lane")),
        ("worked on by", word("/lease/owner")),
        ("restored", restored(item)),
        ("trace", word("/trace/trace_id")),
        ("asked", asked(item)),
    ]
}

fn due(item: &Value) -> String {
    if text(item, "/state") == "received" && text(item, "/due") > text(item, "/updated_at") {
        text(item, "/due").to_owned()
    } else {
        String::new()
    }
}

fn number(value: &Value) -> String {
    match value.to_string().as_str() {
        "0" | "null" => String::new(),
        other => other.to_owned(),
    }
}

fn restored(item: &Value) -> String {
    if flag(item, "/restored") {
        "it was open when a backup was put back".to_owned()
    } else {
        String::new()
    }
}

fn asked(item: &Value) -> String {
    match at(item, "/request") {
        Value::Null => String::new(),
        request => request.to_string(),
    }
}

fn print_history(life: &Value) {
    let mut shown = table(&["at", "state", "by", "why"]);
    for entry in list(life, "/history") {
        let why = match (text(entry, "/why/code"), text(entry, "/why/message")) {
            ("", message) | (message, "") => message.to_owned(),
            (code, message) => format!("{message} ({code})"),
        };
        shown.add_row([
            // Moves follow each other in less than a second.
            text(entry, "/at")
                .get(..23)
                .map_or_else(|| short_time(text(entry, "/at")), |at| at.replace('T', " ")),
            text(entry, "/to").to_owned(),
            text(entry, "/by").to_owned(),
            why,
        ]);
    }
    say(shown);
}

fn print_hold(hold: &Value) {
    if hold.is_null() {
        return;
    }
    say(format!(
        "hold {}: {}, until {}",
        text(hold, "/id"),
        text(hold, "/status"),
        short_time(text(hold, "/expires_at")),
    ));
    for approval in list(hold, "/approvals") {
        let names = |pointer: &str| {
            let names = list(approval, pointer).iter();
            names
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        };
        say(format!(
            "  needs {} of {} {}: {}",
            at(approval, "/quorum"),
            names("/users"),
            names("/groups"),
            text(approval, "/reason"),
        ));
    }
}

fn print_callback(life: &Value) {
    let url = text(life, "/operation/callback/url");
    if url.is_empty() {
        return;
    }
    let tries = list(life, "/callback/tries");
    let delivered = !at(life, "/callback/delivered").is_null();
    let word = match (delivered, tries.len()) {
        (true, _) => "was told",
        (false, 0) => "will be told",
        (false, _) => "could not be told yet",
    };
    say(format!("{url} {word}"));
    for one in tries {
        let status = number(at(one, "/status"));
        say(format!(
            "  {} {status} {}",
            short_time(text(one, "/at")),
            text(one, "/problem"),
        ));
    }
}
