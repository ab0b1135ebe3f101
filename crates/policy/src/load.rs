//! From sources to a checked set: every fault that can be found is found in one go.

use std::collections::{BTreeMap, BTreeSet};

use crmgate_domain::{ConnectionName, Document, Enforcement, Layer, Object};

use crate::layer::{LayerSet, Parts};
use crate::package::Package;
use crate::params::{self, ParamsFile};
use crate::symbols::Symbols;
use crate::syntax::Module;
use crate::system_log::{self, LogParts};
use crate::{ConnectionSources, LoadError, LoadErrors, Source, Sources};

mod files;
mod packages;
pub(crate) mod progress;

pub(crate) use files::Files;

/// What a connection has beside the global layer.
#[derive(Debug, Default)]
pub(crate) struct Tenant {
    /// The global layer over the connection's parameters, where it sets any.
    pub(crate) global: Option<LayerSet>,
    /// How global packages count here.
    pub(crate) enforcement: BTreeMap<String, Enforcement>,
    /// The connection's own layer.
    pub(crate) own: Option<LayerSet>,
    /// Whether nothing can be judged for it.
    pub(crate) shut: bool,
}

/// A checked set.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) global: LayerSet,
    pub(crate) data: Object,
    pub(crate) tenants: BTreeMap<ConnectionName, Tenant>,
}

/// A layer whose files were read and whose trees were checked.
struct Checked {
    packages: Vec<Package>,
    /// The modules that each package uses, by index.
    uses: Vec<Vec<usize>>,
    modules: Vec<Module>,
    sources: Vec<Source>,
    data: Object,
    log: Option<LogParts>,
}

/// What a connection's layer may use of the global one.
struct Shared<'a> {
    packages: &'a [Package],
    modules: &'a [Module],
    sources: &'a [Source],
    data: &'a Object,
}

/// Loads everything, for so many threads.
pub(crate) fn all(sources: &Sources, threads: usize) -> Result<Loaded, LoadErrors> {
    let mut faults = Vec::new();
    let files = Files::sort(&sources.global, "", &mut faults);
    let checked = check(&files, Layer::Global, None, &mut faults);
    let Some(checked) = checked else {
        // Without the global layer the others can't be checked against it, only read.
        for (name, connection) in &sources.connections {
            let before = faults.len();
            progress::layer(Some(name));
            faults.extend(connection.faults.iter().cloned());
            let prefix = prefix(name);
            let files = Files::sort(&connection.files, &prefix, &mut faults);
            packages::parse(&files.rego, &mut faults);
            attribute(&mut faults, before, name);
        }
        return Err(broken(faults));
    };
    let mut tenants = BTreeMap::new();
    let mut owned = Vec::new();
    for (name, connection) in &sources.connections {
        let before = faults.len();
        progress::layer(Some(name));
        let tenant = tenant(name, connection, &checked, &files.params, &mut faults);
        attribute(&mut faults, before, name);
        owned.push((name.clone(), tenant));
    }
    let data = checked.data.clone();
    progress::layer(None);
    let global = match layer(checked, &data, threads) {
        Ok(global) => global,
        Err(fault) => {
            faults.push(fault);
            return Err(broken(faults));
        }
    };
    for (name, draft) in owned {
        progress::layer(Some(&name));
        match draft.and_then(|draft| {
            draft
                .finish(&global)
                .map_err(|fault| faults.push(fault.of(&name)))
                .ok()
        }) {
            Some(tenant) => _ = tenants.insert(name, tenant),
            None => continue,
        }
    }
    match LoadErrors::new(faults) {
        Some(errors) => Err(errors),
        None => Ok(Loaded {
            global,
            data,
            tenants,
        }),
    }
}

/// Says whose the faults from there on are.
fn attribute(faults: &mut [LoadError], from: usize, name: &ConnectionName) {
    for fault in faults.iter_mut().skip(from) {
        fault.connection = Some(name.clone());
    }
}

fn prefix(name: &ConnectionName) -> String {
    format!("connections/{name}/")
}

fn broken(faults: Vec<LoadError>) -> LoadErrors {
    LoadErrors::new(faults)
        .unwrap_or_else(|| LoadError::file("loader", "policies", "could not be loaded").into())
}

