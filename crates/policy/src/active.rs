//! The set in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use crmgate_domain::{ConnectionName, RevisionId, Timestamp};

use crate::{LoadErrors, PolicySet};

#[cfg(test)]
mod tests;

/// What is in force, and what could not come into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The revision in force.
    pub revision: RevisionId,
    /// Since when.
    pub since: Timestamp,
    /// Why the newest sources are not in force, and since when they are broken.
    pub broken: Option<(Timestamp, Arc<LoadErrors>)>,
    /// Connections whose newest layer is not in force, while that of the others is.
    pub apart: BTreeMap<ConnectionName, Apart>,
}

/// A connection that does not have its newest layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apart {
    /// Since when its layer is broken.
    pub since: Timestamp,
    /// What is wrong with it.
    pub errors: Arc<LoadErrors>,
    /// Whether nothing is judged for it, because there is no earlier layer that could be.
    pub shut: bool,
}

/// Holds the set in force. Readers never wait; a broken set never replaces a good one.
#[derive(Debug)]
pub struct Active {
    state: ArcSwap<State>,
}

#[derive(Debug)]
struct State {
    set: Arc<PolicySet>,
    since: Timestamp,
    broken: Option<(Timestamp, Arc<LoadErrors>)>,
    apart: BTreeMap<ConnectionName, Apart>,
}

impl Active {
    /// Starts with a set.
    #[must_use]
    pub fn new(set: Arc<PolicySet>, now: Timestamp) -> Self {
        Self {
            state: ArcSwap::from_pointee(State {
                set,
                since: now,
                broken: None,
                apart: BTreeMap::new(),
            }),
        }
    }

    /// The set in force. Keep it for the whole of one decision.
    #[must_use]
    pub fn current(&self) -> Arc<PolicySet> {
        Arc::clone(&self.state.load().set)
    }

    /// Puts a set into force and forgets what was broken before. The same revision again keeps
    /// its date.
    pub fn publish(&self, set: &Arc<PolicySet>, now: Timestamp) {
        self.publish_without(set, BTreeMap::new(), now);
    }

    /// The same where the newest layers of some connections are broken, and the set has their
    /// earlier ones.
    pub fn publish_without(
        &self,
        set: &Arc<PolicySet>,
        broken: BTreeMap<ConnectionName, LoadErrors>,
        now: Timestamp,
    ) {
        let broken: BTreeMap<_, _> = broken
            .into_iter()
            .map(|(name, errors)| (name, Arc::new(errors)))
            .collect();
        self.state.rcu(|state| {
            let apart = broken.iter().map(|(name, errors)| {
                let apart = Apart {
                    since: state.apart.get(name).map_or(now, |apart| apart.since),
                    errors: Arc::clone(errors),
                    shut: set.is_shut(name),
                };
                (name.clone(), apart)
            });
            State {
                since: if state.set.revision() == set.revision() {
                    state.since
                } else {
                    now
                },
                set: Arc::clone(set),
                broken: None,
                apart: apart.collect(),
            }
        });
    }

    /// Keeps the set in force and remembers why the newest sources are not.
    pub fn note_broken(&self, errors: LoadErrors, now: Timestamp) {
        let errors = Arc::new(errors);
        self.state.rcu(|state| State {
            set: Arc::clone(&state.set),
            since: state.since,
            broken: Some((now, Arc::clone(&errors))),
            apart: state.apart.clone(),
        });
    }

    /// What to tell about it.
    #[must_use]
    pub fn status(&self) -> Status {
        let state = self.state.load();
        Status {
            revision: state.set.revision().clone(),
            since: state.since,
            broken: state.broken.clone(),
            apart: state.apart.clone(),
        }
    }
}
