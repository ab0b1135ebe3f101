//! An explanation for people.

use std::fmt::Write as _;
use std::time::Duration;

use crmgate_domain::{Enforcement, Layer, PatchOp};
use crmgate_policy::explain::{Came, Explanation, PackageTold, RuleTold, Statement};

use crate::Given;
use crate::report::{cut, seen_line};

/// A judgement that nobody waits for may take its time.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The explanation, packages that `only` names alone where it is given.
#[must_use]
pub fn text(given: &Given, explanation: &Explanation, only: Option<&str>) -> String {
    let mut page = Page(String::new());
    page.verdict(given, explanation);
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    for package in explanation.packages.iter().filter(|it| wanted(&it.package)) {
        page.package(package, explanation);
    }
    let silent: Vec<_> = explanation
        .silent
        .iter()
        .filter(|it| wanted(&it.package))
        .collect();
    if !silent.is_empty() {
        page.line(0, "did not govern");
        for one in silent {
            page.line(1, &format!("{}: {}", one.package, one.because.join("; ")));
        }
    }
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, depth: usize, text: &str) {
        // Writing to a string does not fail.
        writeln!(self.0, "{}{text}", "  ".repeat(depth)).ok();
    }

    /// One voice. What has no code has none to show.
    fn voice(&mut self, word: &str, package: &str, code: &str, message: &str) {
        let code = if code.is_empty() {
            String::new()
        } else {
            format!(" {code}")
        };
        self.line(1, &format!("{word} {package}{code}: {message}"));
    }

    fn verdict(&mut self, given: &Given, explanation: &Explanation) {
        let (operation, judgement) = (&given.operation, &explanation.judgement);
        self.line(
            0,
            &format!(
                "{} {} at the {}, connection {} ({}), {}",
                operation.kind.as_str(),
                operation.object,
                operation.point.as_str(),
                operation.connection.name,
                operation.connection.system,
                operation.at
            ),
        );
        for note in &given.notes {
            self.line(0, &format!("note: {note}"));
        }
        let (effect, revision) = (judgement.effect.as_str(), judgement.revision.short());
        self.line(0, &format!("{effect}, by revision {revision}"));
        if judgement.ungoverned {
            self.line(1, "no enforced package governs it");
        }
        for it in &judgement.reasons {
            self.voice("deny", &it.package, &it.code, &it.message);
        }
        for it in &judgement.errors {
            self.voice("error", &it.package, "", &it.message);
        }
        for it in &judgement.approvals {
            let asked: Vec<&str> = it
                .groups
                .iter()
                .chain(&it.users)
                .map(String::as_str)
                .collect();
            let reason = format!("{} ({})", it.reason, asked.join(", "));
            self.voice("approval", &it.package, &it.code, &reason);
        }
        for it in &judgement.warnings {
            self.voice("warning", &it.package, &it.code, &it.message);
        }
        for it in &judgement.dryrun {
            self.voice("dry run", &it.package, &it.code, &it.message);
        }
        for it in &judgement.patches {
            let value = it.value.to_json();
            let done = match it.op {
                PatchOp::Set => format!("set {} = {value}", it.field),
                PatchOp::Default => format!("default {} = {value}", it.field),
                PatchOp::Clear => format!("clear {}", it.field),
            };
            self.line(1, &format!("patch {}: {done}", it.package));
        }
        for it in &judgement.redactions {
            self.line(1, &format!("redact {}: {}", it.package, it.field));
        }
        self.line(0, "");
    }

    fn package(&mut self, package: &PackageTold, explanation: &Explanation) {
        let layer = match package.layer {
            Layer::Global => "global",
            Layer::Connection => "of the connection",
        };
        let counts = match package.enforcement {
            Enforcement::Enforce => "enforced",
            Enforcement::Warn => "warns only",
            Enforcement::Dryrun => "dry run",
            Enforcement::Off => "off",
        };
        let verdict = explanation.judgement.packages.iter();
        let mut verdict =
            verdict.filter(|it| it.package == package.package && it.layer == package.layer);
        let alone = verdict.next().map_or("nothing", |it| it.effect.as_str());
        self.line(
            0,
            &format!("{} ({layer}, {counts}): {alone}", package.package),
        );
        let reads = match package.reads.as_slice() {
            [] => "nothing of the record".to_owned(),
            fields => fields.join(", "),
        };
        self.line(1, &format!("reads {reads}"));
        if package.evaluations > 1 {
            let times = package.evaluations;
            self.line(1, &format!("evaluated {times} times: again after the patches; `patch` is told for the first, the others for the last"));
        }
        for rule in &package.rules {
            self.rule(1, rule);
        }
        for print in &package.prints {
            self.line(1, &format!("print: {print}"));
        }
        self.line(0, "");
    }

    fn rule(&mut self, depth: usize, rule: &RuleTold) {
        let head = format!("{} at {}:{}", rule.rule, rule.file, rule.line);
        match &rule.came {
            Came::Fired { values } => {
                let values: Vec<String> = values.iter().map(|it| cut(&it.to_json())).collect();
                self.line(depth, &format!("{head} holds: {}", values.join(" | ")));
            }
            Came::Default { value } => {
                self.line(
                    depth,
                    &format!("{head} is the default: {}", value.to_json()),
                );
            }
            Came::Undefined { saw, because } => {
                self.line(depth, &format!("{head} has no value"));
                for seen in saw {
                    self.line(depth + 1, &seen_line(seen));
                }
                for rule in because {
                    self.rule(depth + 1, rule);
                }
            }
            Came::Unfit => self.line(depth, &format!("{head} is for other arguments")),
            Came::Stopped { at, saw, because } => {
                self.line(depth, &format!("{head} stops at {}", place(at)));
                for seen in saw {
                    self.line(depth + 1, &seen_line(seen));
                }
                for rule in because {
                    self.rule(depth + 1, rule);
                }
            }
            Came::Failed { at, message, saw } => {
                let at = at.as_ref().map(|at| format!(" at {}", place(at)));
                self.line(
                    depth,
                    &format!("{head} fails{}: {message}", at.unwrap_or_default()),
                );
                for seen in saw {
                    self.line(depth + 1, &seen_line(seen));
                }
            }
        }
    }
}

fn place(at: &Statement) -> String {
    let one: Vec<&str> = at.text.split_whitespace().collect();
    format!("{}:{}: {}", at.line, at.column, cut(&one.join(" ")))
}
