//! The engines of one layer.
//!
//! Every package has an engine of its own, with the files it uses and no others: what an
//! evaluation costs the engine grows with the number of files it holds. And all of them exist
//! once for each thread: threads that evaluate one policy, or clones of it, wait for each other's
//! reference counts, a fifth of the time with two of them.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crmgate_domain::{Object, Timestamp};
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use crate::coverage::Tap;
use crate::load::progress;
use crate::looks::Table;
use crate::message::{self, Told};
use crate::package::{ENTRY_FILE, Package};
use crate::rules::Reserved;
use crate::{LoadError, Source, bounds, clock, value};

/// A time-out is looked for every so many steps of the engine.
const CHECK_EVERY: NonZeroU32 = NonZeroU32::MIN.saturating_add(63);

/// How long a package may think about an empty record before its author is told.
const TRY_FOR: Duration = Duration::from_millis(50);

/// An input with nothing in it.
const NOTHING: &str = r#"{
    "operation": {"kind": "create", "point": "gateway", "id": "", "at": "1970-01-01T00:00:00Z"},
    "connection": {"name": "", "system": ""}, "object": "", "native_object": "", "id": null,
    "actor": {"id": "", "roles": [], "groups": [], "scopes": []}, "request": null,
    "purpose": null, "record": {}, "native": {}, "before": null, "changes": {}, "related": {},
    "approvals": [], "exceptions": []
}"#;

/// More threads than that share.
const MOST_THREADS: usize = 8;

/// The engines of a layer's packages, for every thread.
pub(crate) struct Engines {
    first: ForThread,
    others: Vec<ForThread>,
}

/// What one thread uses. Nothing in it is shared with another's.
pub(crate) struct ForThread {
    /// Policies without data, from which engines for other data are made; one per package.
    bare: Vec<Engine>,
    /// One per package.
    ready: Vec<Ready>,
    /// What the packages look at.
    pub(crate) looks: Table,
}

/// A package's engine and what to evaluate in it.
pub(crate) struct Ready {
    /// Prepared and never evaluated: to be cloned.
    fresh: Engine,
    /// A clone that was used and is as good as new: what an evaluation leaves in it, the next
    /// clears, and it has its memory already.
    used: Mutex<Option<Engine>>,
    /// After how many steps a time-out is looked for.
    check_every: NonZeroU32,
    /// The path of the rule.
    entry: String,
    /// The reserved rule it is; `None` for the generated one over all of them.
    pub(crate) only: Option<Reserved>,
}

impl Engines {
    /// Prepares a layer's packages for so many threads.
    pub(crate) fn new(
        packages: &[Package],
        uses: &[Vec<usize>],
        files: &[Source],
        data: &Object,
        threads: usize,
    ) -> Result<Self, LoadError> {
        let one = || {
            let bare = packages.iter().zip(uses);
            let bare = bare.map(|(package, uses)| {
                progress::at("preparing", package.first_file());
                bare_engine(package, uses, files)
            });
            ForThread::new(bare.collect::<Result<_, _>>()?, data, packages)
        };
        Ok(Self {
            first: one()?,
            others: (1..threads.min(MOST_THREADS))
                .map(|_| one())
                .collect::<Result<_, _>>()?,
        })
    }

    /// The same policies over other data.
    pub(crate) fn with_data(&self, data: &Object, packages: &[Package]) -> Result<Self, LoadError> {
        let one = |other: &ForThread| ForThread::new(other.bare.clone(), data, packages);
        Ok(Self {
            first: one(&self.first)?,
            others: self.others.iter().map(one).collect::<Result<_, _>>()?,
        })
    }

    /// Evaluates every package over an empty record, telling which one it is at. What comes of it
    /// does not matter, only that it comes to an end.
    pub(crate) fn try_out(&self, packages: &[Package]) {
        let _now = clock::Now::set(Timestamp::UNIX_EPOCH);
        let Ok(input) = Value::from_json_str(NOTHING) else {
            return;
        };
        for (ready, package) in self.first.ready.iter().zip(packages) {
            progress::at("trying", package.first_file());
            let said = ready.evaluate(input.clone(), TRY_FOR, None);
            if said.is_err_and(|told| told.is_time_out()) {
                progress::at("slow", package.first_file());
            }
        }
    }

    /// How many threads they are for.
    pub(crate) const fn threads(&self) -> usize {
        self.others.len() + 1
    }

