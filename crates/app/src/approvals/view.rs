//! What a caller sees of a hold.

use crmgate_domain::approval::{Agreement, Choice, Ended, Missing, Vote, Voter, missing};
use crmgate_domain::{
    ApprovalRequest, ConnectionName, DecisionId, Document, HoldId, OperationId, State, Timestamp,
};
use crmgate_store::{HeldField, Hold, HoldStatus, Release, WrittenAs};
use serde::Serialize;

use super::{Case, named};

/// What stands in the place of what a caller may not see.
const HIDDEN: &str = "**REDACTED**";

/// Who looks.
pub(super) struct Viewer {
    pub(super) voter: Option<Voter>,
    pub(super) may_vote: bool,
    /// Whether it is what the viewer asked for itself.
    pub(super) own: bool,
}

/// One agreement, and what is there of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgreementView {
    /// The package that asks, and its code.
    #[serde(flatten)]
    pub agreement: Agreement,
    /// Why it is asked.
    pub reason: String,
    /// Users who may answer.
    pub users: Vec<String>,
    /// Groups whose members may answer.
    pub groups: Vec<String>,
    /// How many people must agree.
    pub quorum: u32,
    /// Who has agreed.
    pub agreed: Vec<String>,
    /// How many more must.
    pub missing: u32,
    /// Whether a rejection must say why.
    pub reject_needs_reason: bool,
    /// Whether the caller is asked.
    pub asks_you: bool,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoteView {
    /// The person.
    pub person: String,
    /// The answer.
    pub choice: Choice,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    /// The way it came.
    pub channel: String,
    /// What it counts for: `package/code`.
    pub counts_for: Vec<String>,
}

/// Where the queued operation stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OperationState {
    /// Its id.
    pub id: OperationId,
    /// Where it stands.
    pub state: State,
    /// Counts its moves.
    pub version: u64,
    /// Why it stands there.
    pub why: Option<crmgate_store::Why>,
    /// The written record.
    pub record_id: Option<String>,
}

/// What people are asked, as a caller sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalView {
    /// Its id: the hold's.
    pub id: HoldId,
    /// The connection.
    pub connection: ConnectionName,
    /// Where it stands.
    pub status: HoldStatus,
    /// What is asked.
    pub kind: String,
    /// The object.
    pub object: String,
    /// The CRM's own name of it.
    pub native_object: String,
    /// The record; `null` for a create.
    pub record_id: Option<String>,
    /// An action's name.
    pub action: Option<String>,
    /// Who asks: user name, address or id.
    pub requester: String,
    /// Why, as the caller stated it.
    pub purpose: Option<String>,
    /// What changes, field by field.
    pub fields: Vec<HeldField>,
    /// The change as asked, by native names; `null` where the caller may not see all of it.
    pub change: Document,
    /// Whether values are hidden from the caller that others see.
    pub hidden: bool,
    /// Who must agree to what.
    pub agreements: Vec<AgreementView>,
    /// Who answered what, oldest first.
    pub votes: Vec<VoteView>,
    /// Whether the caller can answer now.
    pub mine: bool,
    /// What an approval lets happen: `ticket` or `execution`.
    pub release: Release,
    /// Under whose name it is written; `None` for the caller's own token.
    pub written_as: Option<WrittenAs>,
    /// The queued operation.
    pub operation_state: Option<OperationState>,
    /// The decision that held it.
    pub decision: DecisionId,
    /// How many equal requests share it.
    pub requests: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it can be answered; once approved, until when it can be used.
    pub expires_at: Timestamp,
    /// How it ended.
    pub ended: Option<Ended>,
    /// The hold that it asks again for.
    pub replaces: Option<HoldId>,
    /// The hold whose agreements still stand beside it.
    pub builds_on: Option<HoldId>,
    /// The decision that it let pass.
    pub spent_by: Option<DecisionId>,
}

impl ApprovalView {
    pub(super) fn of(case: &Case, viewer: &Viewer, now: Timestamp) -> Self {
        let hold = &case.hold;
        let (status, ended) = standing(case, now);
        let lacking = missing(&hold.approvals, &case.votes, &case.people);
        let asked = asked_of(case, viewer);
        let sees = asked || viewer.own;
        let hidden = !sees && hold.fields.iter().any(|field| field.confidential);
        let shown = masked(hold.clone(), sees);
        let answered = viewer.voter.as_ref().is_some_and(|voter| {
            let mut votes = case.votes.iter();
            votes.any(|vote| case.people.same(&vote.person, &voter.person))
        });
        let operation = &hold.operation;
        Self {
            id: hold.id,
            connection: hold.connection.clone(),
            status,
            kind: operation.kind.as_str().to_owned(),
            object: operation.object.clone(),
            native_object: operation.native_object.clone(),
            record_id: operation.record_id.clone(),
            action: operation.name.clone(),
            requester: requester(hold),
            purpose: operation.purpose.clone(),
            fields: shown.fields,
            change: shown.change,
            hidden,
            agreements: agreements(case, viewer, &lacking),
            votes: case.votes.iter().map(vote).collect(),
            mine: asked && viewer.may_vote && !answered && status == HoldStatus::Waiting,
            release: hold.release,
            written_as: hold.written_as.clone(),
            operation_state: case.operation.as_ref().map(|operation| OperationState {
                id: operation.id,
                state: operation.state,
                version: operation.version,
                why: operation.why.clone(),
                record_id: operation.record_id.clone(),
            }),
            decision: hold.decision,
            requests: hold.requests,
            created_at: hold.created_at,
            expires_at: hold.expires_at,
            ended,
            replaces: hold.replaces,
            builds_on: hold.builds_on,
            spent_by: hold.spent_by,
        }
    }

