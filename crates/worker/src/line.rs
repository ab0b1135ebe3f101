//! All that the worker has of one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crmgate_domain::{Ambient, Timestamp};
use crmgate_enforce::queued::Desk;
use crmgate_enforce::{Ask, Caller, Gate};
use crmgate_store::StoredOperation;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::batch::Batches;
use crate::drafts::Drafted;
use crate::leases::Leases;
use crate::{Drafts, Governor, Settings};

/// One connection, as its operations are worked on.
pub(crate) struct Line {
    pub(crate) gate: Arc<Gate>,
    pub(crate) governor: Arc<Governor>,
    pub(crate) desk: Desk,
    pub(crate) drafts: Arc<dyn Drafts>,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) settings: Settings,
    pub(crate) leases: Arc<Leases>,
    pub(crate) batches: Batches,
    pub(crate) coming: Coming,
    /// Calls go on when the handler that waits for them is gone.
    pub(crate) tasks: TaskTracker,
}

/// How many operations are on their way to a batch.
#[derive(Debug, Default)]
pub(crate) struct Coming {
    count: AtomicUsize,
    none: Notify,
}

/// One that is on its way, until this is dropped.
pub(crate) struct OnItsWay<'a>(&'a Coming);

impl Coming {
    pub(crate) fn one(&self) -> OnItsWay<'_> {
        self.count.fetch_add(1, Ordering::AcqRel);
        OnItsWay(self)
    }

    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Returns when none is, or was a moment ago.
    pub(crate) async fn ended(&self) {
        let told = self.none.notified();
        if self.any() {
            told.await;
        }
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

impl Line {
    pub(crate) fn now(&self) -> Timestamp {
        self.ambient.now()
    }

    /// What is asked of the gate. The time that policies see is that of the judgement: what waited
    /// is judged as what it is now.
    ///
    /// # Errors
    /// As [`Drafts::draft`].
    pub(crate) async fn ask(
        &self,
        stored: &StoredOperation,
    ) -> Result<Ask, crmgate_connector::ParseFailure> {
        let now = self.now();
        let began = std::time::Instant::now();
        let Drafted {
            draft,
            point,
            credential,
        } = self.drafts.draft(stored, now).await?;
        Ok(Ask {
            draft,
            caller: Caller {
                actor: stored.actor.clone(),
                org: None,
                credential,
            },
            point,
            at: now,
            purpose: stored.purpose.clone(),
            parsing: began.elapsed(),
            later: None,
        })
    }
}
