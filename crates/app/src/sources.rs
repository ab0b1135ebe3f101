//! Policy sources as text: to be stored with their revision, and to be handed to a child process.

use std::collections::BTreeMap;

use crmgate_domain::{ConnectionName, Enforcement, Object};
use crmgate_policy::{ConnectionSources, Source, Sources};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct All {
    global: Vec<File>,
    #[serde(default)]
    connections: BTreeMap<ConnectionName, Own>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    files: Vec<File>,
    params: Object,
    enforcement: BTreeMap<String, Enforcement>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    shut: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    path: String,
    text: String,
}

/// Text that is not policy sources.
#[derive(Debug, thiserror::Error)]
#[error("not policy sources: {0}")]
pub struct NotSources(String);

fn file(source: &Source) -> File {
    File {
        path: source.path.clone(),
        text: source.text.clone(),
    }
}

fn source(file: File) -> Source {
    Source {
        path: file.path,
        text: file.text,
    }
}

/// Writes sources as JSON.
///
/// # Errors
/// When they hold what JSON cannot say; sources that were read never do.
pub fn write(sources: &Sources) -> Result<String, NotSources> {
    let connections = sources.connections.iter().map(|(name, own)| {
        let own = Own {
            files: own.files.iter().map(file).collect(),
            params: own.params.clone(),
            enforcement: own.enforcement.clone(),
            shut: own.shut,
        };
        (name.clone(), own)
    });
    let all = All {
        global: sources.global.iter().map(file).collect(),
        connections: connections.collect(),
    };
    serde_json::to_string(&all).map_err(|error| NotSources(error.to_string()))
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// When it is something else.
pub fn read(text: &str) -> Result<Sources, NotSources> {
    let all: All = serde_json::from_str(text).map_err(|error| NotSources(error.to_string()))?;
    let connections = all.connections.into_iter().map(|(name, own)| {
        let own = ConnectionSources {
            files: own.files.into_iter().map(source).collect(),
            params: own.params,
            enforcement: own.enforcement,
            shut: own.shut,
            ..ConnectionSources::default()
        };
        (name, own)
    });
    Ok(Sources {
        global: all.global.into_iter().map(source).collect(),
        connections: connections.collect(),
    })
}

#[cfg(test)]
mod tests {
    use crmgate_domain::Document;

    use super::*;

    #[test]
    fn sources_come_back_as_they_were() {
        let mut sources =
            Sources::global([("sales/a.rego".to_owned(), "package x\n\"\u{1}".to_owned())]);
        let mut params = Object::new();
        params.set(
            "sales",
            Document::parse(br#"{"d": {"max": 12.50, "b": [1, null]}}"#).unwrap(),
        );
        let own = ConnectionSources {
            files: vec![Source {
                path: "own/b.rego".to_owned(),
                text: String::new(),
            }],
            params,
            enforcement: BTreeMap::from([("crm.sales.d".to_owned(), Enforcement::Dryrun)]),
            ..ConnectionSources::default()
        };
        sources.connections.insert("acme-sf".parse().unwrap(), own);
        let shut = ConnectionSources::shut();
        sources.connections.insert("acme-dv".parse().unwrap(), shut);
        assert_eq!(read(&write(&sources).unwrap()).unwrap(), sources);
        assert!(read("{\"global\": 1}").is_err());
    }
}