    /// Whether nothing more happens to it of itself.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match (self.status, &self.operation_state) {
            (HoldStatus::Waiting, _) => false,
            (HoldStatus::Approved | HoldStatus::Spent, Some(operation)) => {
                crate::operations::is_settled(operation.state)
            }
            _ => true,
        }
    }
}

/// The store expires holds and lets go of those of operations that ended some time after; whoever
/// looks sees it at once.
fn standing(case: &Case, now: Timestamp) -> (HoldStatus, Option<Ended>) {
    let hold = &case.hold;
    let over = hold.expires_at <= now;
    let used = hold.status == HoldStatus::Approved && hold.queued.is_some();
    match hold.status {
        HoldStatus::Waiting | HoldStatus::Approved if over && !used => {
            let how = crmgate_domain::approval::End::Expired;
            let at = hold.expires_at;
            (HoldStatus::Expired, Some(Ended { how, by: None, at }))
        }
        HoldStatus::Waiting => match case.operation.as_ref().map(|it| it.state) {
            Some(State::Cancelled) => (HoldStatus::Cancelled, None),
            Some(State::Expired) => (HoldStatus::Expired, None),
            _ => (HoldStatus::Waiting, None),
        },
        other => (other, hold.ended.clone()),
    }
}

/// Whether the viewer is one of those asked, and not the one who asks.
fn asked_of(case: &Case, viewer: &Viewer) -> bool {
    let Some(voter) = &viewer.voter else {
        return false;
    };
    let asked = case.hold.approvals.iter().any(|it| voter.is_asked(it));
    asked && !case.people.is_one_of(voter, &case.requester)
}

fn agreements(case: &Case, viewer: &Viewer, lacking: &[Missing]) -> Vec<AgreementView> {
    let asked = case.hold.approvals.iter().map(|request| {
        let agreement = Agreement::of(request);
        let lacks = lacking.iter().find(|one| one.agreement == agreement);
        let agreed = match lacks {
            Some(missing) => missing.agreed.clone(),
            None => agreed(case, &agreement),
        };
        let there = u32::try_from(agreed.len()).unwrap_or(u32::MAX);
        AgreementView {
            reason: request.reason.clone(),
            users: request.users.clone(),
            groups: request.groups.clone(),
            quorum: request.quorum.max(1),
            missing: request.quorum.max(1).saturating_sub(there),
            reject_needs_reason: request.reject_needs_reason,
            asks_you: viewer.voter.as_ref().is_some_and(|it| it.is_asked(request)),
            agreed,
            agreement,
        }
    });
    asked.collect()
}

fn agreed(case: &Case, agreement: &Agreement) -> Vec<String> {
    let votes = case
        .votes
        .iter()
        .filter(|vote| vote.choice == Choice::Approve && vote.agreements.contains(agreement));
    votes.map(|vote| vote.person.clone()).collect()
}

fn vote(vote: &Vote) -> VoteView {
    VoteView {
        person: vote.person.clone(),
        choice: vote.choice,
        reason: vote.reason.clone(),
        at: vote.at,
        channel: vote.channel.clone(),
        counts_for: vote.agreements.iter().map(named).collect(),
    }
}

fn requester(hold: &Hold) -> String {
    let actor = &hold.operation.actor;
    let named = actor.username.as_ref().or(actor.email.as_ref());
    let who = named.unwrap_or(&actor.id).clone();
    match &actor.on_behalf_of {
        Some(other) => format!("{who} for {other}"),
        None => who,
    }
}

/// The hold as somebody sees it who is not asked and did not ask: what is about a person is hidden.
#[must_use]
pub fn masked(mut hold: Hold, sees: bool) -> Hold {
    if sees || !hold.fields.iter().any(|field| field.confidential) {
        return hold;
    }
    for field in hold.fields.iter_mut().filter(|field| field.confidential) {
        field.to = HIDDEN.into();
        field.from = field.from.as_ref().map(|_| HIDDEN.into());
    }
    hold.change = Document::Null;
    hold
}

/// The hold as the holder of a token sees it: what is about people is for those who may answer, and
/// for clients, who see nothing but their own.
#[must_use]
pub(crate) fn for_viewer(hold: Hold, by: &crate::Principal) -> Hold {
    let sees = by.may(crate::Action::Vote) || by.only_own().is_some();
    masked(hold, sees)
}

/// Who is asked, for messages.
pub(super) fn asked(approvals: &[ApprovalRequest]) -> String {
    let mut named: Vec<String> = approvals
        .iter()
        .flat_map(|request| {
            let users = request.users.iter().map(|user| format!("`{user}`"));
            let groups = request
                .groups
                .iter()
                .map(|group| format!("group `{group}`"));
            users.chain(groups)
        })
        .collect();
    named.sort_unstable();
    named.dedup();
    if named.is_empty() {
        return "nobody".to_owned();
    }
    named.join(", ")
}
