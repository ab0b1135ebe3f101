//! `system.log`: what of a decision may be remembered, by rules as OPA has them.
//!
//! `mask` names what to remove or replace before a decision is recorded, `drop` says that nothing
//! of what was judged is kept. A connection's rules add to the global layer's.

use std::collections::BTreeMap;
use std::time::Duration;

use crmgate_domain::{ConnectionName, Document, Object, Timestamp};
use regorus::{Engine, Value};

use crate::clock::Now;
use crate::engines::{self, Ready};
use crate::message::Told;
use crate::rules::Members;
use crate::symbols::Symbols;
use crate::syntax::{Rule, RuleHead};
use crate::{LoadError, PolicySet, Source, value};

#[cfg(test)]
mod tests;

/// The package's name, in parts.
pub(crate) const PARTS: [&str; 2] = ["system", "log"];
/// The package's name.
pub(crate) const PACKAGE: &str = "system.log";
/// What a mask may point into.
const ROOTS: [&str; 3] = ["/input", "/result", "/nd_builtin_cache"];
/// What a spent time limit is told by.
const TIME_OUT: &str = "execution exceeded time limit";
/// More than that is a mistake, and would cost every decision.
const MOST_MASKS: usize = 10_000;

/// What a mask does with what it points at.
#[derive(Debug, Clone, PartialEq)]
pub enum MaskOp {
    /// Takes it away; it is named in the event's `erased`.
    Remove,
    /// Puts this in its place; it is named in the event's `masked`.
    Upsert(Document),
}

/// One member of `mask`.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskRule {
    /// A JSON pointer (RFC 6901) below `/input`, `/result` or `/nd_builtin_cache`.
    pub path: String,
    /// What happens there.
    pub op: MaskOp,
}

/// What the rules said about one event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogVerdict {
    /// What to mask.
    pub masks: Vec<MaskRule>,
    /// Whether nothing of what was judged may be kept.
    pub drop: bool,
}

/// Why the rules could not be asked. INVARIANT: whoever gets it keeps nothing that they might
/// have masked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{PACKAGE}` could not be evaluated: {0}")]
pub struct MaskError(String);

impl PolicySet {
    /// Whether any rule says what may be remembered of this connection's decisions.
    #[must_use]
    pub fn has_log_rules(&self, connection: &ConnectionName) -> bool {
        self.log_rules(connection).next().is_some()
    }

    /// Asks the rules of both layers about an event in OPA's form.
    ///
    /// # Errors
    /// When a rule errs, takes too long, or says what is not a mask.
    pub fn log_verdict(
        &self,
        connection: &ConnectionName,
        event: &Document,
        at: Timestamp,
        limit: Duration,
    ) -> Result<LogVerdict, MaskError> {
        let mut verdict = LogVerdict::default();
        let _now = Now::set(at);
        let event = value::from_document(event).map_err(|error| MaskError(error.to_string()))?;
        for rules in self.log_rules(connection) {
            let said = rules
                .ready
                .evaluate(event.clone(), limit, None)
                .map_err(|told| failed(&told))?;
            read(&said, &mut verdict)?;
        }
        Ok(verdict)
    }
}

impl PolicySet {
    fn log_rules(&self, connection: &ConnectionName) -> impl Iterator<Item = &LogRules> {
        let layers = self.raw_layers(Some(connection));
        layers.filter_map(|layer| layer.log.as_ref())
    }
}

/// Where it went wrong, and not how: the engine's words may quote a value.
fn failed(told: &Told) -> MaskError {
    if told.message.contains(TIME_OUT) {
        return MaskError("it did not end in time".to_owned());
    }
    MaskError(match (&told.file, told.place) {
        (Some(file), Some((line, column))) => format!("it failed at {file}:{line}:{column}"),
        _ => "it failed".to_owned(),
    })
}

fn read(said: &Value, verdict: &mut LogVerdict) -> Result<(), MaskError> {
    for drop in members(said, "drop")? {
        match drop {
            Value::Bool(drop) => verdict.drop |= drop,
            other => {
                let message = format!("`drop` is {}, expected true", value::type_name(other));
                return Err(MaskError(message));
            }
        }
    }
    for masks in members(said, "mask")? {
        let masks: Vec<&Value> = match masks {
            Value::Set(masks) => masks.iter_sorted().collect(),
            Value::Array(masks) => masks.iter().collect(),
            other => {
                let found = value::type_name(other);
                return Err(MaskError(format!("`mask` is {found}, expected a set")));
            }
        };
        if verdict.masks.len() + masks.len() > MOST_MASKS {
            let message = format!("`mask` has more than {MOST_MASKS} members");
            return Err(MaskError(message));
        }
        for mask in masks {
            verdict.masks.push(rule(mask)?);
        }
    }
    Ok(())
}

/// What one of the two rules came out as: nothing where it is undefined.
fn members<'a>(said: &'a Value, name: &str) -> Result<&'a [Value], MaskError> {
    let said = said
        .as_object()
        .map_err(|error| MaskError(error.to_string()))?;
    match said.get(&Value::from(name)) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items.as_slice()),
        Some(other) => {
            let found = value::type_name(other);
            Err(MaskError(format!("`{name}` came out as {found}")))
        }
    }
}

