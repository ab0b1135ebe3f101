//! How many ended how, and why.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::exit_of;
use crate::exit::Exit;
use crate::json::{at, list, text};
use crate::output::{Output, say, say_json, table};

/// A submission's tally as a table.
pub(super) fn print(state: &Value) {
    let mut shown = table(&["outcome", "reason", "operations"]);
    for entry in list(state, "/tally") {
        shown.add_row([
            text(entry, "/state").to_owned(),
            text(entry, "/code").to_owned(),
            at(entry, "/count").to_string(),
        ]);
    }
    say(shown);
}

/// What a submission ends a command with: only success is success.
pub(super) fn exit(state: &Value) -> Exit {
    let exits = list(state, "/tally")
        .iter()
        .map(|entry| exit_of(text(entry, "/state")));
    worst(exits)
}

fn worst(exits: impl Iterator<Item = Exit>) -> Exit {
    exits.fold(Exit::Done, |worst, exit| match (worst, exit) {
        (Exit::No, _) | (_, Exit::No) => Exit::No,
        (Exit::Held, _) | (_, Exit::Held) => Exit::Held,
        _ => Exit::Done,
    })
}

/// How many would be decided how.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<(String, String), u64>);

impl Tally {
    pub(super) fn add(&mut self, effect: &str, code: &str) {
        let key = (effect.to_owned(), code.to_owned());
        *self.0.entry(key).or_default() += 1;
    }

    /// Tells it: what it ends the command with.
    pub(super) fn tell(&self, output: Output) -> Exit {
        let tally: Vec<Value> = self
            .0
            .iter()
            .map(|((effect, code), count)| json!({"state": effect, "code": code, "count": count}))
            .collect();
        let all = json!({"tally": tally});
        if output == Output::Json {
            say_json(&all);
        } else {
            print(&all);
        }
        worst(self.0.keys().map(|(effect, _)| match effect.as_str() {
            "allow" => Exit::Done,
            "require_approval" => Exit::Held,
            _ => Exit::No,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_success_is_success() {
        let state = |states: &[&str]| {
            let tally: Vec<Value> = states
                .iter()
                .map(|state| json!({"state": state, "count": 1}))
                .collect();
            exit(&json!({"tally": tally}))
        };
        assert_eq!(state(&["succeeded"]), Exit::Done);
        assert_eq!(state(&[]), Exit::Done);
        assert_eq!(state(&["succeeded", "held"]), Exit::Held);
        for bad in [
            "denied",
            "refused",
            "dead",
            "cancelled",
            "expired",
            "rejected",
            "uncertain",
        ] {
            assert_eq!(state(&["held", bad, "succeeded"]), Exit::No, "{bad}");
        }
    }
}
