//! What is under way in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crmgate_domain::{DecisionId, PayloadHash};
use crmgate_store::OutcomeKind;
use tokio::sync::watch;

/// How a write of this process ended, for those that wait to join it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) decision: DecisionId,
    pub(crate) kind: OutcomeKind,
    pub(crate) record_id: Option<String>,
}

/// Decisions whose outcome this process will append, and creates that others may join.
#[derive(Default)]
pub(crate) struct InFlight {
    /// With what is known of the end and not appended yet.
    decisions: Mutex<HashMap<DecisionId, Option<OutcomeKind>>>,
    creates: Mutex<HashMap<PayloadHash, watch::Receiver<Option<Ended>>>>,
}

/// A decision that is under way until this is dropped.
pub(crate) struct UnderWay {
    all: Arc<InFlight>,
    decision: DecisionId,
}

/// A create that nobody else in this process does at the same time.
pub(crate) struct Claim {
    all: Arc<InFlight>,
    key: PayloadHash,
    tell: watch::Sender<Option<Ended>>,
}

/// Whether a create is the first of its kind.
pub(crate) enum Claimed {
    /// It is.
    Mine(Claim),
    /// An equal one is under way.
    Other(watch::Receiver<Option<Ended>>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl InFlight {
    /// Notes a decision as under way: the sweeper leaves it alone.
    pub(crate) fn enter(self: &Arc<Self>, decision: DecisionId) -> UnderWay {
        lock(&self.decisions).insert(decision, None);
        UnderWay {
            all: Arc::clone(self),
            decision,
        }
    }

    pub(crate) fn holds(&self, decision: DecisionId) -> bool {
        lock(&self.decisions).contains_key(&decision)
    }

    /// Whether it is known how the decision ended, although the store may not say so yet.
    pub(crate) fn has_ended(&self, decision: DecisionId) -> bool {
        let known = lock(&self.decisions).get(&decision).copied().flatten();
        known.is_some_and(OutcomeKind::is_final)
    }

    /// How the decision ended, as far as this process knows it before the store does.
    pub(crate) fn ended_as(&self, decision: DecisionId) -> Option<OutcomeKind> {
        let known = lock(&self.decisions).get(&decision).copied().flatten();
        known.filter(|kind| kind.is_final())
    }

    /// Claims a create.
    pub(crate) fn claim(self: &Arc<Self>, key: PayloadHash) -> Claimed {
        let mut creates = lock(&self.creates);
        if let Some(other) = creates.get(&key) {
            return Claimed::Other(other.clone());
        }
        let (tell, hear) = watch::channel(None);
        creates.insert(key, hear);
        Claimed::Mine(Claim {
            all: Arc::clone(self),
            key,
            tell,
        })
    }
}

impl UnderWay {
    /// Notes how it ended.
    pub(crate) fn note(&self, kind: OutcomeKind) {
        lock(&self.all.decisions).insert(self.decision, Some(kind));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        lock(&self.all.decisions).remove(&self.decision);
    }
}

impl Claim {
    /// Tells those that wait how it ended.
    pub(crate) fn end(&self, ended: Ended) {
        self.tell.send_replace(Some(ended));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.all.creates).remove(&self.key);
    }
}

/// Waits until the other one ended; `None` when it ended without a write.
pub(crate) async fn ended(mut other: watch::Receiver<Option<Ended>>) -> Option<Ended> {
    let waited = other.wait_for(Option::is_some).await;
    waited.ok().and_then(|ended| ended.clone())
}
