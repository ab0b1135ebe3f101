//! One connection's mistake is its own: its layer stays at its last good state, and what the others
//! changed comes into force.

use std::collections::BTreeMap;
use std::sync::Arc;

use crmgate_domain::ConnectionName;
use crmgate_policy::{ConnectionSources, LoadErrors, PolicySet, Sources};

use super::{PolicyParts, aside, try_out};

/// A set that can come into force.
pub(super) struct Loaded {
    /// What it was made of.
    pub(super) sources: Sources,
    pub(super) set: Arc<PolicySet>,
    /// Connections whose newest layer it has not, and why.
    pub(super) without: BTreeMap<ConnectionName, LoadErrors>,
}

/// Reads, tries and loads the sources. Reading and loading take the time they take, off the
/// threads that answer requests. `accepted` is what was in force last.
pub(super) async fn load(
    parts: &PolicyParts,
    accepted: Option<&Sources>,
) -> Result<Loaded, LoadErrors> {
    let source = Arc::clone(&parts.source);
    let mut sources = aside(move || source.read()).await?;
    let mut without: BTreeMap<ConnectionName, LoadErrors> = BTreeMap::new();
    // INVARIANT: ends, because each round takes at least one layer a step back, from the newest to
    // the last good one to none, or comes to an end.
    loop {
        let errors = match try_out(parts, sources.clone()).await {
            Ok(set) => {
                return Ok(Loaded {
                    sources,
                    set,
                    without,
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
            let last = accepted.and_then(|accepted| accepted.connections.get(&name));
            // One that was tried in this run is in the list, and was no good.
            *layer = match (without.get(&name), last) {
                (None, Some(last)) if last != layer => last.clone(),
                _ => ConnectionSources::shut(),
            };
            without.entry(name).or_insert(faults);
        }
    }
}

/// Every fault that was found.
fn all(errors: LoadErrors, without: BTreeMap<ConnectionName, LoadErrors>) -> LoadErrors {
    let found = without.into_values().chain([errors.clone()]);
    let faults = found.flat_map(|errors| errors.all().to_vec()).collect();
    LoadErrors::new(faults).unwrap_or(errors)
}