/// Reads and checks one layer; `None` when its trees can't be trusted.
fn check(
    files: &Files,
    layer: Layer,
    shared: Option<&Shared<'_>>,
    faults: &mut Vec<LoadError>,
) -> Option<Checked> {
    let before = faults.len();
    let mut modules = packages::parse(&files.rego, faults);
    let mut sources = files.rego.clone();
    let own = modules.len();
    packages::names(&modules, shared.map(|shared| shared.packages), faults);
    let metadata = packages::metadata(&modules, &files.rego, layer, faults);
    let mut data = files.data(faults);
    if let Some(shared) = shared {
        // Helpers and data of the global layer serve the connections' policies too.
        for (module, source) in shared.modules.iter().zip(shared.sources) {
            if module.package.first().is_some_and(|root| root == "lib") {
                modules.push(module.clone());
                sources.push(source.clone());
            }
        }
        files::add_shared(&mut data, shared.data, &files.prefix, faults);
    }
    for params in &files.params {
        params::check(params, faults);
    }
    if faults
        .iter()
        .skip(before)
        .any(|fault| fault.code == "syntax" || fault.code == "limit")
    {
        // Half a layer would look as if names were missing.
        return None;
    }
    let symbols = Symbols::new(&modules);
    progress::at(
        "checking",
        modules.first().map_or("", |module| &module.file),
    );
    crate::check::run(&symbols, faults);
    crate::check::data::check(&symbols, &data, faults);
    let recursive = faults
        .iter()
        .skip(before)
        .any(|fault| matches!(fault.code, "recursion" | "depth"));
    let mut packages = if recursive {
        Vec::new()
    } else {
        packages::build(&symbols, metadata, layer, own, faults)
    };
    let above = shared.map_or((&[][..], &[][..]), |shared| {
        (shared.modules, shared.packages)
    });
    let here = (modules.get(..own).unwrap_or_default(), packages.as_slice());
    crate::check::conflicts::check(here, above, faults);
    let reach = crate::check::graph::reach(&symbols);
    let uses: Vec<Vec<usize>> = packages
        .iter()
        .map(|package| reach.get(&package.name).cloned().unwrap_or_default())
        .collect();
    if !recursive {
        let heavy = crate::check::growth::check(&symbols, &data, faults);
        for (package, uses) in packages.iter_mut().zip(&uses) {
            package.heavy = uses.iter().any(|module| heavy.contains(module));
        }
    }
    let log = system_log::parts(&symbols, &reach, faults);
    (faults.len() == before).then_some(Checked {
        log,
        packages,
        uses,
        modules,
        sources,
        data,
    })
}

fn layer(checked: Checked, data: &Object, threads: usize) -> Result<LayerSet, LoadError> {
    let mut rules: BTreeMap<String, Vec<(u32, u32, String)>> = BTreeMap::new();
    for module in &checked.modules {
        let places = module
            .rules
            .iter()
            .map(|rule| (rule.place.line, rule.end_line, rule.name.clone()));
        rules.entry(module.file.clone()).or_default().extend(places);
    }
    LayerSet::new(Parts {
        packages: checked.packages,
        files: checked.sources,
        uses: checked.uses,
        data,
        rules,
        threads,
        log: checked.log,
    })
}

/// A connection whose own layer is checked; its engines come last.
struct Draft {
    data: Option<Object>,
    enforcement: BTreeMap<String, Enforcement>,
    own: Option<Checked>,
    shut: bool,
}

impl Draft {
    fn finish(self, global: &LayerSet) -> Result<Tenant, LoadError> {
        let own = match self.own {
            Some(checked) if !checked.packages.is_empty() || checked.log.is_some() => {
                let data = checked.data.clone();
                Some(layer(checked, &data, global.threads())?)
            }
            _ => None,
        };
        Ok(Tenant {
            global: self.data.map(|data| global.with_data(&data)).transpose()?,
            enforcement: self.enforcement,
            own,
            shut: self.shut,
        })
    }
}

fn tenant(
    name: &ConnectionName,
    connection: &ConnectionSources,
    global: &Checked,
    global_params: &[ParamsFile],
    faults: &mut Vec<LoadError>,
) -> Option<Draft> {
    let before = faults.len();
    faults.extend(connection.faults.iter().cloned());
    let mut files = Files::sort(&connection.files, &prefix(name), faults);
    let mut settings = files.settings.take().unwrap_or_default();
    params::merge_plain(&mut settings, &connection.params);
    let data = (!settings.is_empty()).then(|| {
        let params = params::overridden(global_params, name, &settings, faults);
        let mut data = global.data.clone();
        data.set("params", Document::Object(params));
        data
    });
    let mut enforcement = files.enforcement.clone();
    enforcement.extend(connection.enforcement.clone());
    weaker(name, &enforcement, &global.packages, faults);
    let shared = Shared {
        packages: &global.packages,
        modules: &global.modules,
        sources: &global.sources,
        data: data.as_ref().unwrap_or(&global.data),
    };
    let own = check(&files, Layer::Connection, Some(&shared), faults);
    (faults.len() == before).then_some(Draft {
        data,
        enforcement,
        own,
        shut: connection.shut,
    })
}

/// A connection may set how a global package counts, unless the package is final.
fn weaker(
    name: &ConnectionName,
    enforcement: &BTreeMap<String, Enforcement>,
    packages: &[Package],
    faults: &mut Vec<LoadError>,
) {
    let place = format!("connections/{name}");
    let known: BTreeSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    for (package, set) in enforcement {
        if !known.contains(package.as_str()) {
            let message = format!("`{package}` is not a package of the global layer");
            faults.push(LoadError::file("enforcement", &place, message));
        }
        let hit = packages.iter().find(|p| p.name == *package);
        if let Some(hit) = hit.filter(|p| p.metadata.is_final && *set != p.metadata.enforcement) {
            let message = format!(
                "`{}` is final and can't be set to another enforcement",
                hit.name
            );
            faults.push(
                LoadError::file("enforcement", &place, message)
                    .remedy("ask its owner, or take the setting away"),
            );
        }
    }
}
