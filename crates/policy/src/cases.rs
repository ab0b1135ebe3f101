//! Data cases: an operation in, a decision and its reasons out, written by people who need not
//! know Rust, and valid for every CRM because they speak canonical names and values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crmgate_domain::candidate::PlainCandidate;
use crmgate_domain::{
    Actor, BatchInfo, Candidate, Change, ConnectionName, ConnectionRef, Document, Effect, Kind,
    Object, Operation, Point, RedactionMode, Timestamp, Views,
};
use serde::Deserialize;

use crate::coverage::{Coverage, Tap};
use crate::{JudgeOptions, LoadError, PolicySet, Source, Sources, Ungoverned};

mod compare;
mod fault;
mod prepared;
#[cfg(test)]
mod tests;

pub use compare::Difference;
pub use fault::nearest;
pub use prepared::Prepared;

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The line at which it begins, where it was read from a file.
    #[serde(skip)]
    pub line: Option<u32>,
    /// What it shows, in a line.
    pub name: String,
    /// What the operation does.
    pub operation: Kind,
    /// The object, by its canonical name.
    pub object: String,
    /// The connection it comes by; one of its kind of CRM where none is named.
    #[serde(default)]
    pub connection: Option<ConnectionName>,
    /// Where it meets crmgate.
    #[serde(default = "gateway")]
    pub point: Point,
    /// When it does.
    #[serde(default = "an_afternoon")]
    pub at: Timestamp,
    /// Who asks.
    #[serde(default)]
    pub actor: Who,
    /// The fields that the write carries: the whole record of a create, what an update changes.
    #[serde(default)]
    pub record: Object,
    /// The stored record.
    #[serde(default)]
    pub before: Option<Object>,
    /// Related records, by relation.
    #[serde(default)]
    pub related: Object,
    /// The name of an action.
    #[serde(default)]
    pub action: Option<String>,
    /// The arguments of an action.
    #[serde(default)]
    pub arguments: Option<Object>,
    /// How many operations the batch has that it is part of.
    #[serde(default)]
    pub batch: Option<usize>,
    /// Why the operation is asked for.
    #[serde(default)]
    pub purpose: Option<String>,
    /// Parameters that differ from the pack's, shaped as `data.params`.
    #[serde(default)]
    pub params: Object,
    /// What happens when no package governs.
    #[serde(default)]
    pub ungoverned: Policy,
    /// What must come out.
    pub expect: Expect,
}

/// What happens when no package governs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// It passes.
    Allow,
    /// It is refused.
    #[default]
    Deny,
}

/// Who asks, in a case.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Who {
    /// The CRM's id of the user.
    pub id: Option<String>,
    /// Login name.
    pub username: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Roles by name.
    pub roles: Vec<String>,
    /// Groups by name.
    pub groups: Vec<String>,
    /// OAuth scopes; absent when they are not known.
    pub scopes: Option<Vec<String>>,
    /// The client program.
    pub client: Option<String>,
}

/// What must come out. A list that is left out must be empty, except the last three.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The effect.
    pub effect: Effect,
    /// The codes of the refusals.
    #[serde(default)]
    pub codes: Vec<String>,
    /// The codes of the warnings.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The patched fields with their values.
    #[serde(default)]
    pub patches: BTreeMap<String, Document>,
    /// The agreements that are needed, by code, with the groups asked.
    #[serde(default)]
    pub approvals: BTreeMap<String, Vec<String>>,
    /// Texts that evaluation errors contain, one for each.
    #[serde(default)]
    pub errors: Vec<String>,
    /// What is hidden.
    #[serde(default)]
    pub redactions: BTreeMap<String, RedactionMode>,
    /// Texts that some reason or warning contains.
    #[serde(default)]
    pub messages: Vec<String>,
    /// The codes that dry runs record; not looked at when left out.
    #[serde(default)]
    pub dryrun: Option<Vec<String>>,
    /// The packages that govern; not looked at when left out.
    #[serde(default)]
    pub packages: Option<Vec<String>>,
}

/// A kind of CRM to run cases for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Its name: `connection.system` of the input.
    pub name: String,
    /// The connection that operations come by.
    pub connection: ConnectionName,
    /// An id as its records have.
    pub record_id: String,
    /// Its own names of canonical objects; one that is missing is called as in the case.
    #[serde(default)]
    pub native_objects: BTreeMap<String, String>,
}

/// How a case went on one CRM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// The case.
    pub name: String,
    /// The kind of CRM it was run for.
    pub system: String,
    /// The line of the case in its file.
    pub line: Option<u32>,
    /// Where what came out differs from what must. Empty when the case passed.
    pub differences: Vec<Difference>,
    /// What the packages said.
    pub said: Vec<String>,
}

impl CaseReport {
    /// Whether all came out as it must.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

impl fmt::Display for CaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.passed() { "ok" } else { "FAILED" };
        write!(f, "{mark} {} ({})", self.name, self.system)?;
        for difference in &self.differences {
            write!(f, "\n  {difference}")?;
        }
        if !self.passed() {
            for said in &self.said {
                write!(f, "\n  said: {said}")?;
            }
        }
        Ok(())
    }
}

/// Reads a file of cases: a list.
///
/// # Errors
/// When it is not YAML, or a case has an unknown key, lacks one or has a value that can't be.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, LoadError> {
    let mut cases: Vec<Case> =
        yaml_serde::from_str(text).map_err(|error| fault::of(file, &error))?;
    let lines = fault::items(text);
    // A list that is laid out in another way has no lines to tell.
    if lines.len() == cases.len() {
        for (case, line) in cases.iter_mut().zip(lines) {
            case.line = Some(line);
        }
    }
    Ok(cases)
}

