//! The decisions, as their readers may see them.

use std::sync::Arc;

use crmgate_domain::DecisionId;
use crmgate_store::decisions::StoredDecision;
use crmgate_store::{DecisionFilter, Page, Store};

use crate::{Action, AppError, Principal};

/// The longest page.
pub const MAX_PAGE: usize = 500;

/// Reads decisions.
pub struct Decisions {
    store: Arc<dyn Store>,
}

impl Decisions {
    /// Over a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Decisions, newest first, of the connections the caller may see; a mere client sees its own
    /// only. `filter.visible` is set here, whatever the caller put there.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` for a cursor or limit that is none; `Unavailable`.
    pub async fn list(
        &self,
        by: &Principal,
        filter: DecisionFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<StoredDecision>, AppError> {
        by.demand(Action::ReadDecisions)?;
        self.page(by, filter, cursor, limit).await
    }

    /// As [`Self::list`], for those who may take all of it away.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn export(
        &self,
        by: &Principal,
        filter: DecisionFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<StoredDecision>, AppError> {
        by.demand(Action::ExportDecisions)?;
        self.page(by, filter, cursor, limit).await
    }

    async fn page(
        &self,
        by: &Principal,
        mut filter: DecisionFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<StoredDecision>, AppError> {
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
        Ok(self.store.decisions(&filter, cursor, limit).await?)
    }

    /// One decision.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`, also for one that the caller may not see; `Unavailable`.
    pub async fn show(&self, by: &Principal, id: DecisionId) -> Result<StoredDecision, AppError> {
        by.demand(Action::ReadDecisions)?;
        let found = self.store.decision(id).await?;
        found
            .filter(|stored| {
                let operation = stored.record.operation.as_ref();
                let actor = operation.map(|op| &op.actor.id);
                let actor = actor.or(stored.record.asked_by.as_ref());
                by.sees(&stored.record.connection)
                    && by
                        .only_own()
                        .is_none_or(|own| actor.is_some_and(|id| id == own))
            })
            .ok_or_else(|| AppError::not_found("decision", id))
    }
}

pub(crate) fn check_limit(limit: usize) -> Result<(), AppError> {
    if (1..=MAX_PAGE).contains(&limit) {
        Ok(())
    } else {
        Err(AppError::invalid(
            "limit",
            format!("`{limit}` is not between 1 and {MAX_PAGE}"),
        ))
    }
}
