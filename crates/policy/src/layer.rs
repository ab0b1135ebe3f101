//! One layer's packages with their engines.
//!
//! Every package has an engine of its own, with the files it uses and no others: what an
//! evaluation costs the engine grows with the number of files it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use crmgate_domain::{Enforcement, Object};
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use crate::clock;
use crate::govern::Target;
use crate::looks::{Table, Wanted};
use crate::message;
use crate::metadata::Names;
use crate::package::{ENTRY_FILE, Package};
use crate::rules::Reserved;
use crate::value;
use crate::{LoadError, Source};

/// A time-out is looked for every so many steps of the engine.
const CHECK_EVERY: NonZeroU32 = NonZeroU32::MIN.saturating_add(63);

/// The packages of one layer.
#[derive(Clone)]
pub(crate) struct LayerSet {
    /// Sorted by name.
    pub(crate) packages: Vec<Package>,
    /// Policies without data, from which engines for other data are made; one per package.
    bare: Vec<Engine>,
    /// Ready to be cloned for a decision; one per package.
    ready: Vec<Ready>,
    index: Index,
    looks: Table,
    /// File, first and last line, name of every rule: so that an error can name its rule.
    rules: BTreeMap<String, Vec<(u32, u32, String)>>,
}

impl std::fmt::Debug for LayerSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.packages.iter().map(|p| p.name.as_str()).collect();
        f.debug_struct("LayerSet")
            .field("packages", &names)
            .finish()
    }
}

/// A package's engine and what to evaluate in it.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(crate) engine: Engine,
    /// The path of the rule.
    pub(crate) entry: String,
    /// The reserved rule it is; `None` for the generated one over all of them.
    pub(crate) only: Option<Reserved>,
}

#[derive(Debug, Clone, Default)]
struct Index {
    by_object: BTreeMap<String, Vec<usize>>,
    any_object: Vec<usize>,
}

/// What a layer is made of, checked.
pub(crate) struct Parts<'a> {
    pub(crate) packages: Vec<Package>,
    /// Every policy file, helpers included, under the name that messages use.
    pub(crate) files: Vec<Source>,
    /// The files that each package uses, by index.
    pub(crate) uses: Vec<Vec<usize>>,
    pub(crate) data: &'a Object,
    pub(crate) rules: BTreeMap<String, Vec<(u32, u32, String)>>,
}

impl LayerSet {
    /// Prepares the engines.
    pub(crate) fn new(parts: Parts<'_>) -> Result<Self, LoadError> {
        let bare: Vec<Engine> = parts
            .packages
            .iter()
            .zip(&parts.uses)
            .map(|(package, uses)| bare(package, uses, &parts.files))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            ready: prepared(&bare, parts.data, &parts.packages)?,
            index: Index::new(&parts.packages),
            looks: Table::new(parts.packages.iter().map(|package| &package.looks)),
            packages: parts.packages,
            bare,
            rules: parts.rules,
        })
    }

    /// The same policies over other data.
    pub(crate) fn with_data(&self, data: &Object) -> Result<Self, LoadError> {
        Ok(Self {
            ready: prepared(&self.bare, data, &self.packages)?,
            ..self.clone()
        })
    }

    /// A package's engine; to be cloned for each evaluation.
    pub(crate) fn ready(&self, index: usize) -> Option<&Ready> {
        self.ready.get(index)
    }

    /// The indices of the packages that govern, sorted by name, with how strongly each counts.
    pub(crate) fn governing(
        &self,
        target: &Target<'_>,
        set: &BTreeMap<String, Enforcement>,
    ) -> Vec<(usize, Enforcement)> {
        let mut hits = BTreeSet::new();
        hits.extend(&self.index.any_object);
        for name in [target.object, target.native_object] {
            if let Some(indices) = self.index.by_object.get(&name.to_lowercase()) {
                hits.extend(indices);
            }
        }
        let governs = |index: usize| {
            let package = self.packages.get(index)?;
            let metadata = &package.metadata;
            let enforcement = set
                .get(&package.name)
                .copied()
                .unwrap_or(metadata.enforcement);
            let here = match &metadata.connections {
                Names::Any => true,
                Names::Only(names) => names.contains(target.connection.as_str()),
            };
            let governs = here
                && enforcement != Enforcement::Off
                && metadata.operations.contains(&target.kind)
                && metadata.points.contains(&target.point);
            governs.then_some((index, enforcement))
        };
        hits.into_iter().filter_map(governs).collect()
    }

    /// What these packages look at in the input.
    pub(crate) fn wanted(&self, governing: &[(usize, Enforcement)]) -> Wanted<'_> {
        self.looks.wanted(governing.iter().map(|(index, _)| *index))
    }

    /// The rule that stands at a line of a file.
    pub(crate) fn rule_at(&self, file: &str, line: u32) -> Option<&str> {
        let rules = self.rules.get(file)?;
        let hit = rules
            .iter()
            .find(|(first, last, _)| (*first..=*last).contains(&line));
        hit.map(|(_, _, name)| name.as_str())
    }
}

impl Index {
    fn new(packages: &[Package]) -> Self {
        let mut index = Self::default();
        for (at, package) in packages.iter().enumerate() {
            match &package.metadata.objects {
                Names::Any => index.any_object.push(at),
                Names::Only(names) => {
                    for name in names {
                        index.by_object.entry(name.clone()).or_default().push(at);
                    }
                }
            }
        }
        index
    }
}

/// An engine with a package's files and no data.
fn bare(package: &Package, uses: &[usize], files: &[Source]) -> Result<Engine, LoadError> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    // Otherwise `print` writes to standard error.
    engine.set_gather_prints(true);
    clock::install(&mut engine).map_err(|error| message::prepare("clock", &error))?;
    for file in uses.iter().filter_map(|index| files.get(*index)) {
        engine
            .add_policy(file.path.clone(), file.text.clone())
            .map_err(|error| message::syntax(&file.path, &error))?;
    }
    if let Some(entry) = package.entry_module() {
        engine
            .add_policy(ENTRY_FILE.into(), entry)
            .map_err(|error| message::prepare(&package.name, &error))?;
    }
    Ok(engine)
}

/// Adds the data and has every engine check and schedule its rules, so that clones need not.
fn prepared(bare: &[Engine], data: &Object, packages: &[Package]) -> Result<Vec<Ready>, LoadError> {
    let out_of_range =
        |error: &dyn std::fmt::Display| LoadError::file("data", "data", error.to_string());
    let data = value::from_object(data).map_err(|error| out_of_range(&error))?;
    let ready = bare.iter().zip(packages).map(|(bare, package)| {
        let mut engine = bare.clone();
        engine
            .add_data(data.clone())
            .map_err(|error| out_of_range(&error))?;
        engine.set_input(Value::new_object());
        let (entry, only) = package.entry();
        engine
            .compile_with_entrypoint(&entry.as_str().into())
            .map_err(|error| message::prepare(&package.name, &error))?;
        Ok(Ready {
            engine,
            entry,
            only,
        })
    });
    ready.collect()
}

/// Limits the next evaluation of an engine.
pub(crate) fn limit(engine: &mut Engine, time: Duration) {
    engine.set_execution_timer_config(ExecutionTimerConfig {
        limit: time,
        check_interval: CHECK_EVERY,
    });
}
