//! One layer's packages with their engines.

use std::collections::{BTreeMap, BTreeSet};

use crmgate_domain::{Enforcement, Object};

use crate::engines::{Engines, ForThread};
use crate::govern::Target;
use crate::metadata::Names;
use crate::package::Package;
use crate::system_log::{LogParts, LogRules};
use crate::{LoadError, Source};

/// The packages of one layer.
pub(crate) struct LayerSet {
    /// Sorted by name.
    pub(crate) packages: Vec<Package>,
    engines: Engines,
    any_heavy: bool,
    index: Index,
    /// File, first and last line, name of every rule: so that an error can name its rule.
    rules: BTreeMap<String, Vec<(u32, u32, String)>>,
    /// What may be remembered of its decisions, where it says so.
    pub(crate) log: Option<LogRules>,
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
    /// The files that each package uses, by index.
    pub(crate) uses: Vec<Vec<usize>>,
    pub(crate) data: &'a Object,
    pub(crate) rules: BTreeMap<String, Vec<(u32, u32, String)>>,
    /// How many threads will judge.
    pub(crate) threads: usize,
    /// `system.log`, where the layer has it.
    pub(crate) log: Option<LogParts>,
}

impl LayerSet {
    /// Prepares the engines.
    pub(crate) fn new(parts: Parts<'_>) -> Result<Self, LoadError> {
        let Parts {
            packages,
            files,
            uses,
            data,
            rules,
            threads,
            log,
        } = parts;
        Ok(Self {
            log: log
                .map(|log| LogRules::new(&log, &files, data))
                .transpose()?,
            engines: Engines::new(&packages, &uses, &files, data, threads)?,
            any_heavy: packages.iter().any(|package| package.heavy),
            index: Index::new(&packages),
            packages,
            rules,
        })
    }

    /// The same policies over other data.
    pub(crate) fn with_data(&self, data: &Object) -> Result<Self, LoadError> {
        Ok(Self {
            engines: self.engines.with_data(data, &self.packages)?,
            any_heavy: self.any_heavy,
            index: self.index.clone(),
            packages: self.packages.clone(),
            rules: self.rules.clone(),
            log: self
                .log
                .as_ref()
                .map(|log| log.with_data(data))
                .transpose()?,
        })
    }

    /// How many threads it is prepared for.
    pub(crate) const fn threads(&self) -> usize {
        self.engines.threads()
    }

    /// Evaluates every package over an empty record.
    pub(crate) fn try_out(&self) {
        self.engines.try_out(&self.packages);
    }

    /// The engines of this thread.
    pub(crate) fn engines(&self) -> &ForThread {
        self.engines.mine()
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

    /// Whether any package that governs may outrun the time limit.
    pub(crate) fn heavy(&self, target: &Target<'_>, set: &BTreeMap<String, Enforcement>) -> bool {
        if !self.any_heavy {
            return false;
        }
        let governing = self.governing(target, set);
        governing
            .iter()
            .any(|(index, _)| self.packages.get(*index).is_some_and(|p| p.heavy))
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
