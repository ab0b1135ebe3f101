//! Who waits in this process for what is written: rung after the commit.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crmgate_domain::OperationId;
use crmgate_store::{NewJob, Wakening};
use tokio::sync::Notify;

/// What a transaction did, as far as somebody may wait for it.
#[derive(Debug, Default)]
pub(crate) struct Rung {
    /// Operations that moved.
    pub(crate) moved: Vec<OperationId>,
    /// Queues that jobs were pushed to.
    pub(crate) queues: BTreeSet<String>,
    /// Jobs that are to be pushed elsewhere.
    pub(crate) elsewhere: Vec<NewJob>,
}

impl Rung {
    /// What another step of the same transaction did.
    pub(crate) fn add(&mut self, other: Self) {
        self.moved.extend(other.moved);
        self.queues.extend(other.queues);
        self.elsewhere.extend(other.elsewhere);
    }
}

/// The bells of a store.
#[derive(Default)]
pub(crate) struct Bells {
    wakening: OnceLock<Arc<dyn Wakening>>,
    queues: Mutex<HashMap<String, Arc<Notify>>>,
    operations: Mutex<HashMap<OperationId, Watched>>,
}

struct Watched {
    bell: Arc<Notify>,
    watchers: usize,
}

/// Somebody's wait for an operation.
pub(crate) struct Watch<'a> {
    bells: &'a Bells,
    id: OperationId,
    bell: Arc<Notify>,
}

impl Bells {
    /// Jobs lie elsewhere from now on.
    pub(crate) fn waken_through(&self, wakening: Arc<dyn Wakening>) {
        if self.wakening.set(wakening).is_err() {
            tracing::warn!("where jobs lie was said twice; the first word holds");
        }
    }

    /// Whether jobs lie elsewhere.
    pub(crate) fn elsewhere(&self) -> bool {
        self.wakening.get().is_some()
    }

    /// Tells all who wait.
    pub(crate) fn ring(&self, rung: Rung) {
        {
            let watched = self.watched();
            for bell in rung.moved.iter().filter_map(|id| watched.get(id)) {
                bell.bell.notify_waiters();
            }
        }
        for queue in &rung.queues {
            self.ring_queue(queue);
        }
        if let Some(wakening) = self.wakening.get()
            && !rung.elsewhere.is_empty()
        {
            wakening.wake(rung.elsewhere);
        }
    }

    fn ring_queue(&self, queue: &str) {
        let bell = self.queue(queue);
        // Those who wait now, and the next one who would.
        bell.notify_waiters();
        bell.notify_one();
    }

    /// The bell of a queue.
    pub(crate) fn queue(&self, queue: &str) -> Arc<Notify> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = queues.get(queue) {
            return Arc::clone(bell);
        }
        let bell = Arc::new(Notify::new());
        queues.insert(queue.to_owned(), Arc::clone(&bell));
        bell
    }

    /// Begins to wait for an operation.
    pub(crate) fn watch(&self, id: OperationId) -> Watch<'_> {
        let mut watched = self.watched();
        let entry = watched.entry(id).or_insert_with(|| Watched {
            bell: Arc::new(Notify::new()),
            watchers: 0,
        });
        entry.watchers += 1;
        Watch {
            bells: self,
            id,
            bell: Arc::clone(&entry.bell),
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<OperationId, Watched>> {
        self.operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch<'_> {
    pub(crate) fn bell(&self) -> &Notify {
        &self.bell
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut watched = self.bells.watched();
        if let Some(entry) = watched.get_mut(&self.id) {
            entry.watchers -= 1;
            if entry.watchers == 0 {
                watched.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> OperationId {
        "0198c5a0-0000-7000-8000-000000000001".parse().unwrap()
    }

    #[tokio::test]
    async fn who_waits_is_told_and_forgotten() {
        let bells = Bells::default();
        let watch = bells.watch(id());
        let told = watch.bell().notified();
        bells.ring(Rung {
            moved: vec![id()],
            ..Rung::default()
        });
        told.await;
        drop(watch);
        assert!(bells.watched().is_empty());
    }

    #[tokio::test]
    async fn a_push_before_the_wait_is_heard() {
        let bells = Bells::default();
        bells.ring(Rung {
            queues: BTreeSet::from(["q".to_owned()]),
            ..Rung::default()
        });
        bells.queue("q").notified().await;
    }
}
