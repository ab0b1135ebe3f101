//! The catalogue in `policies/` and the policy inputs of all its cases, for whatever else reads
//! Rego.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crmgate_domain::{Document, Object};
use crmgate_policy::{PolicySet, Sources, Target, cases, read_folder};

/// The folder.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

/// Everything in it.
pub(crate) struct Catalogue {
    pub(crate) sources: Sources,
    pub(crate) set: PolicySet,
    pub(crate) probes: Vec<Probe>,
}

/// One case on one kind of CRM.
pub(crate) struct Probe {
    /// `pack: name of the case (system)`.
    pub(crate) name: String,
    /// Parameters that differ, shaped as `data.params`.
    pub(crate) params: Object,
    pub(crate) input: Document,
    /// The packages that govern it.
    pub(crate) packages: Vec<String>,
}

impl Catalogue {
    /// Loads the packs and reads their cases.
    pub(crate) fn read() -> Self {
        let sources = read_folder(&folder()).unwrap_or_else(|errors| panic!("{errors}"));
        let set = PolicySet::load(&sources).unwrap_or_else(|errors| panic!("{errors}"));
        let systems = include_str!("../../crates/policy/tests/systems.yaml");
        let systems: Vec<cases::System> = yaml_serde::from_str(systems).unwrap();
        let mut probes = Vec::new();
        for (pack, case) in all_cases() {
            for system in &systems {
                probes.push(probe(&set, &pack, &case, system));
            }
        }
        Self {
            sources,
            set,
            probes,
        }
    }

    /// The policies as OPA reads them: path and text.
    pub(crate) fn modules(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.sources.global.iter();
        let modules = all.filter(|source| source.path.ends_with(".rego"));
        modules.map(|source| (source.path.as_str(), source.text.as_str()))
    }

    /// A module of one rule: `data.crmgate_said[package]` is what its reserved rules say.
    pub(crate) fn entry(&self) -> String {
        let mut text = "package crmgate_said\n".to_owned();
        for (_, package) in self.set.packages() {
            _ = write!(text, "\nsaid[\"{}\"] := {{", package.name);
            for rule in &package.rules {
                let (name, path) = (rule.name(), &package.name);
                // What is undefined is an empty array.
                _ = write!(text, "\n\t\"{name}\": [x | x := data.{path}.{name}],");
            }
            text.push_str("\n}\n");
        }
        text
    }

    /// Writes a bundle (`policies/…`, `crmgate_said.rego`, `data.json`) and `inputs.jsonl` beside
    /// it: a line for every case, `{"name","packages","input"}`. Cases with parameters of their own
    /// are left out.
    pub(crate) fn write(&self, dir: &Path) -> std::io::Result<()> {
        for (path, text) in self.modules() {
            let file = dir.join("bundle/policies").join(path);
            std::fs::create_dir_all(file.parent().unwrap_or(dir))?;
            std::fs::write(file, text)?;
        }
        let data = Document::Object(self.set.data().clone()).to_json();
        std::fs::write(dir.join("bundle/data.json"), data)?;
        std::fs::write(dir.join("bundle/crmgate_said.rego"), self.entry())?;
        let mut lines = String::new();
        for probe in self.probes.iter().filter(|probe| probe.params.is_empty()) {
            let (name, packages) = (Document::from(probe.name.as_str()), &probe.packages);
            let packages = packages.iter().map(|name| Document::from(name.as_str()));
            let packages = Document::Array(packages.collect());
            let line = [
                ("name".to_owned(), name),
                ("packages".to_owned(), packages),
                ("input".to_owned(), probe.input.clone()),
            ];
            let line: Object = line.into_iter().collect();
            _ = writeln!(lines, "{}", Document::Object(line).to_json());
        }
        std::fs::write(dir.join("inputs.jsonl"), lines)
    }
}

/// Every case with its pack.
fn all_cases() -> Vec<(String, cases::Case)> {
    let mut files = Vec::new();
    for pack in std::fs::read_dir(folder()).unwrap() {
        let pack = pack.unwrap().path();
        if let Ok(found) = std::fs::read_dir(pack.join("cases")) {
            let name = pack.file_name().unwrap().to_string_lossy().into_owned();
            files.extend(found.map(|file| (name.clone(), file.unwrap().path())));
        }
    }
    files.sort();
    let mut all = Vec::new();
    for (pack, file) in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let cases = cases::parse(&file.display().to_string(), &text);
        let cases = cases.unwrap_or_else(|fault| panic!("{fault}"));
        all.extend(cases.into_iter().map(|case| (pack.clone(), case)));
    }
    all
}

fn probe(set: &PolicySet, pack: &str, case: &cases::Case, system: &cases::System) -> Probe {
    let native = system.native_objects.get(&case.object);
    let governing = set.governing(&Target {
        connection: &system.connection,
        object: &case.object,
        native_object: native.unwrap_or(&case.object),
        kind: case.operation,
        point: case.point,
    });
    Probe {
        name: format!("{pack}: {} ({})", case.name, system.name),
        params: case.params.clone(),
        input: cases::input(case, system).unwrap_or_else(|fault| panic!("{fault}")),
        packages: governing.packages,
    }
}
