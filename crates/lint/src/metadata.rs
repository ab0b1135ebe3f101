//! Names in a package's metadata that nothing is known by.

use std::collections::BTreeSet;

use crmgate_policy::metadata::Names;

use crate::catalogue::Catalogue;
use crate::check::relation_fault;
use crate::finding::{Finding, Level};
use crate::layer::{Package, Parsed};
use crate::words::{did_you_mean, list, nearest};

/// Looks at the metadata of every package of a layer. `connections` are the names that are known
/// to exist.
pub(crate) fn run(
    parsed: &Parsed,
    catalogue: &Catalogue,
    connections: &BTreeSet<String>,
    found: &mut Vec<Finding>,
) {
    for package in parsed.packages.values() {
        let at = Block {
            package,
            text: parsed
                .source(&package.file)
                .map_or("", |source| source.text.as_str()),
        };
        objects(&at, catalogue, found);
        known_connections(&at, connections, found);
        needs(&at, catalogue, found);
    }
}

struct Block<'a> {
    package: &'a Package,
    text: &'a str,
}

impl Block<'_> {
    /// A finding about a word of the block.
    fn finding(&self, level: Level, code: &'static str, word: &str, message: String) -> Finding {
        let mut found = Finding::new(level, code, &self.package.file, message);
        found.line = Some(self.package.line);
        let first = usize::try_from(self.package.line).unwrap_or(1);
        let block = self.text.lines().enumerate().skip(first);
        for (index, line) in block.take_while(|(_, line)| line.starts_with('#')) {
            // Names are kept in lower case, which leaves each byte where it was.
            let Some(at) = word_in(&line.to_ascii_lowercase(), &word.to_ascii_lowercase()) else {
                continue;
            };
            let small = |n: usize| u32::try_from(n).ok();
            found.line = small(index + 1);
            found.column = line
                .get(..at)
                .and_then(|start| small(start.chars().count() + 1));
            found.length = small(word.chars().count());
            break;
        }
        found
    }
}

/// Where a word stands on its own.
fn word_in(line: &str, word: &str) -> Option<usize> {
    let part = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    line.match_indices(word).map(|(at, _)| at).find(|at| {
        let bytes = line.as_bytes();
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        !part(before) && !part(bytes.get(at + word.len()))
    })
}

fn objects(at: &Block<'_>, catalogue: &Catalogue, found: &mut Vec<Finding>) {
    let Names::Only(names) = &at.package.metadata.objects else {
        return;
    };
    for name in names {
        if catalogue.canonical(name).is_some() {
            continue;
        }
        let message = format!("`{name}` is no object that a mapping names");
        let near = nearest(name, catalogue.object_names());
        let finding = match near {
            Some(near) => at
                .finding(Level::Error, "unknown_object", name, message)
                .remedy(did_you_mean(near)),
            None => at
                .finding(Level::Info, "unknown_object", name, message)
                .remedy("a custom object is there under the CRM's own API name; check its spelling in the org"),
        };
        found.push(finding);
    }
}

fn known_connections(at: &Block<'_>, known: &BTreeSet<String>, found: &mut Vec<Finding>) {
    let Names::Only(names) = &at.package.metadata.connections else {
        return;
    };
    if known.is_empty() {
        return;
    }
    for name in names.iter().filter(|name| !known.contains(*name)) {
        let message = format!("no connection `{name}` is known");
        let remedy = nearest(name, known.iter().map(String::as_str)).map_or_else(
            || {
                format!(
                    "known are {}",
                    list(known.iter().map(String::as_str), "and")
                )
            },
            did_you_mean,
        );
        found.push(
            at.finding(Level::Warning, "unknown_connection", name, message)
                .remedy(remedy),
        );
    }
}

fn needs(at: &Block<'_>, catalogue: &Catalogue, found: &mut Vec<Finding>) {
    for name in &at.package.metadata.needs {
        let objects = &at.package.governs.objects;
        if let Some((level, remedy)) = relation_fault(catalogue, objects, name) {
            let message = format!("no mapping knows a relation `{name}`");
            found.push(
                at.finding(level, "unknown_relation", name, message)
                    .remedy(remedy),
            );
        }
    }
}
