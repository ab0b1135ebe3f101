//! Looking at what people are asked.

use crmgate_domain::ConnectionName;
use crmgate_domain::HoldId;
use crmgate_store::{HoldFilter, HoldStatus, Page};

use super::view::{ApprovalView, Viewer};
use super::{Approvals, voter_of};
use crate::decisions::check_limit;
use crate::{Action, AppError, Principal};

/// How many holds are looked through for one page of those that one can answer.
const MOST_LOOKED_THROUGH: usize = 2_000;

/// Whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mine {
    /// Everybody's.
    #[default]
    All,
    /// Those that the caller can answer now.
    ToAnswer,
}

/// Which to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The connection.
    pub connection: Option<ConnectionName>,
    /// Any of these; all, where none is given.
    pub statuses: Vec<HoldStatus>,
    /// The actor's id.
    pub actor: Option<String>,
    /// Whose.
    pub mine: Mine,
}

impl Approvals {
    /// What people are asked, newest first, at the connections the caller may see; a mere client
    /// sees its own only.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` for a cursor or limit that is none; `Unavailable`.
    pub async fn list(
        &self,
        by: &Principal,
        wanted: &Wanted,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<ApprovalView>, AppError> {
        by.demand(Action::ReadApprovals)?;
        check_limit(limit)?;
        let own = by.only_own();
        if wanted
            .actor
            .as_deref()
            .zip(own)
            .is_some_and(|(actor, own)| actor != own)
        {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
        let filter = HoldFilter {
            connection: wanted.connection.clone(),
            actor: own.map(str::to_owned).or_else(|| wanted.actor.clone()),
            statuses: match wanted.mine {
                Mine::All => wanted.statuses.clone(),
                Mine::ToAnswer => vec![HoldStatus::Waiting],
            },
            visible: by.visible(),
        };
        let (mut items, mut looked) = (Vec::new(), 0);
        let mut from = cursor.map(str::to_owned);
        loop {
            let page = self
                .store
                .holds(&filter, from.as_deref(), limit - items.len())
                .await?;
            looked += page.items.len();
            for hold in page.items {
                let shown = self.view(by, hold).await?;
                if wanted.mine == Mine::All || shown.mine {
                    items.push(shown);
                }
            }
            from = page.next;
            if items.len() >= limit || from.is_none() || looked >= MOST_LOOKED_THROUGH {
                return Ok(Page { items, next: from });
            }
        }
    }

    /// One, with its votes, and what became of it.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`, also for one that the caller may not see; `Unavailable`.
    pub async fn show(&self, by: &Principal, id: HoldId) -> Result<ApprovalView, AppError> {
        by.demand(Action::ReadApprovals)?;
        let hold = self.case(by, id).await?.hold;
        self.view(by, hold).await
    }

    async fn view(
        &self,
        by: &Principal,
        hold: crmgate_store::Hold,
    ) -> Result<ApprovalView, AppError> {
        let case = self.of(hold).await?;
        let viewer = Viewer {
            // Nobody, where the token is of several people.
            voter: voter_of(&case.people, by).ok(),
            may_vote: by.may(Action::Vote),
            own: super::is_own(&case.hold, &by.token.id),
        };
        Ok(ApprovalView::of(&case, &viewer, self.ambient.now()))
    }
}
