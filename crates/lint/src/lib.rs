//! Finds mistakes in policies before they bite: what does not load, and what loads and is most
//! likely not meant.
//!
//! Sources in, findings out; nothing is run and nothing is written. What can be known of a
//! record comes from a [`Catalogue`] of the vocabulary and the mappings.

mod catalogue;
mod check;
mod finding;
mod layer;
mod recover;
mod schema;
mod types;
mod words;

pub use catalogue::{Catalogue, Field, FieldKind, Object};
pub use finding::{Also, Finding, Findings, Level};

use crmgate_policy::analysis::layers;
use crmgate_policy::{LoadErrors, Sources};

use layer::{Layer, Parsed};

/// Looks at every file of a policy set. `loaded` is what loading it said.
#[must_use]
pub fn check(
    sources: &Sources,
    catalogue: &Catalogue,
    loaded: Result<(), &LoadErrors>,
) -> Findings {
    let mut found = Vec::new();
    let mut global: Option<Parsed> = None;
    for files in layers(sources) {
        let parsed = Parsed::read(files, global.as_ref(), catalogue, &mut found);
        {
            let layer = Layer::new(&parsed, catalogue);
            check::run(&layer, &mut found);
        }
        global.get_or_insert(parsed);
    }
    if let Err(errors) = loaded {
        found.extend(errors.all().iter().map(Finding::from));
    }
    Findings::sorted(found)
}