fn rule(mask: &Value) -> Result<MaskRule, MaskError> {
    let wrong = |message: String| MaskError(format!("a member of `mask`: {message}"));
    if let Value::String(path) = mask {
        return Ok(MaskRule {
            path: pointer(path).map_err(wrong)?,
            op: MaskOp::Remove,
        });
    }
    let members = Members::of(mask, "a pointer, or an object with `op`, `path`, `value`")
        .map_err(|error| wrong(error.0))?;
    let text = |name| members.required_text(name).map_err(|error| wrong(error.0));
    let path = pointer(&text("path")?).map_err(wrong)?;
    let op = match text("op")?.as_str() {
        "remove" => MaskOp::Remove,
        "upsert" => {
            let value = members.get("value").map_or(Ok(Document::Null), |value| {
                value::to_document(value).map_err(wrong)
            });
            MaskOp::Upsert(value?)
        }
        other => {
            let message = format!("`op` is `{other}`, expected remove or upsert");
            return Err(wrong(message));
        }
    };
    Ok(MaskRule { path, op })
}

fn pointer(path: &str) -> Result<String, String> {
    let below = |root: &str| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if ROOTS.iter().any(|root| below(root)) {
        Ok(path.to_owned())
    } else {
        // The pointer itself may be built of a value, so it is not quoted.
        Err(format!(
            "a pointer begins with none of {}",
            ROOTS.join(", ")
        ))
    }
}

/// What a layer's rules are made of.
#[derive(Debug)]
pub(crate) struct LogParts {
    rules: Vec<&'static str>,
    uses: Vec<usize>,
}

/// A layer's rules, prepared.
pub(crate) struct LogRules {
    bare: Engine,
    ready: Ready,
}

impl LogRules {
    pub(crate) fn new(
        parts: &LogParts,
        files: &[Source],
        data: &Object,
    ) -> Result<Self, LoadError> {
        let entry = entry_module(&parts.rules);
        let bare = engines::engine_of(PACKAGE, &parts.uses, files, Some(entry))?;
        Self::prepare(bare, data)
    }

    /// The same rules over other data.
    pub(crate) fn with_data(&self, data: &Object) -> Result<Self, LoadError> {
        Self::prepare(self.bare.clone(), data)
    }

    fn prepare(bare: Engine, data: &Object) -> Result<Self, LoadError> {
        let data = engines::engine_data(data)?;
        let entry = ("data.crmgate.entry.out".to_owned(), None);
        Ok(Self {
            ready: Ready::new(PACKAGE, &bare, &data, entry)?,
            bare,
        })
    }
}

/// What the rules of a layer are made of, checked for their kind; `None` where it has none.
pub(crate) fn parts(
    symbols: &Symbols<'_>,
    reach: &BTreeMap<String, Vec<usize>>,
    faults: &mut Vec<LoadError>,
) -> Option<LogParts> {
    let uses = reach.get(PACKAGE)?.clone();
    let rules = rules(symbols, faults);
    if rules.is_empty() {
        let first = uses.first().and_then(|at| symbols.modules.get(*at));
        let file = first.map_or("", |module| module.file.as_str());
        let message = format!("`{PACKAGE}` has neither `mask` nor `drop`");
        faults.push(LoadError::file("package", file, message).remedy(
            "write `mask contains \"/input/…\"`, or name a package of helpers `lib.<name>`",
        ));
    }
    Some(LogParts { rules, uses })
}

/// Which of the two rules a layer has, checked for their kind.
fn rules(symbols: &Symbols<'_>, faults: &mut Vec<LoadError>) -> Vec<&'static str> {
    let parts = PARTS.map(str::to_owned);
    let mut found = Vec::new();
    for name in ["mask", "drop"] {
        let Some(group) = symbols.group(&parts, name) else {
            continue;
        };
        found.push(name);
        for (module, rule) in symbols.rules(group) {
            let set = matches!(
                rule.node.as_ref(),
                Rule::Spec {
                    head: RuleHead::Set { .. },
                    ..
                }
            );
            let function = match rule.node.as_ref() {
                Rule::Spec { head, .. } => matches!(head, RuleHead::Func { .. }),
                Rule::Default { args, .. } => !args.is_empty(),
            };
            let wrong = function || rule.nested || (set && name == "drop");
            if !wrong {
                continue;
            }
            let file = symbols.modules.get(module).map_or("", |m| m.file.as_str());
            let expected = match name {
                "mask" => "`mask contains \"/input/…\" if { … }`",
                _ => "`drop if { … }`",
            };
            let message = format!("`{name}` of `{PACKAGE}` is of the wrong kind");
            faults.push(
                LoadError::file("reserved", file, message)
                    .at(rule.place.line, Some(rule.place.column))
                    .remedy(format!("write {expected}, or use another name")),
            );
        }
    }
    found
}

/// The generated module that evaluates the rules a layer has.
fn entry_module(rules: &[&'static str]) -> String {
    let members: Vec<String> = rules
        .iter()
        .map(|name| format!("\"{name}\": [x | x := data.{PACKAGE}.{name}]"))
        .collect();
    format!(
        "package crmgate.entry\n\nout := {{\n\t{}\n}}\n",
        members.join(",\n\t")
    )
}
