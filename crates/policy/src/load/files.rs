//! Sorts a layer's files by what they are, and puts its data together.

use std::collections::BTreeMap;

use crmgate_domain::{Document, Enforcement, Object};

use crate::params::{self, ParamsFile};
use crate::source::{FileKind, split_bundle};
use crate::{LoadError, Source};

/// Names under `data` that belong to rules and parameters.
const TAKEN: [&str; 5] = ["crm", "lib", "params", "crmgate", "system"];

/// A layer's files.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// What stands before every path in messages.
    pub(super) prefix: String,
    /// The policies, under the names that messages use.
    pub(crate) rego: Vec<Source>,
    pub(super) params: Vec<ParamsFile>,
    /// A connection's settings of global parameters.
    pub(crate) settings: Option<Object>,
    /// A connection's settings of how global packages count.
    pub(super) enforcement: BTreeMap<String, Enforcement>,
    /// Data by the folder it is in.
    data: Vec<(String, String, Object)>,
}

impl Files {
    /// Sorts files and parses those that hold data.
    pub(crate) fn sort(sources: &[Source], prefix: &str, faults: &mut Vec<LoadError>) -> Self {
        let mut files = Self {
            prefix: prefix.to_owned(),
            ..Self::default()
        };
        let mut sources: Vec<&Source> = sources.iter().collect();
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        let mut schemas = BTreeMap::new();
        let mut params = Vec::new();
        for source in sources {
            let (bundle, below) = split_bundle(&source.path);
            // A bundle's name alone says where it is: no two have the same.
            let file = match bundle {
                Some(_) => source.path.clone(),
                None => format!("{prefix}{}", source.path),
            };
            let folder = below.rsplit_once('/').map_or("", |(folder, _)| folder);
            let beside = source
                .path
                .rsplit_once('/')
                .map_or("", |(beside, _)| beside);
            match FileKind::of(&source.path) {
                FileKind::Rego => files.rego.push(Source {
                    path: file,
                    text: source.text.clone(),
                }),
                FileKind::Data => {
                    if let Some(object) = object(&file, &source.text, faults) {
                        files.data.push((file, folder.to_owned(), object));
                    }
                }
                FileKind::Params if folder.is_empty() && !prefix.is_empty() => {
                    if let Some(object) = object(&file, &source.text, faults) {
                        let settings = files.settings.get_or_insert_with(Object::new);
                        add(settings, &object, &file, "params", faults);
                    }
                }
                FileKind::Params => {
                    if let Some(object) = object(&file, &source.text, faults) {
                        params.push((file, beside.to_owned(), object));
                    }
                }
                FileKind::ParamsSchema => {
                    if let Some(object) = object(&file, &source.text, faults) {
                        schemas.insert(beside.to_owned(), Document::Object(object));
                    }
                }
                FileKind::Enforcement if prefix.is_empty() => faults.push(unknown(&file)),
                FileKind::Enforcement => {
                    for (package, set) in enforcement(&file, &source.text, faults) {
                        if files.enforcement.insert(package.clone(), set).is_some() {
                            let message = format!("`{package}` is set in another file, too");
                            faults.push(LoadError::file("enforcement", &file, message));
                        }
                    }
                }
                FileKind::Unknown => faults.push(unknown(&file)),
                FileKind::RegoTest | FileKind::Ignored => {}
            }
        }
        for (file, folder, values) in params {
            match schemas.get(&folder) {
                Some(schema) => files.params.push(ParamsFile {
                    file,
                    values,
                    schema: schema.clone(),
                }),
                None => faults.push(
                    LoadError::file(
                        "params",
                        &file,
                        "there is no `params.schema.json` beside it",
                    )
                    .remedy("describe the parameters by a JSON Schema"),
                ),
            }
        }
        files
    }

    /// Everything below `data` that files hold.
    pub(crate) fn data(&self, faults: &mut Vec<LoadError>) -> Object {
        let mut data = Object::new();
        for (file, folder, values) in &self.data {
            let path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
            let mut placed = Document::Object(values.clone());
            for part in path.iter().rev() {
                let mut outer = Object::new();
                outer.set(part, placed);
                placed = Document::Object(outer);
            }
            if let Document::Object(placed) = placed {
                taken(file, &placed, faults);
                add(&mut data, &placed, file, "data", faults);
            }
        }
        let mut params = Object::new();
        for file in &self.params {
            add(&mut params, &file.values, &file.file, "data.params", faults);
        }
        data.set("params", Document::Object(params));
        data
    }
}

