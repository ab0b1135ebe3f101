//! Held operations, to be looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use crmgate_domain::{Ambient, ConnectionName, HoldId};
use crmgate_store::{Hold, HoldFilter, HoldStatus, Page, Store, StoreError};

use crate::approvals::for_viewer;
use crate::decisions::check_limit;
use crate::{Action, AppError, Principal};

/// Reads holds.
pub struct Holds {
    store: Arc<dyn Store>,
    ambient: Arc<dyn Ambient>,
}

impl Holds {
    /// Over a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, ambient: Arc<dyn Ambient>) -> Self {
        Self { store, ambient }
    }

    /// The store expires a hold when an equal request comes; whoever looks sees it at once.
    fn now(&self, hold: Hold) -> Hold {
        let usable = match hold.status {
            HoldStatus::Waiting => true,
            HoldStatus::Approved => hold.queued.is_none(),
            _ => false,
        };
        let over = usable && hold.expires_at <= self.ambient.now();
        Hold {
            status: if over {
                HoldStatus::Expired
            } else {
                hold.status
            },
            ..hold
        }
    }

    /// How many wait for people now, by connection.
    pub(crate) async fn waiting(&self) -> Result<BTreeMap<ConnectionName, u64>, StoreError> {
        self.store.holds_waiting(self.ambient.now()).await
    }

    /// For how long the oldest of them has waited.
    pub(crate) async fn measure_age(&self, connections: &[ConnectionName]) {
        let now = self.ambient.now();
        match self.store.holds_waiting_since(now).await {
            Ok(since) => crate::approvals::meters::oldest(connections.iter(), &since, now),
            Err(error) => tracing::warn!(%error, "the age of held operations is not known"),
        }
    }

    /// Holds, newest first, of the connections the caller may see; a mere client sees its own
    /// only. `filter.visible` is set here, whatever the caller put there.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` for a cursor or limit that is none; `Unavailable`.
    pub async fn list(
        &self,
        by: &Principal,
        mut filter: HoldFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Hold>, AppError> {
        by.demand(Action::ReadHolds)?;
        check_limit(limit)?;
        filter.visible = by.visible();
        if let Some(own) = by.only_own() {
            if filter.actor.as_deref().is_some_and(|actor| actor != own) {
                return Ok(Page {
                    items: Vec::new(),
                    next: None,
                });
            }
            filter.actor = Some(own.to_owned());
        }
        let page = self.store.holds(&filter, cursor, limit).await?;
        Ok(Page {
            items: page
                .items
                .into_iter()
                .map(|hold| for_viewer(self.now(hold), by))
                .collect(),
            next: page.next,
        })
    }

    /// One hold.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`, also for one that the caller may not see; `Unavailable`.
    pub async fn show(&self, by: &Principal, id: HoldId) -> Result<Hold, AppError> {
        by.demand(Action::ReadHolds)?;
        let found = self.store.held(id).await?;
        found
            .filter(|hold| {
                by.sees(&hold.connection)
                    && by
                        .only_own()
                        .is_none_or(|own| hold.operation.actor.id == own)
            })
            .map(|hold| for_viewer(self.now(hold), by))
            .ok_or_else(|| AppError::not_found("hold", id))
    }
}
