//! Agreements that were given, for judging again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Agreement, Choice, People, Vote, quorum};
use crate::{ApprovalRequest, HoldId};

/// Votes of a hold that still stands for what is judged now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The hold.
    pub hold: HoldId,
    /// Its votes.
    pub votes: Vec<Vote>,
}

/// An agreement that is there: the decision names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The package that asks.
    pub package: String,
    /// Its code for it.
    pub code: String,
    /// The hold it was given in.
    pub hold: HoldId,
    /// Who agreed.
    #[serde(default)]
    pub by: Vec<String>,
}

/// Who can agree to an operation, and what was agreed.
#[derive(Debug, Clone, Default)]
pub struct Approvers {
    /// Everybody who is known.
    pub people: Arc<People>,
    /// Whether an agreement is refused that not enough people can be found for.
    pub searched: bool,
    /// All accounts of whoever asks.
    pub requester: Vec<String>,
    /// What was agreed to it, oldest first. Only what still stands.
    pub given: Vec<Given>,
}

impl Approvers {
    /// Whether enough people can be found for an agreement, where they are searched.
    #[must_use]
    pub fn can_agree(&self, request: &ApprovalRequest) -> bool {
        !self.searched || self.people.can_agree(request, &self.requester)
    }

    /// The agreement, when it was given by enough people whom it asks *today*: an agreement that
    /// now takes more people, or others, is not there.
    #[must_use]
    pub fn granted(&self, request: &ApprovalRequest) -> Option<Granted> {
        self.given
            .iter()
            .rev()
            .find_map(|given| self.granted_by(given, request))
    }

    fn granted_by(&self, given: &Given, request: &ApprovalRequest) -> Option<Granted> {
        let agreement = Agreement::of(request);
        let mut by: Vec<String> = Vec::new();
        for vote in &given.votes {
            if !vote.agreements.contains(&agreement) {
                continue;
            }
            if vote.choice == Choice::Reject {
                return None;
            }
            let voter = self.people.known_as(&vote.person);
            let may = voter.is_asked(request) && !self.people.is_one_of(&voter, &self.requester);
            if may && !by.iter().any(|one| self.people.same(one, &voter.person)) {
                by.push(voter.person);
            }
        }
        (by.len() >= quorum(request)).then_some(Granted {
            package: agreement.package,
            code: agreement.code,
            hold: given.hold,
            by,
        })
    }
}
