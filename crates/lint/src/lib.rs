//! Finds mistakes in policies before they bite: what does not load, and what loads and is most
//! likely not meant.
//!
//! Sources in, findings out; nothing is run and nothing is written. What can be known of a
//! record comes from a [`Catalogue`] of the vocabulary and the mappings.
//!
//! Beside what loading says (`syntax`, `metadata`, `call`, `data`, …), these are found:
//!
//! | code | what it says |
//! |---|---|
//! | `argument_type` | a function or an operator is given what it can't take |
//! | `before_in_scan` | a rule that governs scans reads what was before, which is what is |
//! | `compared_order` | a choice is compared by the alphabet |
//! | `compared_types` | two values of kinds that are never equal, or ordered by kind alone |
//! | `count_text` | `count` of a text counts UTF-16 units |
//! | `deprecated` | a function that OPA gave up |
//! | `duplicate_rule` | two packages have the same rule |
//! | `every_undefined` | `every` over what may be absent fails there |
//! | `format` | a format and its values do not fit |
//! | `misshapen` | what a reserved rule says is not of the form that the engine takes |
//! | `may_fail` | a function is an error for a text of another form, and nothing checks it |
//! | `money` | arithmetic or equality on money in major units |
//! | `need_unsaid` | a related record is read that the metadata does not ask for |
//! | `never` | a statement that is never true |
//! | `no_scopes` | scopes are asked for, and the list of them is empty |
//! | `not_in_missing` | `not … in` holds where the collection is missing |
//! | `null_argument` | a value that may be null goes where null is an error |
//! | `one_system` | a field that only some CRMs have |
//! | `patch_conflict` | two packages set a field to different values |
//! | `patch_refused` | one package sets what another refuses |
//! | `personal_message` | a message quotes what is about a person |
//! | `regex_unicode` | `\\d` and `\\w` mean every script's digits and letters |
//! | `request_unsaid` | the native request is read by a package that governs beyond the gateway |
//! | `reserved_code` | a code that the engine gives itself |
//! | `same_code` | two packages that govern the same records refuse by one code |
//! | `scopes_refused` | one package asks for scopes that another refuses |
//! | `shadowed` | a variable hides a rule or an import |
//! | `some_not_equal` | `x[_] != y` is true if any one item differs |
//! | `time_in_scan` | a rule that governs scans depends on the time |
//! | `unknown_connection` | a connection that does not exist |
//! | `unknown_data` | data that is not there |
//! | `unknown_field` | a field that no mapping knows |
//! | `unknown_input` | a member that the input's schema does not have |
//! | `unknown_native` | a native field that no mapping names |
//! | `unknown_object` | an object that no mapping names |
//! | `unknown_relation` | a relation that no mapping knows |
//! | `unknown_rule` | a rule whose name is nearly a reserved one |
//! | `unsafe` | a variable that nothing gives a value |
//! | `unknown_value` | a value that a choice does not have |
//! | `unreachable` | an `else` behind what always holds |
//! | `unused_file` | a file of helpers that nothing uses |
//! | `unused_import` | an import that nothing uses |
//! | `unused_rule` | a rule that nothing that decides uses |
//! | `unused_variable` | a variable that nothing uses |

mod catalogue;
mod check;
mod conditions;
mod finding;
mod layer;
mod metadata;
mod never;
mod recover;
mod render;
mod sarif;
mod scans;
mod schema;
mod shapes;
mod teams;
mod types;
mod unused;
mod variables;
mod words;

pub use catalogue::{Catalogue, Field, FieldKind, Object};
pub use finding::{Also, Finding, Findings, Level};
pub use render::render;
pub use sarif::sarif;

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
        shapes::run(layer, &mut found);
        metadata::run(layer.parsed, catalogue, &connections, &mut found);
    }
    teams::run(&all, &mut found);
    if let Err(errors) = loaded {
        let faults = errors.all().iter();
        let told: Vec<Finding> = faults
            .filter_map(|fault| of_loading(fault, &all, &found))
            .collect();
        found.extend(told);
    }
    Findings::sorted(found)
}

/// What loading said, unless it is told better already.
fn of_loading(fault: &LoadError, layers: &[Parsed], found: &[Finding]) -> Option<Finding> {
    // All syntax errors of a file were told, this first one among them.
    let source = layers.iter().find_map(|layer| layer.source(&fault.file));
    let engines = matches!(fault.code, "syntax" | "unsafe");
    if fault.code == "syntax" && source.is_some() {
        return None;
    }
    let better = match fault.code {
        "unsafe" => "unsafe",
        "call" => "deprecated",
        _ => "",
    };
    let here = |f: &&Finding| f.code == better && f.file == fault.file && f.line == fault.line;
    if found.iter().any(|f| here(&f)) {
        return None;
    }
    // Told with the line that reads it.
    let at_its_line = fault.line.is_none()
        && ["reads `input.request`", "reads `input.related."]
            .iter()
            .any(|reads| fault.message.contains(reads));
    if at_its_line
        && found
            .iter()
            .any(|f| f.code.ends_with("_unsaid") && f.file == fault.file)
    {
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
