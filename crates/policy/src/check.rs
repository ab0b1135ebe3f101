//! Checks on a layer's syntax trees: what the engine would only notice, or not even then, when a
//! decision reaches the line.

use crate::LoadError;
use crate::symbols::Symbols;
use crate::syntax::Place;

pub(crate) mod calls;
pub(crate) mod conflicts;
pub(crate) mod data;
pub(crate) mod graph;
pub(crate) mod growth;
pub(crate) mod imports;
pub(crate) mod regexes;
pub(crate) mod reserved;
pub(crate) mod withs;

#[cfg(test)]
mod tests;

/// Runs every check that needs the trees only.
pub(crate) fn run(symbols: &Symbols<'_>, faults: &mut Vec<LoadError>) {
    reserved::check(symbols, faults);
    imports::check(symbols, faults);
    calls::check(symbols, faults);
    regexes::check(symbols, faults);
    withs::check(symbols, faults);
    graph::check(symbols, faults);
}

fn fault(code: &'static str, file: &str, place: Place, message: String) -> LoadError {
    LoadError::file(code, file, message).at(place.line, Some(place.column))
}