    /// Those of this thread.
    pub(crate) fn mine(&self) -> &ForThread {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
        }
        let number = NUMBER.with(|number| number % self.threads());
        self.others.get(number).unwrap_or(&self.first)
    }
}

impl ForThread {
    /// Adds the data and has every engine check and schedule its rules, so that clones need not.
    fn new(bare: Vec<Engine>, data: &Object, packages: &[Package]) -> Result<Self, LoadError> {
        let data = engine_data(data)?;
        let ready = bare.iter().zip(packages).map(|(bare, package)| {
            let mut ready = Ready::new(&package.name, bare, &data, package.entry())?;
            if package.heavy {
                ready.check_every = NonZeroU32::MIN;
            }
            Ok(ready)
        });
        let ready = ready.collect::<Result<_, LoadError>>()?;
        Ok(Self {
            bare,
            ready,
            looks: Table::new(packages.iter().map(|package| &package.looks)),
        })
    }

    /// A package's engine.
    pub(crate) fn ready(&self, package: usize) -> Option<&Ready> {
        self.ready.get(package)
    }
}

/// Data as engines hold it.
pub(crate) fn engine_data(data: &Object) -> Result<Value, LoadError> {
    value::from_object(data).map_err(|error| LoadError::file("data", "data", error.to_string()))
}

impl Ready {
    /// Adds data to a clone of an engine, and has it check and schedule its rules.
    pub(crate) fn new(
        name: &str,
        bare: &Engine,
        data: &Value,
        (entry, only): (String, Option<Reserved>),
    ) -> Result<Self, LoadError> {
        let mut engine = bare.clone();
        engine
            .add_data(data.clone())
            .map_err(|error| LoadError::file("data", "data", error.to_string()))?;
        engine.set_input(Value::new_object());
        engine
            .compile_with_entrypoint(&entry.as_str().into())
            .map_err(|error| message::prepare(name, &error))?;
        Ok(Self {
            fresh: engine,
            used: Mutex::new(None),
            check_every: CHECK_EVERY,
            entry,
            only,
        })
    }

    /// Evaluates the package's rule.
    pub(crate) fn evaluate(
        &self,
        input: Value,
        time: Duration,
        tap: Option<&Tap>,
    ) -> Result<Value, Told> {
        let mut engine = self.take();
        if let Some(tap) = tap {
            tap.watch(&mut engine);
        }
        engine.set_input(input);
        limit_every(&mut engine, time, self.check_every);
        let evaluated = guarded(|| engine.eval_rule(self.entry.clone()));
        match tap {
            Some(tap) => tap.take(&mut engine),
            // Where something went wrong, who knows what stayed behind.
            None if evaluated.is_ok() => self.give_back(engine),
            None => {}
        }
        evaluated
    }

    /// The values of rules for an input, one after the other in an engine of their own.
    pub(crate) fn values(
        &self,
        input: &Value,
        time: Duration,
        paths: &[String],
    ) -> Result<Vec<Value>, Told> {
        let mut engine = self.engine(input.clone(), time);
        let value = |path: &String| engine.eval_rule(path.clone());
        let values: Result<Vec<Value>, _> = paths.iter().map(value).collect();
        values.map_err(|error| Told::read(&error))
    }

    /// An engine of its own with an input, for questions beside the package's rules.
    pub(crate) fn engine(&self, input: Value, time: Duration) -> Engine {
        let mut engine = self.fresh.clone();
        engine.set_input(input);
        limit(&mut engine, time);
        engine
    }

    /// The path of the package's rule.
    pub(crate) fn path(&self) -> &str {
        &self.entry
    }

    fn take(&self) -> Engine {
        let used = self.used.lock().map_or(None, |mut used| used.take());
        used.unwrap_or_else(|| self.fresh.clone())
    }

    fn give_back(&self, mut engine: Engine) {
        // Nothing of a caller's stays longer than it must.
        engine.set_input(Value::Undefined);
        if engine.take_prints().is_ok() {
            *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(engine);
        }
    }
}

/// Evaluates; a panic of the engine's own is one more error.
fn guarded<E: std::fmt::Display>(
    evaluate: impl FnOnce() -> Result<Value, E>,
) -> Result<Value, Told> {
    // What the panic leaves half done is in the engine, which nobody uses again.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(evaluate)) {
        Ok(evaluated) => evaluated.map_err(|error| Told::read(&error)),
        Err(_) => Err(Told {
            file: None,
            place: None,
            message: "the engine broke off".into(),
        }),
    }
}