/// Gives a connection's layer the global data; what both have is a fault.
pub(super) fn add_shared(
    data: &mut Object,
    shared: &Object,
    prefix: &str,
    faults: &mut Vec<LoadError>,
) {
    let mut own = std::mem::take(data);
    let own_params = own.remove("params");
    for (key, _) in own.iter() {
        if shared.contains(key) {
            let message = format!("`data.{key}` belongs to the global layer");
            faults.push(
                LoadError::file("data", prefix.trim_end_matches('/'), message)
                    .remedy("use another folder name for the connection's own data"),
            );
        }
    }
    *data = shared.clone();
    params::merge_plain(data, &own);
    if let Some(Document::Object(own)) = own_params {
        let mut both = data
            .get("params")
            .and_then(Document::as_object)
            .cloned()
            .unwrap_or_default();
        add(
            &mut both,
            &own,
            prefix.trim_end_matches('/'),
            "data.params",
            faults,
        );
        data.set("params", Document::Object(both));
    }
}

fn unknown(file: &str) -> LoadError {
    LoadError::file("file", file, "the file is not read").remedy(
        "name data `data.yaml`, parameters `params.yaml` and their schema `params.schema.json`, or move it to `cases`",
    )
}

fn object(file: &str, text: &str, faults: &mut Vec<LoadError>) -> Option<Object> {
    super::progress::at("reading", file);
    match crate::yaml::parse(text) {
        Ok(Document::Object(object)) => Some(object),
        Ok(other) => {
            let message = format!("the file holds {}, expected a mapping", other.type_name());
            faults.push(LoadError::file("data", file, message));
            None
        }
        Err(fault) => {
            let error = LoadError::file("data", file, fault.message);
            faults.push(match fault.line {
                Some(line) => error.at(line, fault.column),
                None => error,
            });
            None
        }
    }
}

fn enforcement(
    file: &str,
    text: &str,
    faults: &mut Vec<LoadError>,
) -> BTreeMap<String, Enforcement> {
    let mut all = BTreeMap::new();
    for (package, value) in object(file, text, faults).unwrap_or_default() {
        let enforcement = match value.as_str() {
            Some("enforce") => Enforcement::Enforce,
            Some("warn") => Enforcement::Warn,
            Some("dryrun") => Enforcement::Dryrun,
            Some("off") => Enforcement::Off,
            _ => {
                let message = format!(
                    "`{package}` is {}, expected enforce, warn, dryrun or off",
                    value.to_json()
                );
                faults.push(LoadError::file("enforcement", file, message));
                continue;
            }
        };
        all.insert(package, enforcement);
    }
    all
}

/// The engine would let data take the place of a rule without a word.
fn taken(file: &str, placed: &Object, faults: &mut Vec<LoadError>) {
    for (key, _) in placed.iter() {
        if TAKEN.contains(&key) {
            let message = format!("`data.{key}` belongs to rules and parameters");
            faults.push(
                LoadError::file("data", file, message)
                    .remedy("move the data to a folder of another name"),
            );
        }
    }
}

/// Adds members; two values in one place are a fault.
fn add(base: &mut Object, values: &Object, file: &str, path: &str, faults: &mut Vec<LoadError>) {
    for (key, value) in values.iter() {
        let here = format!("{path}.{key}");
        match (base.get(key), value) {
            (None, _) => base.set(key, value.clone()),
            (Some(Document::Object(mine)), Document::Object(theirs)) => {
                let mut mine = mine.clone();
                add(&mut mine, theirs, file, &here, faults);
                base.set(key, Document::Object(mine));
            }
            (Some(_), _) => faults.push(
                LoadError::file(
                    "data",
                    file,
                    format!("`{here}` has a value in another file"),
                )
                .remedy("keep it in one file"),
            ),
        }
    }
}
