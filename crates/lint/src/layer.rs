//! A layer's files as trees, and what its packages govern.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crmgate_domain::{Kind, Layer as Where, Object, Point};
use crmgate_policy::analysis::{self, LayerFiles, Module, Symbols};
use crmgate_policy::metadata::Names;
use crmgate_policy::{Metadata, Source};

use crate::catalogue::Catalogue;
use crate::finding::Finding;
use crate::recover;
use crate::types::Objects;

/// One layer, read.
pub(crate) struct Parsed {
    pub(crate) connection: Option<String>,
    pub(crate) sources: Vec<Source>,
    pub(crate) modules: Vec<Module>,
    /// How many modules are the layer's own; those behind are helpers of the global one.
    pub(crate) own: usize,
    pub(crate) data: Object,
    /// Whether a file could not be read whole, so that names may be missing.
    pub(crate) broken: bool,
    pub(crate) packages: BTreeMap<String, Package>,
}

/// A package of policies.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) metadata: Metadata,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) governs: Rc<Governs>,
}

/// What a module's rules are about.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Governs {
    pub(crate) objects: Rc<Objects>,
    /// The objects' names as `input.object` has them; `None` for all there are.
    pub(crate) object_names: Option<BTreeSet<String>>,
    /// `None` for helpers, which serve any.
    pub(crate) kinds: Option<BTreeSet<Kind>>,
    pub(crate) points: Option<BTreeSet<Point>>,
    pub(crate) needs: BTreeSet<String>,
}

impl Governs {
    fn anything(catalogue: &Catalogue) -> Self {
        Self {
            objects: Rc::new(every(catalogue)),
            object_names: None,
            kinds: None,
            points: None,
            needs: BTreeSet::new(),
        }
    }

    pub(crate) fn new(metadata: &Metadata, catalogue: &Catalogue) -> Self {
        let (objects, object_names) = match &metadata.objects {
            Names::Any => (every(catalogue), None),
            Names::Only(names) => {
                let mut objects = Objects::default();
                let mut all = BTreeSet::new();
                for name in names {
                    if let Some(canonical) = catalogue.canonical(name) {
                        objects.names.insert(canonical.to_owned());
                        all.insert(canonical.to_owned());
                    } else {
                        objects.others = true;
                        all.insert(name.clone());
                    }
                }
                (objects, Some(all))
            }
        };
        Self {
            objects: Rc::new(objects),
            object_names,
            kinds: Some(metadata.operations.clone()),
            points: Some(metadata.points.clone()),
            needs: metadata.needs.clone(),
        }
    }

    /// Whether it governs these kinds only.
    pub(crate) fn only(&self, kinds: &[Kind]) -> bool {
        let governed = self.kinds.as_ref();
        governed.is_some_and(|all| !all.is_empty() && all.iter().all(|kind| kinds.contains(kind)))
    }
}

fn every(catalogue: &Catalogue) -> Objects {
    Objects {
        names: catalogue.objects.keys().cloned().collect(),
        others: true,
    }
}

impl Parsed {
    /// Reads a layer's files; `shared` is the global layer, whose helpers serve the others too.
    pub(crate) fn read(
        files: LayerFiles,
        shared: Option<&Self>,
        catalogue: &Catalogue,
        found: &mut Vec<Finding>,
    ) -> Self {
        let mut modules = Vec::new();
        let mut broken = false;
        let mut sources = Vec::new();
        for source in files.rego {
            match analysis::parse(&source) {
                Ok(module) => modules.push(module),
                Err(first) => {
                    broken = true;
                    modules.extend(recover::module(&source, &first, found));
                }
            }
            sources.push(source);
        }
        let own = modules.len();
        let layer = if files.connection.is_some() {
            Where::Connection
        } else {
            Where::Global
        };
        let packages = packages(&modules, &sources, layer, catalogue);
        let mut data = files.data;
        if let Some(shared) = shared {
            let helpers = shared.modules.iter().filter(|module| is_helper(module));
            modules.extend(helpers.cloned());
            for (key, value) in shared.data.iter() {
                if !data.contains(key) || key == "params" {
                    data.set(key, value.clone());
                }
            }
        }
        Self {
            connection: files.connection,
            sources,
            modules,
            own,
            data,
            broken,
            packages,
        }
    }

    pub(crate) fn source(&self, file: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.path == file)
    }
}

pub(crate) fn is_helper(module: &Module) -> bool {
    module.package.first().is_some_and(|root| root == "lib")
}

fn packages(
    modules: &[Module],
    sources: &[Source],
    layer: Where,
    catalogue: &Catalogue,
) -> BTreeMap<String, Package> {
    let mut all = BTreeMap::new();
    for module in modules.iter().filter(|module| !is_helper(module)) {
        let source = sources.iter().find(|source| source.path == module.file);
        let Some((metadata, line)) = source.and_then(|source| analysis::metadata(source, layer))
        else {
            continue;
        };
        let name = module.package_name();
        let package = Package {
            name: name.clone(),
            governs: Rc::new(Governs::new(&metadata, catalogue)),
            metadata,
            file: module.file.clone(),
            line,
        };
        all.entry(name).or_insert(package);
    }
    all
}

/// A layer with its names, ready to be looked at.
pub(crate) struct Layer<'a> {
    pub(crate) parsed: &'a Parsed,
    pub(crate) symbols: Symbols<'a>,
    pub(crate) catalogue: &'a Catalogue,
    anything: Rc<Governs>,
}

impl<'a> Layer<'a> {
    pub(crate) fn new(parsed: &'a Parsed, catalogue: &'a Catalogue) -> Self {
        Self {
            parsed,
            symbols: Symbols::new(&parsed.modules),
            catalogue,
            anything: Rc::new(Governs::anything(catalogue)),
        }
    }

    /// What the rules of a module are about.
    pub(crate) fn governs(&self, module: &Module) -> Rc<Governs> {
        let package = self.parsed.packages.get(&module.package_name());
        package.map_or_else(|| Rc::clone(&self.anything), |p| Rc::clone(&p.governs))
    }

    /// What helpers are about.
    pub(crate) fn anything(&self) -> Rc<Governs> {
        Rc::clone(&self.anything)
    }

    /// The modules of this layer, helpers of another left out.
    pub(crate) fn own(&self) -> impl Iterator<Item = (usize, &'a Module)> {
        self.parsed.modules.iter().take(self.parsed.own).enumerate()
    }
}
