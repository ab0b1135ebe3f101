//! Finds mistakes in policies before they bite: what does not load, and what loads and is most
//! likely not meant.
//!
//! Sources in, findings out; nothing is run and nothing is written. What can be known of a
//! record comes from a [`Catalogue`] of the vocabulary and the mappings.

mod catalogue;
mod check;
mod conditions;
mod finding;
mod layer;
mod metadata;
mod never;
mod recover;
mod render;
mod scans;
mod schema;
mod teams;
mod types;
mod unused;
mod words;

pub use catalogue::{Catalogue, Field, FieldKind, Object};
pub use finding::{Also, Finding, Findings, Level};
pub use render::render;

use std::collections::BTreeSet;

use crmgate_policy::analysis::layers;
use crmgate_policy::{LoadError, LoadErrors, Sources};

use layer::{Layer, Parsed};
use words::nearest;

/// Looks at every file of a policy set. `loaded` is what loading it said.
#[must_use]
pub fn check(
    sources: &Sources,
    catalogue: &Catalogue,
    loaded: Result<(), &LoadErrors>,
) -> Findings {
    let mut found = Vec::new();
    let mut all: Vec<Parsed> = Vec::new();
    for files in layers(sources) {
        let parsed = Parsed::read(files, all.first(), catalogue, &mut found);
        all.push(parsed);
    }
    let connections = connections(&all, catalogue);
    let read: Vec<Layer<'_>> = all.iter().map(|p| Layer::new(p, catalogue)).collect();
    let used: Vec<BTreeSet<_>> = read.iter().skip(1).map(unused::of_helpers).collect();
    let used: BTreeSet<(String, String)> = used.into_iter().flatten().collect();
    for layer in &read {
        check::run(layer, &mut found);
        unused::run(layer, &used, &mut found);
        never::run(layer, &mut found);
        scans::run(layer, &mut found);
        metadata::run(layer.parsed, catalogue, &connections, &mut found);
    }
    teams::run(&all, &mut found);
    if let Err(errors) = loaded {
        found.extend(
            errors
                .all()
                .iter()
                .filter_map(|fault| of_loading(fault, &all)),
        );
    }
    Findings::sorted(found)
}

/// What loading said, unless it is told better already.
fn of_loading(fault: &LoadError, layers: &[Parsed]) -> Option<Finding> {
    // All syntax errors of a file were told, this first one among them.
    let source = layers.iter().find_map(|layer| layer.source(&fault.file));
    let engines = matches!(fault.code, "syntax" | "unsafe");
    if fault.code == "syntax" && source.is_some() {
        return None;
    }
    let finding = explained(fault);
    Some(if engines {
        finding.in_characters(source.map(|source| source.text.as_str()))
    } else {
        finding
    })
}

/// A fault with what was expected apart, and the word that was meant.
fn explained(fault: &LoadError) -> Finding {
    let mut finding = Finding::from(fault);
    if let Some((message, expected)) = fault.message.split_once(", expected ") {
        finding.message = message.to_owned();
        finding.expected = Some(expected.to_owned());
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let known = || {
            expected
                .split([',', ' ', '`', '(', ')'])
                .filter(|word| !word.is_empty())
        };
        let near = quoted
            .iter()
            .rev()
            .filter_map(|word| word.rsplit('.').next())
            .find_map(|word| nearest(word, known()));
        if finding.remedy.is_none() {
            finding.remedy = near.map(words::did_you_mean);
        }
    }
    if fault.code == "unsafe" && finding.remedy.is_none() {
        finding.remedy = Some(
            "a variable needs a value before it is used: write `:=` to give it one, `some x in …` to go through a collection; inside `not` it must have one already"
                .into(),
        );
    }
    finding
}

/// The connections that are known to exist: those configured, or else those with a layer.
fn connections(layers: &[Parsed], catalogue: &Catalogue) -> BTreeSet<String> {
    if !catalogue.connections.is_empty() {
        return catalogue.connections.clone();
    }
    layers
        .iter()
        .filter_map(|layer| layer.connection.clone())
        .collect()
}
