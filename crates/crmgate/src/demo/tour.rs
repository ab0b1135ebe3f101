//! The tour: real requests through the real gateway, told so that nobody needs to know Rego.

use futures::future::BoxFuture;
use serde_json::Value;

use super::setup::Scene;
use crate::output::{say, table};

mod changing;
mod judging;
mod observing;
mod queued;
mod record;
mod stage;

use stage::Stage;

/// What happened in a step.
struct Told {
    /// What a client sent.
    sent: String,
    /// What came of it, in a few words for the table.
    result: &'static str,
    /// What came of it.
    happened: String,
    /// Why.
    why: String,
    /// The recorded decision it is about.
    decision: String,
}

/// One step: what it shows, and how it is done.
struct Step {
    title: &'static str,
    play: for<'a> fn(&'a Stage) -> BoxFuture<'a, Result<Told, String>>,
}

macro_rules! step {
    ($title:literal, $play:path) => {
        Step {
            title: $title,
            play: |stage| Box::pin($play(stage)),
        }
    };
}

const STEPS: [Step; 13] = [
    step!(
        "A good contact is created in Salesforce",
        judging::salesforce_create
    ),
    step!(
        "The same team's rules let one into Dynamics",
        judging::dynamics_create
    ),
    step!(
        "A contact with a throw-away e-mail address is denied",
        judging::denied
    ),
    step!(
        "A phone number is changed to E.164 before it is saved",
        judging::patched
    ),
    step!(
        "A client without the right OAuth scope is refused",
        judging::scope_refused
    ),
    step!("A rule looks at the stored record", judging::stage_rule),
    step!(
        "A large discount is held until people agree",
        changing::held
    ),
    step!(
        "An import is handed over: decided, held, written once",
        queued::handed_over
    ),
    step!(
        "A policy is edited on disk, and is in force at once",
        changing::edited
    ),
    step!("A dry-run policy only records", changing::dry_run),
    step!(
        "Observe first: everything passes, and is counted",
        observing::observe
    ),
    step!("Then enforce: the same traffic, judged", observing::enforce),
    step!(
        "The record of all this proves that nobody changed it",
        record::verified
    ),
];

/// Plays all steps and tells each as it goes. Afterwards everything is as it was before.
///
/// # Errors
/// The steps that did not go as told.
pub(super) async fn play(facts: &Value, scene: &Scene) -> Result<(), String> {
    let stage = Stage::new(facts, scene)?;
    say(INTRODUCTION);
    let mut rows = table(&["", "step", "what happened", "decision"]);
    let mut failed = Vec::new();
    for (index, step) in STEPS.iter().enumerate() {
        let number = index + 1;
        say(format!("\n{number:>2}. {}", step.title));
        match (step.play)(&stage).await {
            Ok(told) => {
                for (name, text) in [
                    ("sent", &told.sent),
                    ("happened", &told.happened),
                    ("why", &told.why),
                    ("decision", &told.decision),
                ] {
                    tell(name, text);
                }
                rows.add_row([
                    format!("{number}"),
                    step.title.to_owned(),
                    told.result.to_owned(),
                    told.decision,
                ]);
            }
            Err(problem) => {
                tell("FAILED", &problem);
                let result = format!("FAILED: {problem}");
                rows.add_row([
                    format!("{number}"),
                    step.title.to_owned(),
                    result,
                    String::new(),
                ]);
                failed.push(format!("step {number}, {}: {problem}", step.title));
            }
        }
    }
    say("");
    say(rows);
    if let Err(problem) = stage.clear().await {
        failed.push(format!("clearing up: {problem}"));
    }
    if failed.is_empty() {
        say(format!(
            "All {} steps went as told. Every decision was on disk before the CRM saw the write.",
            STEPS.len()
        ));
        Ok(())
    } else {
        Err(failed.join("\n"))
    }
}

const INTRODUCTION: &str = "\
crmgate stands between client programs and a CRM. Every write is held against rules, the policies,
that the company's teams wrote; only then does it go on, is changed first, waits for people, or is
refused. Here it stands before a simulated Salesforce and a simulated Dynamics 365. What follows are
real requests over HTTPS, as any client of these CRMs sends them.";

/// One fact of a step, further lines aligned.
fn tell(name: &str, text: &str) {
    for (index, line) in text.lines().enumerate() {
        let name = if index == 0 { name } else { "" };
        say(format!("    {name:<9} {line}"));
    }
}
