//! Approvals: what people answer to a held operation, and what their answers come to.
//!
//! Values in, values out. Every way to answer (the control API, the command line, chats) calls
//! [`decide`] and nothing else.
//!
//! INVARIANT: a quorum counts people, not accounts, and never whoever asked.
//! INVARIANT: an agreement that names nobody can be given by nobody.
//! INVARIANT: what is over stays over: one vote ends it, the others are told which.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ApprovalRequest, PayloadHash, Timestamp};

mod given;
mod people;
#[cfg(test)]
mod tests;

pub use given::{Approvers, Given, Granted};
pub use people::{Ambiguous, People, PeopleFault, Person, Voter};

/// What a person answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// It may happen.
    Approve,
    /// It may not.
    Reject,
}

impl Choice {
    /// The word used in storage, output and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

/// Names one agreement: approvals are bound to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Agreement {
    /// The package that asks.
    pub package: String,
    /// Its code for it.
    pub code: String,
}

impl Agreement {
    /// The agreement that a request asks for.
    #[must_use]
    pub fn of(request: &ApprovalRequest) -> Self {
        Self {
            package: request.package.clone(),
            code: request.code.clone(),
        }
    }
}

/// One person's answer. It is not taken back: whoever agreed too early has the operation
/// cancelled, or somebody else reject it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The person; empty once erased.
    pub person: String,
    /// The account it came by: a token's id.
    pub account: String,
    /// The answer.
    pub choice: Choice,
    /// Why; `None` once erased, too.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    /// The way it came: `api`.
    pub channel: String,
    /// The agreements it counts for.
    pub agreements: Vec<Agreement>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Everybody needed agreed.
    Approved,
    /// Somebody refused.
    Rejected,
    /// Nobody answered in time.
    Expired,
    /// The operation was taken back.
    Cancelled,
    /// What was agreed to had changed: others ask again.
    Superseded,
}

impl End {
    /// The word used in storage and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }
}

/// That it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How.
    pub how: End,
    /// Who ended it; nobody, when time did.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What is voted on.
#[derive(Debug, Clone, Copy)]
pub struct Matter<'a> {
    /// Who must agree to what.
    pub asked: &'a [ApprovalRequest],
    /// The votes so far.
    pub votes: &'a [Vote],
    /// All accounts of whoever asked.
    pub requester: &'a [String],
    /// How it ended, when it is over.
    pub ended: Option<&'a Ended>,
    /// When it ends unanswered.
    pub expires_at: Timestamp,
}

/// An answer on its way.
#[derive(Debug, Clone)]
pub struct Answered<'a> {
    /// Who answers.
    pub voter: &'a Voter,
    /// The account by which the answer comes.
    pub account: &'a str,
    /// The way it comes.
    pub channel: &'a str,
    /// The answer.
    pub choice: Choice,
    /// Why.
    pub reason: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

/// Why somebody's answer does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotAllowed {
    /// Whoever asked does not decide about it, under whatever account.
    Requester,
    /// No agreement names the person or one of its groups.
    NotAsked,
}

/// What still lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The agreement.
    #[serde(flatten)]
    pub agreement: Agreement,
    /// How many people must agree.
    pub quorum: u32,
    /// Who has agreed.
    pub agreed: Vec<String>,
}

/// What an answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// It counts, and others are needed.
    More {
        /// The vote to store.
        vote: Vote,
        /// What lacks with it.
        missing: Vec<Missing>,
    },
    /// It was the last that was needed.
    Approved(Vote),
    /// It ends the matter.
    Rejected(Vote),
    /// It does not count.
    NotAllowed(NotAllowed),
    /// A rejection must say why.
    ReasonNeeded,
    /// The person has answered already.
    AlreadyVoted {
        /// What it answered.
        choice: Choice,
        /// When.
        at: Timestamp,
    },
    /// The matter is over.
    Over(Ended),
}

/// What somebody's answer comes to.
#[must_use]
pub fn decide(matter: &Matter<'_>, people: &People, answer: &Answered<'_>) -> Counted {
    if let Some(over) = over(matter, answer.at) {
        return Counted::Over(over);
    }
    let voter = answer.voter;
    if people.is_one_of(voter, matter.requester) {
        return Counted::NotAllowed(NotAllowed::Requester);
    }
    let asked: Vec<&ApprovalRequest> = matter
        .asked
        .iter()
        .filter(|request| voter.is_asked(request))
        .collect();
    if asked.is_empty() {
        return Counted::NotAllowed(NotAllowed::NotAsked);
    }
    let before = matter
        .votes
        .iter()
        .find(|vote| people.same(&vote.person, &voter.person));
    if let Some(before) = before {
        return Counted::AlreadyVoted {
            choice: before.choice,
            at: before.at,
        };
    }
    let reason = answer.reason.map(str::trim).filter(|text| !text.is_empty());
    let needs_reason = asked.iter().any(|request| request.reject_needs_reason);
    if answer.choice == Choice::Reject && needs_reason && reason.is_none() {
        return Counted::ReasonNeeded;
    }
    let vote = Vote {
        person: voter.person.clone(),
        account: answer.account.to_owned(),
        choice: answer.choice,
        reason: reason.map(str::to_owned),
        at: answer.at,
        channel: answer.channel.to_owned(),
        agreements: asked.into_iter().map(Agreement::of).collect(),
    };
    if answer.choice == Choice::Reject {
        return Counted::Rejected(vote);
    }
    let mut votes = matter.votes.to_vec();
    votes.push(vote.clone());
    let missing = missing(matter.asked, &votes, people);
    if missing.is_empty() {
        Counted::Approved(vote)
    } else {
        Counted::More { vote, missing }
    }
}

/// How the matter ended, if it is over by then.
fn over(matter: &Matter<'_>, at: Timestamp) -> Option<Ended> {
    if let Some(ended) = matter.ended {
        return Some(ended.clone());
    }
    (at >= matter.expires_at).then_some(Ended {
        how: End::Expired,
        by: None,
        at: matter.expires_at,
    })
}

/// The agreements that lack people, with those who agreed.
#[must_use]
pub fn missing(asked: &[ApprovalRequest], votes: &[Vote], people: &People) -> Vec<Missing> {
    let lacking = asked.iter().filter_map(|request| {
        let agreement = Agreement::of(request);
        let agreed = agreed(&agreement, votes, people);
        let enough = agreed.len() >= quorum(request);
        (!enough).then(|| Missing {
            agreement,
            quorum: request.quorum.max(1),
            agreed: agreed.into_values().collect(),
        })
    });
    lacking.collect()
}

/// A quorum of nobody is one of one.
pub(crate) fn quorum(request: &ApprovalRequest) -> usize {
    usize::try_from(request.quorum.max(1)).unwrap_or(usize::MAX)
}

/// The people who agreed to it, by what tells them apart.
fn agreed(agreement: &Agreement, votes: &[Vote], people: &People) -> BTreeMap<String, String> {
    let counting = votes
        .iter()
        .filter(|vote| vote.choice == Choice::Approve && vote.agreements.contains(agreement));
    counting
        .map(|vote| (people.key(&vote.person), vote.person.clone()))
        .collect()
}

/// What an approval is bound to, beside its package and code: the payload as asked, and the stored
/// values of the fields that are read or written. Not the revision, not the row's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Hash of what is asked.
    pub payload: PayloadHash,
    /// Hash of the stored values.
    pub stored: PayloadHash,
}
