//! One connection's mistake is its own: its layer stays at its last good state, and what the others
//! changed comes into force.

use std::collections::BTreeMap;
use std::sync::Arc;

use crmgate_domain::ConnectionName;
use crmgate_policy::{ConnectionSources, LoadErrors, PolicySet, Sources};

use super::{PolicyParts, aside, try_out};

/// Layers whose loading did not come to an end, as they were, and what was told of them. Trying one
/// of them again costs everybody all the time that loading may take: only another text is worth it.
pub(super) type Deadly = BTreeMap<ConnectionName, (ConnectionSources, LoadErrors)>;

/// The code of a fault by which a loading child died or did not come back.
const DID_NOT_END: &str = "loader";

/// A set that can come into force.
pub(super) struct Loaded {
    /// What it was made of.
    pub(super) sources: Sources,
    pub(super) set: Arc<PolicySet>,
    /// Connections whose newest layer it has not, and why.
    pub(super) without: BTreeMap<ConnectionName, LoadErrors>,
    /// Those of them that need not be tried again as they are.
    pub(super) deadly: Deadly,
}

/// Reads, tries and loads the sources. Reading and loading take the time they take, off the
/// threads that answer requests. `accepted` is what was in force last.
pub(super) async fn load(
    parts: &PolicyParts,
    accepted: Option<&Sources>,
    known: &Deadly,
) -> Result<Loaded, LoadErrors> {
    let source = Arc::clone(&parts.source);
    let mut sources = aside(move || source.read()).await?;
    let mut without: BTreeMap<ConnectionName, LoadErrors> = BTreeMap::new();
    let mut deadly = Deadly::new();
    let last = |name: &ConnectionName| accepted.and_then(|sources| sources.connections.get(name));
    for (name, (newest, faults)) in known {
        let unchanged = sources
            .connections
            .get_mut(name)
            .filter(|own| *own == newest);
        if let Some(layer) = unchanged {
            deadly.insert(name.clone(), (newest.clone(), faults.clone()));
            *layer = step_back(layer, last(name));
            without.insert(name.clone(), faults.clone());
        }
    }
    // INVARIANT: ends, because each round takes at least one layer a step back, from the newest to
    // the last good one to none, or comes to an end.
    loop {
        let errors = match try_out(parts, sources.clone()).await {
            Ok(set) => {
                return Ok(Loaded {
                    sources,
                    set,
                    without,
                    deadly,
                });
            }
            Err(errors) => errors,
        };
        let (own, rest) = errors.by_connection();
        if own.is_empty() || rest.is_some() {
            return Err(all(errors, without));
        }
        for (name, faults) in own {
            let Some(layer) = sources.connections.get_mut(&name).filter(|own| !own.shut) else {
                return Err(all(faults, without));
            };
            // One that was tried in this run is in the list, and was no good.
            let tried = without.contains_key(&name);
            if !tried && faults.all().iter().any(|fault| fault.code == DID_NOT_END) {
                deadly.insert(name.clone(), (layer.clone(), faults.clone()));
            }
            *layer = step_back(layer, last(&name).filter(|_| !tried));
            without.entry(name).or_insert(faults);
        }
    }
}

/// What a layer is without its newest state.
fn step_back(layer: &ConnectionSources, last: Option<&ConnectionSources>) -> ConnectionSources {
    match last {
        Some(last) if last != layer => last.clone(),
        _ => ConnectionSources::shut(),
    }
}

/// Every fault that was found.
fn all(errors: LoadErrors, without: BTreeMap<ConnectionName, LoadErrors>) -> LoadErrors {
    let found = without.into_values().chain([errors.clone()]);
    let faults = found.flat_map(|errors| errors.all().to_vec()).collect();
    LoadErrors::new(faults).unwrap_or(errors)
}
