//! One layer's packages with their engine.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use crmgate_domain::{Enforcement, Object};
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use crate::clock;
use crate::govern::Target;
use crate::message;
use crate::metadata::Names;
use crate::package::Package;
use crate::value;
use crate::{LoadError, Source};

/// A time-out is looked for every so many steps of the engine.
const CHECK_EVERY: NonZeroU32 = NonZeroU32::MIN.saturating_add(63);

/// Packages that are evaluated by one engine.
#[derive(Clone)]
pub(crate) struct LayerSet {
    /// Sorted by name.
    pub(crate) packages: Vec<Package>,
    /// Policies without data, from which engines for other data are made.
    bare: Engine,
    /// Ready to be cloned for a decision.
    engine: Engine,
    index: Index,
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
    pub(crate) data: &'a Object,
    pub(crate) rules: BTreeMap<String, Vec<(u32, u32, String)>>,
}

impl LayerSet {
    /// Prepares the engine.
    pub(crate) fn new(parts: Parts<'_>) -> Result<Self, LoadError> {
        let mut bare = Engine::new();
        bare.set_strict_builtin_errors(true);
        // Otherwise `print` writes to standard error.
        bare.set_gather_prints(true);
        clock::install(&mut bare).map_err(|error| message::prepare("clock", &error))?;
        for file in parts.files {
            bare.add_policy(file.path.clone(), file.text)
                .map_err(|error| message::syntax(&file.path, &error))?;
        }
        for (index, package) in parts.packages.iter().enumerate() {
            bare.add_policy(
                format!("crmgate/p{index}.rego"),
                package.entry_module(index),
            )
            .map_err(|error| message::prepare(&package.name, &error))?;
        }
        let engine = prepared(&bare, parts.data, &parts.packages)?;
        Ok(Self {
            index: Index::new(&parts.packages),
            packages: parts.packages,
            bare,
            engine,
            rules: parts.rules,
        })
    }

    /// The same policies over other data.
    pub(crate) fn with_data(&self, data: &Object) -> Result<Self, LoadError> {
        Ok(Self {
            engine: prepared(&self.bare, data, &self.packages)?,
            ..self.clone()
        })
    }

    /// An engine for one decision.
    pub(crate) fn engine(&self) -> Engine {
        self.engine.clone()
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

/// Adds the data and has the engine check and schedule every rule, so that clones need not.
fn prepared(bare: &Engine, data: &Object, packages: &[Package]) -> Result<Engine, LoadError> {
    let mut engine = bare.clone();
    let out_of_range =
        |error: &dyn std::fmt::Display| LoadError::file("data", "data", error.to_string());
    let data = value::from_object(data).map_err(|error| out_of_range(&error))?;
    engine
        .add_data(data)
        .map_err(|error| out_of_range(&error))?;
    engine.set_input(Value::new_object());
    if let Some(package) = packages.first() {
        engine
            .compile_with_entrypoint(&package.entry.as_str().into())
            .map_err(|error| message::prepare(&package.name, &error))?;
    }
    Ok(engine)
}

/// Limits the next evaluation of an engine.
pub(crate) fn limit(engine: &mut Engine, time: Duration) {
    engine.set_execution_timer_config(ExecutionTimerConfig {
        limit: time,
        check_interval: CHECK_EVERY,
    });
}
