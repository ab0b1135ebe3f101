//! Packages: their files, names and metadata.

use std::collections::{BTreeMap, BTreeSet};

use crmgate_domain::Layer;

use super::progress;
use crate::metadata::{self, Found, Metadata};
use crate::package::Package;
use crate::rules::Reserved;
use crate::symbols::Symbols;
use crate::syntax::Module;
use crate::system_log;
use crate::{LoadError, Source, precheck, reads};

/// Policy files of one layer.
const MAX_FILES: usize = 5_000;

/// Parses every file that passes the limits.
pub(super) fn parse(files: &[Source], faults: &mut Vec<LoadError>) -> Vec<Module> {
    if let Some(file) = files.get(MAX_FILES) {
        let message = format!("a layer has at most {MAX_FILES} policy files");
        faults.push(LoadError::file("limit", &file.path, message));
        return Vec::new();
    }
    let parsed = files.iter().map(|file| {
        progress::at("reading", &file.path);
        precheck::check(file).and_then(|()| Module::parse(file))
    });
    let mut modules = Vec::new();
    for module in parsed {
        match module {
            Ok(module) => modules.push(module),
            Err(fault) => faults.push(fault),
        }
    }
    modules
}

/// Packages are `crm.<team>.<policy>`, helpers `lib.<…>`.
pub(super) fn names(modules: &[Module], global: Option<&[Package]>, faults: &mut Vec<LoadError>) {
    for module in modules {
        let name = module.package_name();
        let fault = |message: String| {
            LoadError::file("package", &module.file, message).at(module.package_line, None)
        };
        let plain = module.package.iter().all(|part| is_plain(part));
        let fits = match module.package.first().map(String::as_str) {
            Some("crm") => module.package.len() == 3,
            Some("lib") => module.package.len() >= 2,
            Some("system") => module.package == system_log::PARTS,
            _ => false,
        };
        if !fits || !plain {
            faults.push(
                fault(format!("`{name}` is not a policy package"))
                    .remedy("name policies `crm.<team>.<policy>`, helpers `lib.<name>` and rules on the log `system.log`, of letters, digits and `_`"),
            );
        }
        if global.is_some_and(|global| global.iter().any(|package| package.name == name)) {
            faults.push(
                fault(format!("`{name}` is a package of the global layer"))
                    .remedy("a connection adds packages of its own, under other names"),
            );
        }
    }
}

fn is_plain(part: &str) -> bool {
    let mut bytes = part.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The metadata of every policy package; a package without any is a fault.
pub(super) fn metadata(
    modules: &[Module],
    files: &[Source],
    layer: Layer,
    faults: &mut Vec<LoadError>,
) -> BTreeMap<String, Metadata> {
    let mut all: BTreeMap<String, (Metadata, String, u32)> = BTreeMap::new();
    let mut broken = BTreeSet::new();
    let texts: BTreeMap<&str, &Source> = files.iter().map(|f| (f.path.as_str(), f)).collect();
    let policies = |module: &&Module| module.package.first().is_some_and(|root| root == "crm");
    for module in modules.iter().filter(policies) {
        let Some(source) = texts.get(module.file.as_str()) else {
            continue;
        };
        let name = module.package_name();
        let before = faults.len();
        let found = metadata::read(source, layer, faults);
        if faults.len() > before {
            broken.insert(name.clone());
        }
        let Found::One(metadata, line) = found else {
            continue;
        };
        match all.get(&name) {
            Some((_, file, other)) => {
                faults.push(metadata::second_block(&module.file, line, file, *other));
            }
            None => _ = all.insert(name, (*metadata, module.file.clone(), line)),
        }
    }
    let mut without = BTreeSet::new();
    for module in modules.iter().filter(policies) {
        let name = module.package_name();
        if !all.contains_key(&name) && !broken.contains(&name) && without.insert(name.clone()) {
            faults.push(
                LoadError::file(
                    "metadata",
                    &module.file,
                    format!("package `{name}` has no `# METADATA` block"),
                )
                .at(module.package_line, None)
                .remedy("say above `package` what it governs: `title`, and under `custom` `owner`, `objects` and `operations`"),
            );
        }
    }
    all.into_iter()
        .map(|(name, (metadata, _, _))| (name, metadata))
        .collect()
}

/// Puts packages together; `own` modules are the layer's, those behind are shared helpers.
pub(super) fn build(
    symbols: &Symbols<'_>,
    metadata: BTreeMap<String, Metadata>,
    layer: Layer,
    own: usize,
    faults: &mut Vec<LoadError>,
) -> Vec<Package> {
    let mut packages = Vec::new();
    for (name, metadata) in metadata {
        let parts: Vec<String> = name.split('.').map(str::to_owned).collect();
        let modules: Vec<&Module> = symbols
            .modules
            .iter()
            .take(own)
            .filter(|module| module.package == parts)
            .collect();
        let rules: Vec<Reserved> = Reserved::ALL
            .into_iter()
            .filter(|rule| symbols.group(&parts, rule.name()).is_some())
            .collect();
        let first = modules.first().map_or("", |module| module.file.as_str());
        if rules.is_empty() {
            let message = format!("package `{name}` has no rule that decides anything");
            faults.push(LoadError::file("package", first, message).remedy(
                "add a `deny`, `warn`, `patch`, … rule, or name a package of helpers `lib.<name>`",
            ));
        }
        let read = reads::of_package(symbols, &parts);
        promises(&name, first, &metadata, &read, faults);
        let mut reads = read.reads;
        reads.related.extend(metadata.needs.iter().cloned());
        packages.push(Package {
            name,
            metadata,
            layer,
            files: modules.iter().map(|module| module.file.clone()).collect(),
            rules,
            reads,
            looks: read.looks,
            heavy: false,
        });
    }
    packages
}

/// What a package reads must be what its metadata asks for.
fn promises(
    name: &str,
    file: &str,
    metadata: &Metadata,
    read: &reads::PackageReads,
    faults: &mut Vec<LoadError>,
) {
    for relation in read.reads.related.difference(&metadata.needs) {
        faults.push(
            LoadError::file(
                "metadata",
                file,
                format!("package `{name}` reads `input.related.{relation}` without saying so"),
            )
            .remedy(format!("add `needs: [related.{relation}]` to its metadata")),
        );
    }
    let gateway_only = metadata.points == [crmgate_domain::Point::Gateway].into();
    if read.request && !gateway_only {
        faults.push(
            LoadError::file(
                "metadata",
                file,
                format!("package `{name}` reads `input.request`, which only the gateway has"),
            )
            .remedy("add `points: [gateway]` to its metadata, or read `input.operation` and `input.record`"),
        );
    }
}