/// Runs a case for every system.
#[must_use]
pub fn run(set: &PolicySet, case: &Case, systems: &[System]) -> Vec<CaseReport> {
    let prepared = Prepared::new(set, case);
    let report = |system| prepared.report(system, None);
    systems.iter().map(report).collect()
}

/// Runs cases for every system and tells which lines of the policies they reached.
#[must_use]
pub fn run_all(set: &PolicySet, cases: &[Case], systems: &[System]) -> (Vec<CaseReport>, Coverage) {
    let tap = Tap::covering();
    let mut reports = Vec::new();
    for case in cases {
        let prepared = Prepared::new(set, case);
        reports.extend(systems.iter().map(|it| prepared.report(it, Some(&tap))));
    }
    (reports, tap.done())
}

impl Case {
    /// What is judged for one kind of CRM.
    #[must_use]
    pub fn ask(&self, system: &System) -> (Operation, Arc<dyn Candidate>, JudgeOptions) {
        let candidate: Arc<dyn Candidate> = Arc::new(PlainCandidate::new(views(self)));
        let options = JudgeOptions {
            ungoverned: match self.ungoverned {
                Policy::Allow => Ungoverned::Allow,
                Policy::Deny => Ungoverned::Deny,
            },
            // A slow machine must not fail a case.
            time_limit: std::time::Duration::from_secs(10),
            ..JudgeOptions::at(self.point)
        };
        (operation(self, system), candidate, options)
    }
}

/// The whole policy input of a case on one kind of CRM, as
/// `policies/schema/input.schema.json` describes it.
///
/// # Errors
/// When the case holds a number that the engine can't.
pub fn input(case: &Case, system: &System) -> Result<Document, LoadError> {
    let fault = |why: String| LoadError::file("case", &case.name, why);
    let options = JudgeOptions::at(case.point);
    let input = crate::input::whole(&operation(case, system), &views(case), &options);
    let input = input.map_err(|error| fault(error.to_string()))?;
    crate::value::to_document(&input).map_err(fault)
}

/// The sources by which a pack's cases are judged: the pack's own, and every folder that has no
/// policy of its own, only helpers (`lib`) or data.
#[must_use]
pub fn pack(sources: &Sources, pack: &str) -> Sources {
    let folder = |source: &Source| source.path.split('/').next().unwrap_or_default().to_owned();
    let policy = |source: &Source| {
        let mut lines = source.text.lines();
        source.path.ends_with(".rego") && lines.any(|line| line.starts_with("package crm."))
    };
    let packs: BTreeSet<String> =
        (sources.global.iter().filter(|it| policy(it)).map(folder)).collect();
    let mut alone = sources.clone();
    alone.connections.clear();
    alone.global.retain(|source| {
        let folder = folder(source);
        folder == pack || !packs.contains(&folder)
    });
    alone
}

fn gateway() -> Point {
    Point::Gateway
}

/// A Thursday at 14:30 in UTC.
fn an_afternoon() -> Timestamp {
    Timestamp::constant(1_773_325_800, 0)
}

fn views(case: &Case) -> Views {
    let mut record = case.before.clone().unwrap_or_default();
    let mut changes = BTreeMap::new();
    for (name, to) in case.record.iter() {
        let from = case.before.as_ref().and_then(|before| before.get(name));
        if from != Some(to) {
            let change = Change {
                from: from.cloned(),
                to: to.clone(),
            };
            changes.insert(name.to_owned(), change);
        }
        record.set(name, to.clone());
    }
    let gone = case.operation == Kind::Delete;
    Views {
        record: (!gone).then_some(record),
        native: (!gone).then(Object::new),
        before: case.before.clone(),
        native_before: case.before.as_ref().map(|_| Object::new()),
        changes: if gone { BTreeMap::new() } else { changes },
        related: case.related.clone(),
        ..Views::default()
    }
}

fn operation(case: &Case, system: &System) -> Operation {
    let native = system.native_objects.get(&case.object);
    let who = &case.actor;
    Operation {
        id: crmgate_domain::OperationId::fresh(&Still(case.at)),
        kind: case.operation,
        requested: None,
        point: case.point,
        at: case.at,
        connection: ConnectionRef {
            name: (case.connection.as_ref())
                .unwrap_or(&system.connection)
                .clone(),
            system: system.name.clone(),
            org: None,
        },
        object: case.object.clone(),
        native_object: native.unwrap_or(&case.object).clone(),
        record_id: (case.operation != Kind::Create).then(|| system.record_id.clone()),
        actor: Actor {
            id: who.id.clone().unwrap_or_else(|| "somebody".to_owned()),
            username: who.username.clone(),
            email: who.email.clone(),
            roles: who.roles.clone(),
            groups: who.groups.clone(),
            scopes: who.scopes.clone(),
            client: who.client.clone(),
            on_behalf_of: None,
        },
        request: None,
        purpose: case.purpose.clone(),
        batch: case.batch.map(|size| BatchInfo {
            id: "batch".to_owned(),
            index: 0,
            size,
            atomic: false,
        }),
        name: case.action.clone(),
        arguments: case.arguments.clone(),
        relation: None,
    }
}

/// A clock that stands and a die that falls on zero: cases come out the same every time.
struct Still(Timestamp);

impl crmgate_domain::Ambient for Still {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn random(&self) -> [u8; 16] {
        [0; 16]
    }
}