/// Ends what takes longer.
pub(crate) fn limit(engine: &mut Engine, time: Duration) {
    limit_every(engine, time, CHECK_EVERY);
}

fn limit_every(engine: &mut Engine, limit: Duration, check_interval: NonZeroU32) {
    bounds::begin();
    engine.set_execution_timer_config(ExecutionTimerConfig {
        limit,
        check_interval,
    });
}

/// An engine with a package's files and no data.
fn bare_engine(package: &Package, uses: &[usize], files: &[Source]) -> Result<Engine, LoadError> {
    engine_of(&package.name, uses, files, package.entry_module())
}

/// An engine with some files, a generated module where there is one, and no data.
pub(crate) fn engine_of(
    name: &str,
    uses: &[usize],
    files: &[Source],
    entry: Option<String>,
) -> Result<Engine, LoadError> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    // Otherwise `print` writes to standard error.
    engine.set_gather_prints(true);
    clock::install(&mut engine).map_err(|error| message::prepare("clock", &error))?;
    bounds::install(&mut engine).map_err(|error| message::prepare("functions", &error))?;
    for file in uses.iter().filter_map(|index| files.get(*index)) {
        engine
            .add_policy(file.path.clone(), file.text.clone())
            .map_err(|error| message::syntax(&file.path, &error))?;
    }
    if let Some(entry) = entry {
        engine
            .add_policy(ENTRY_FILE.into(), entry)
            .map_err(|error| message::prepare(name, &error))?;
    }
    Ok(engine)
}

#[cfg(test)]
mod tests {
    use crmgate_domain::{Effect, Kind};

    use super::*;
    use crate::testing::{candidate, operation, package, views};
    use crate::{JudgeOptions, PolicySet, Sources};

    #[test]
    fn every_thread_gets_the_same_answer() {
        let rules = "deny contains \"no\" if input.record.a == 1";
        let sources = Sources::global([package("crm.t.a", "", rules)]);
        for threads in [0, 1, 2, 100] {
            let set = PolicySet::load_for(&sources, threads).unwrap();
            let judge = || {
                ["{\"a\": 1}", "{\"a\": 2}", "{\"a\": 1}"].map(|record| {
                    let judged = set.judge(
                        &operation(Kind::Create),
                        &candidate(views(record)),
                        &JudgeOptions {
                            time_limit: Duration::from_secs(10),
                            ..JudgeOptions::default()
                        },
                    );
                    judged.judgement.effect
                })
            };
            std::thread::scope(|scope| {
                for thread in [0; 5].map(|_| scope.spawn(judge)) {
                    let effects = thread.join().unwrap();
                    assert_eq!(effects, [Effect::Deny, Effect::Allow, Effect::Deny]);
                }
            });
        }
    }

    fn ready(rule: &str) -> Ready {
        let mut fresh = Engine::new();
        fresh
            .add_policy("p.rego".into(), format!("package p\n{rule}\n"))
            .unwrap();
        fresh.eval_rule("data.p.deny".into()).unwrap();
        Ready {
            fresh,
            used: Mutex::new(None),
            check_every: CHECK_EVERY,
            entry: "data.p.deny".into(),
            only: Some(Reserved::Deny),
        }
    }

    fn evaluate(ready: &Ready, a: i64) -> Result<Value, Told> {
        let input = value::object([(Value::from("a"), Value::from(a))]);
        ready.evaluate(input, Duration::from_secs(10), None)
    }

    #[test]
    fn an_engine_is_used_again_without_what_it_saw() {
        let ready = ready("deny contains input.a");
        assert_eq!(evaluate(&ready, 1).unwrap().as_set().unwrap().len(), 1);
        let mut used = ready.used.lock().unwrap().clone().unwrap();
        let members = used.eval_rule("data.p.deny".into()).unwrap();
        assert!(members.as_set().unwrap().is_empty(), "{members}");
        assert_eq!(evaluate(&ready, 2).unwrap().to_string(), "[2]");
    }

    #[test]
    fn an_engine_in_which_something_went_wrong_is_not() {
        let ready = ready("deny contains 1 if 7 / input.a == 1");
        evaluate(&ready, 0).unwrap_err();
        assert!(ready.used.lock().unwrap().is_none());
        assert_eq!(evaluate(&ready, 7).unwrap().to_string(), "[1]");
        assert!(ready.used.lock().unwrap().is_some());
        evaluate(&ready, 0).unwrap_err();
        assert!(ready.used.lock().unwrap().is_none());
    }
}
