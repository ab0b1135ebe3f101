//! Tests that authors write in Rego: rules named `test_…`, as `opa test` runs them.
//!
//! A test passes when its rule is true; it fails when the rule is false or undefined, and an error
//! is an error. `todo_test_…` is skipped. Every definition is a test of its own. The clock of a
//! test stands unless it says `with time.now_ns as …`.

use std::collections::BTreeMap;
use std::time::Duration;

use crmgate_domain::{ConnectionName, Document, Object, Timestamp};
use regorus::{Engine, Value};

use crate::analysis;
use crate::clock::Now;
use crate::coverage::Tap;
use crate::engines;
use crate::explain::body::{Body, End};
use crate::explain::{Prober, Seen, Statement};
use crate::message::Told;
use crate::params::merge_plain;
use crate::symbols::Symbols;
use crate::syntax::{self, Module, Rule, RuleHead, RuleNode};
use crate::{LoadError, LoadErrors, PolicySet, Source, Sources, check};

#[cfg(test)]
mod tests;

const PREFIX: &str = "test_";
const TODO: &str = "todo_test_";
/// How long a test may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The Rego tests beside a set of policies, ready to run.
pub struct Trials {
    layers: Vec<Layer>,
    all: Vec<Trial>,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The file it is in.
    pub file: String,
    /// The line it begins at.
    pub line: u32,
    /// Its package.
    pub package: String,
    /// Its name; of several of one name all but the first have a number: `test_a#02`.
    pub name: String,
    /// Whether it waits to be written.
    pub todo: bool,
    layer: usize,
    module: usize,
    rule: usize,
    path: String,
}

/// How a test went.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is true.
    Passed,
    /// It is not.
    Failed {
        /// The first statement that does not hold, and what it looked at.
        at: Option<(Statement, Vec<Seen>)>,
    },
    /// The engine stopped.
    Error {
        /// What it told, with its place.
        message: String,
    },
    /// It waits to be written.
    Skipped,
}

/// A test that ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// How it went.
    pub outcome: Outcome,
    /// What `print` wrote, with file and line.
    pub prints: Vec<String>,
}

/// One layer with its tests.
struct Layer {
    engine: Engine,
    modules: Vec<Module>,
}

impl std::fmt::Debug for Trials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trials").field("all", &self.all).finish()
    }
}

impl Trials {
    /// Reads the tests in `tests` (see [`crate::folder::read_tests`]), and those among the policies
    /// themselves, for policies that load.
    ///
    /// # Errors
    /// Every fault of the tests' files, with file, line and remedy.
    pub fn load(set: &PolicySet, sources: &Sources, tests: &Sources) -> Result<Self, LoadErrors> {
        let mut faults = Vec::new();
        let mut trials = Self {
            layers: Vec::new(),
            all: Vec::new(),
        };
        let policies = analysis::layers(sources);
        let helpers: Vec<Source> = policies.first().map_or_else(Vec::new, |it| it.rego.clone());
        for layer in policies {
            let name: Option<ConnectionName> =
                layer.connection.as_ref().and_then(|it| it.parse().ok());
            let files = of_layer(tests, name.as_ref());
            let (policies, data) = match &name {
                None => (layer.rego, set.global_data().clone()),
                Some(name) => {
                    let shared = helpers.iter().filter(|it| it.path.starts_with("lib/"));
                    let all = layer.rego.into_iter().chain(shared.cloned()).collect();
                    let configured = sources.connections.get(name).map(|own| &own.params);
                    let mut params = layer.settings;
                    merge_plain(&mut params, configured.unwrap_or(&Object::new()));
                    let mut set_here = Object::new();
                    set_here.set("params", Document::Object(params));
                    let mut data = set.global_data().clone();
                    merge_plain(&mut data, &layer.data);
                    merge_plain(&mut data, &set_here);
                    (all, data)
                }
            };
            trials.layer(policies, files, &data, &mut faults);
        }
        match LoadErrors::new(faults) {
            Some(faults) => Err(faults),
            None => Ok(trials),
        }
    }

    /// The tests, by file and line.
    #[must_use]
    pub fn all(&self) -> &[Trial] {
        &self.all
    }

