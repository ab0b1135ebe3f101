//! The set in force.

use std::sync::Arc;

use arc_swap::ArcSwap;
use crmgate_domain::{RevisionId, Timestamp};

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
        self.state.rcu(|state| State {
            since: if state.set.revision() == set.revision() {
                state.since
            } else {
                now
            },
            set: Arc::clone(set),
            broken: None,
        });
    }

    /// Keeps the set in force and remembers why the newest sources are not.
    pub fn note_broken(&self, errors: LoadErrors, now: Timestamp) {
        let errors = Arc::new(errors);
        self.state.rcu(|state| State {
            set: Arc::clone(&state.set),
            since: state.since,
            broken: Some((now, Arc::clone(&errors))),
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
        }
    }
}
