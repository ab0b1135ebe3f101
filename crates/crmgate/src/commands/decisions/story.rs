//! One decision, told to people.

use crmgate_decision_log::REDACTED;
use serde_json::Value;

use crate::json::{at, flag, list, text};
use crate::output::{say, say_json, table};

/// All that is known of a decision; with `input`, also what was judged.
pub(super) fn print(shown: &Value, input: bool) {
    let decision = at(shown, "/decision");
    say(headline(decision));
    print_reasons(decision);
    let mut facts = table(&[]);
    for (name, value) in facts_of(shown) {
        if !value.is_empty() {
            facts.add_row([name.to_owned(), value]);
        }
    }
    say(facts);
    print_packages(decision);
    if input {
        print_input(shown);
    }
}

fn facts_of(shown: &Value) -> Vec<(&'static str, String)> {
    let decision = at(shown, "/decision");
    let word = |value: &Value, pointer: &str| text(value, pointer).to_owned();
    vec![
        ("decision", word(decision, "/id")),
        ("at", word(decision, "/at")),
        ("connection", word(shown, "/connection")),
        ("operation", operation(shown)),
        ("by", actor(shown)),
        ("point", word(shown, "/operation/point")),
        ("purpose", word(shown, "/operation/purpose")),
        ("mode", word(decision, "/mode")),
        ("let through by", word(shown, "/basis")),
        ("written as", writer(shown)),
        ("changed", words(list(shown, "/changed"))),
        ("hold", word(shown, "/hold")),
        ("outcome", outcome(shown)),
        ("judged", rounds(shown)),
        ("policies", word(decision, "/revision")),
        ("payload", payload(shown)),
        ("masked", masked(shown)),
        ("input hash", word(shown, "/input_hash")),
        ("payload hash", word(shown, "/payload_hash")),
        ("place", place(shown)),
        ("hash", word(shown, "/chained/hash")),
        ("trace", word(shown, "/trace/trace_id")),
    ]
}

fn rounds(shown: &Value) -> String {
    match at(shown, "/round").as_u64() {
        Some(before) if before > 0 => format!("{} times: the record had changed", before + 1),
        _ => String::new(),
    }
}

fn payload(shown: &Value) -> String {
    let words = match text(shown, "/payload/state") {
        "kept" => "kept: `--input` shows it",
        "off" => "what was judged is not kept",
        "dropped" => "dropped by a rule of `system.log`",
        "mask_failed" => "dropped: the masks could not be evaluated",
        "erased" => "ERASED on request: texts and values are gone",
        "expired" => "removed: the time to keep it is over",
        other => other,
    };
    words.to_owned()
}

fn masked(shown: &Value) -> String {
    let mut all = list(shown, "/payload/erased").to_vec();
    all.extend_from_slice(list(shown, "/payload/masked"));
    words(&all)
}

fn place(shown: &Value) -> String {
    match text(shown, "/chained/chain") {
        "" => at(shown, "/sequence").to_string(),
        chain => format!(
            "{} (link {} of chain {chain})",
            at(shown, "/sequence"),
            at(shown, "/chained/link")
        ),
    }
}

fn print_input(shown: &Value) {
    let input = text(shown, "/payload/input");
    match serde_json::from_str::<Value>(input) {
        Ok(input) => say_json(&input),
        Err(_) => say("what was judged is not there"),
    }
}

/// Under whose name something is written, where it is not the caller's own token.
pub(in crate::commands) fn writer(item: &Value) -> String {
    match at(item, "/written_as") {
        Value::Null => String::new(),
        Value::String(_) => "the connection's own user".to_owned(),
        _ => format!("the caller, user {}", text(item, "/written_as/user")),
    }
}

/// What was decided, in one line.
pub(in crate::commands) fn headline(decision: &Value) -> String {
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
pub(in crate::commands) fn print_reasons(decision: &Value) {
    let lines = [
        ("/reasons", "denied"),
        ("/approvals", "needs agreement"),
        ("/errors", "error"),
        ("/warnings", "warning"),
        ("/dryrun", "dry-run, only recorded"),
    ];
    for (pointer, word) in lines {
        for reason in list(decision, pointer) {
            let mut message = [text(reason, "/message"), text(reason, "/reason")].concat();
            if message.is_empty() {
                "(the text is gone)".clone_into(&mut message);
            }
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
    for granted in list(decision, "/approved") {
        let by: Vec<&str> = list(granted, "/by")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        say(format!(
            "  agreed: {}/{} by {}, in {}",
            text(granted, "/package"),
            text(granted, "/code"),
            by.join(", "),
            text(granted, "/hold")
        ));
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
pub(super) fn came_of(item: &Value) -> String {
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
pub(super) fn why(decision: &Value) -> String {
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

pub(super) fn operation(item: &Value) -> String {
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

pub(super) fn actor(item: &Value) -> String {
    let name = text(item, "/operation/actor/username");
    // A name that a mask hides tells nobody apart; the id does.
    if name.is_empty() || name == REDACTED {
        let id = text(item, "/operation/actor/id");
        let id = if id.is_empty() {
            text(item, "/asked_by")
        } else {
            id
        };
        id.to_owned()
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