    fn layer(
        &mut self,
        policies: Vec<Source>,
        tests: Vec<Source>,
        data: &Object,
        faults: &mut Vec<LoadError>,
    ) {
        let before = faults.len();
        let mut sources = policies;
        let first = sources.len();
        sources.extend(tests);
        let mut modules = Vec::new();
        for source in &sources {
            match analysis::parse(source) {
                Ok(module) => modules.push(module),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.len() > before {
            return;
        }
        check::run(&Symbols::new(&modules), faults);
        let layer = self.layers.len();
        let mut found = Vec::new();
        let renamed = name_apart(&modules, &mut sources, &mut |module, rule, name, path| {
            let Some(at) = modules.get(module) else {
                return;
            };
            let Some(node) = at.rules.get(rule) else {
                return;
            };
            found.push(Trial {
                file: at.file.clone(),
                line: node.place.line,
                package: at.package_name(),
                todo: name.starts_with(TODO),
                name,
                layer,
                module,
                rule,
                path,
            });
        });
        faults.extend(renamed);
        if faults.len() > before || (found.is_empty() && first == sources.len()) {
            return;
        }
        match engine(&sources, data) {
            Ok(engine) => {
                found.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
                self.all.extend(found);
                self.layers.push(Layer { engine, modules });
            }
            Err(fault) => faults.push(fault),
        }
    }

    /// Runs a test.
    #[must_use]
    pub fn run(&self, trial: &Trial, tap: Option<&Tap>) -> Tried {
        let skipped = Tried {
            outcome: Outcome::Skipped,
            prints: Vec::new(),
        };
        let Some(layer) = self.layers.get(trial.layer).filter(|_| !trial.todo) else {
            return skipped;
        };
        let _now = Now::set(afternoon());
        let mut engine = layer.engine.clone();
        engines::limit(&mut engine, TIME_LIMIT);
        if let Some(tap) = tap {
            tap.watch(&mut engine);
        }
        let value = engine.eval_rule(trial.path.clone());
        let prints = engine.take_prints().unwrap_or_default();
        if let Some(tap) = tap {
            tap.take(&mut engine);
        }
        let outcome = match value {
            Ok(Value::Bool(true)) => Outcome::Passed,
            Ok(_) => Outcome::Failed {
                at: layer.stop(trial),
            },
            Err(error) => Outcome::Error {
                message: placed(&Told::read(&error)),
            },
        };
        Tried { outcome, prints }
    }
}

impl Layer {
    /// Where a test stops.
    fn stop(&self, trial: &Trial) -> Option<(Statement, Vec<Seen>)> {
        let module = self.modules.get(trial.module)?;
        let rule = module.rules.get(trial.rule)?;
        let Rule::Spec { bodies, .. } = rule.node.as_ref() else {
            return None;
        };
        let body = Body {
            module,
            given: String::new(),
            query: bodies.last()?.query.as_ref(),
        };
        match body.walk(&Prober::new(self.engine.clone())) {
            End::At(stop) => Some((stop.place, stop.saw)),
            End::Whole => None,
        }
    }
}

fn of_layer(tests: &Sources, connection: Option<&ConnectionName>) -> Vec<Source> {
    let Some(name) = connection else {
        return tests.global.clone();
    };
    let own = tests.connections.get(name).map(|own| own.files.as_slice());
    let named = own.unwrap_or_default().iter().map(|file| Source {
        path: format!("connections/{name}/{}", file.path),
        text: file.text.clone(),
    });
    named.collect()
}

fn engine(sources: &[Source], data: &Object) -> Result<Engine, LoadError> {
    let uses: Vec<usize> = (0..sources.len()).collect();
    let mut engine = engines::engine_of("tests", &uses, sources, None)?;
    engine
        .add_data(engines::engine_data(data)?)
        .map_err(|error| LoadError::file("data", "data", error.to_string()))?;
    engine.set_input(Value::Undefined);
    engines::limit(&mut engine, TIME_LIMIT);
    Ok(engine)
}

/// The moment at which tests run: a Thursday at 14:30 in UTC, as data cases.
fn afternoon() -> Timestamp {
    Timestamp::constant(1_773_325_800, 0)
}

fn placed(told: &Told) -> String {
    match (&told.file, told.place) {
        (Some(file), Some((line, column))) => format!("{file}:{line}:{column}: {}", told.message),
        _ => told.message.clone(),
    }
}

/// Gives every test a name of its own, because the engine takes several definitions of one name
/// for one rule that holds when any of them does.
fn name_apart(
    modules: &[Module],
    sources: &mut [Source],
    found: &mut dyn FnMut(usize, usize, String, String),
) -> Vec<LoadError> {
    let mut faults = Vec::new();
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for (index, module) in modules.iter().enumerate() {
        let mut edits: Vec<(usize, String)> = Vec::new();
        for (at, rule) in module.rules.iter().enumerate() {
            if !is_test(rule) {
                continue;
            }
            if rule.nested {
                faults.push(
                    LoadError::file("test", &module.file, format!("`{}` has a name of several parts, and those of which nothing came out would not be missed", rule.name))
                        .at(rule.place.line, Some(rule.place.column))
                        .remedy("go through the examples with `every`, or write a test for each"),
                );
                continue;
            }
            let package = module.package_name();
            let count = counts.entry((package.clone(), &rule.name)).or_default();
            *count += 1;
            let mut path = format!("data.{package}.{}", rule.name);
            let mut name = rule.name.clone();
            if *count > 1 {
                let number = format!("__{count}");
                name = format!("{name}#{count:02}");
                path.push_str(&number);
                let end = syntax::head_ref(&rule.node).span().end;
                edits.extend(usize::try_from(end).ok().map(|end| (end, number)));
            }
            found(index, at, name, path);
        }
        let Some(source) = sources.get_mut(index) else {
            continue;
        };
        for (end, number) in edits.into_iter().rev() {
            if source.text.is_char_boundary(end) {
                source.text.insert_str(end, &number);
            }
        }
    }
    faults
}

fn is_test(rule: &RuleNode) -> bool {
    let named = rule.name.starts_with(PREFIX) || rule.name.starts_with(TODO);
    let plain = match rule.node.as_ref() {
        Rule::Spec { head, .. } => !matches!(head, RuleHead::Func { .. }),
        Rule::Default { .. } => false,
    };
    named && plain
}
