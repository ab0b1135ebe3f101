//! Held writes that the gate carries out itself once people agree.

use std::sync::Arc;

use crmgate_connector::{Credential, Malformed, Refusal};
use crmgate_domain::{Effect, Mode, OperationId, PayloadHash, Point, State, SubmissionId};
use crmgate_store::{
    DecisionFilter, DecisionRecord, HeldOperation, Hold, NewOperation, OperationLog, Release,
    StoreError, StoredDecision, Why, WrittenAs,
};
use jiff::ToSpan as _;

use crate::approved::came_to_nothing;
use crate::ask::Later;
use crate::join::WINDOW_SECONDS;
use crate::queued::{Queued, reason};
use crate::settings::WriteAs;
use crate::write::written_as;
use crate::{Answer, Ask, Assessment, Gate, Reply, hash, words};

/// How many decisions are looked through at a time.
const PAGE: usize = 200;

/// What is to be stored of a request, and under whose name it will be written.
pub(super) struct Carried {
    pub(super) operations: Arc<dyn OperationLog>,
    request: String,
    credential: Credential,
}

/// Why a held write cannot be carried out by the gate.
pub(super) enum Obstacle {
    /// The caller is nobody in the CRM.
    Nobody(String),
    /// The request cannot be kept.
    Request(Malformed),
    /// It cannot be found out now.
    Now(String),
}

/// How it stands with what the gate carries out.
pub(crate) enum Carrying {
    /// People are asked, or it is being written.
    UnderWay,
    /// It was written a moment ago: the record's id.
    Happened(Option<String>),
    /// It came to an end.
    Over,
}

impl Gate {
    /// Whether the gate itself writes what is held here, once people agree.
    pub(crate) fn carries_out(&self) -> bool {
        self.settings().held_writes == Release::Execution
    }

    /// What it takes to write it later.
    pub(super) async fn carried_out(
        &self,
        ask: &Ask,
        later: &Later,
        writer: Option<WrittenAs>,
    ) -> Result<Carried, Obstacle> {
        let credential = match (writer, self.settings().held_writes_as) {
            (Some(WrittenAs::User(user)), WriteAs::Caller) => Credential::OnBehalfOf(user),
            (_, WriteAs::Service) => Credential::Service,
            (_, WriteAs::Caller) => Credential::OnBehalfOf(self.caller_in_crm(ask).await?),
        };
        let user = match &credential {
            Credential::OnBehalfOf(user) => Some(user.as_str()),
            _ => None,
        };
        Ok(Carried {
            operations: Arc::clone(&later.operations),
            request: (later.request)(user).map_err(Obstacle::Request)?,
            credential,
        })
    }

    /// The CRM's id of the person who holds the caller's token.
    async fn caller_in_crm(&self, ask: &Ask) -> Result<String, Obstacle> {
        let token = self.store().token(&ask.caller.actor.id);
        let token = self.in_time(token).await.map_err(|error| {
            Obstacle::Now(format!("who the caller is cannot be looked up: {error}"))
        })?;
        let Some(person) = token.and_then(|token| token.info.person) else {
            let name = self.connection();
            return Err(Obstacle::Nobody(format!(
                "people must agree to it, and it is then written in its caller's name, but the \
                 token that it came with names no person; send it with one that does (`crmgate \
                 token create --person ADDRESS`), or set `connections.{name}.held_writes_as` to \
                 `service`"
            )));
        };
        let limit = self.settings().judge_within;
        let asking = self.connector().user_named(&person);
        let found = match tokio::time::timeout(limit, asking).await {
            Ok(found) => found.map_err(|failure| failure.to_string()),
            Err(_) => Err(format!("no answer within {limit:?}")),
        };
        let found = found.map_err(|problem| {
            Obstacle::Now(format!(
                "who the caller is in the CRM cannot be looked up: {problem}"
            ))
        })?;
        found.ok_or_else(|| {
            Obstacle::Nobody(format!(
                "what is held here is written in its caller's name, and the CRM has not exactly \
                 one active user who signs in as `{person}`"
            ))
        })
    }

    /// The answer where it cannot be written later.
    pub(super) async fn obstructed(
        &self,
        obstacle: Obstacle,
        mut assessment: Assessment,
        round: u32,
    ) -> Answer {
        match obstacle {
            Obstacle::Now(message) => self.unable_answer(None, message),
            Obstacle::Request(malformed) => {
                let refusal = Refusal::Malformed(malformed);
                Answer::undecided(Mode::Enforce, Reply::Refused(refusal))
            }
            Obstacle::Nobody(message) => {
                let judgement = &mut assessment.judgement;
                judgement.effect = Effect::Deny;
                judgement.reasons.push(words::own("no_crm_user", message));
                self.denied(assessment, round).await
            }
        }
    }

    /// The operation by which it will be written.
    pub(super) fn to_be_written(
        &self,
        ask: &Ask,
        carried: Carried,
        (mut hold, record): (Hold, DecisionRecord),
    ) -> HeldOperation {
        hold.written_as = written_as(&carried.credential);
        let asked = &hold.operation;
        let connection = self.connection();
        let record_id = asked.record_id.clone();
        let operation = NewOperation {
            id: asked.id,
            connection: connection.clone(),
            client_id: None,
            line: 1,
            actor: ask.caller.actor.clone(),
            kind: asked.requested.unwrap_or(asked.kind).as_str().to_owned(),
            object: asked.object.clone(),
            lane: record_id.as_ref().map(|id| format!("{connection}/{id}")),
            record_id,
            group: None,
            depends_on: Vec::new(),
            priority: 0,
            not_before: None,
            expires_at: None,
            purpose: ask.purpose.clone(),
            callback: None,
            content: PayloadHash::of(&[carried.request.as_bytes()]),
            request: carried.request,
            trace: record.trace.clone(),
        };
        HeldOperation {
            owner: ask.caller.actor.id.clone(),
            submission: SubmissionId::fresh(self.ambient()),
            operation,
            why: reason(&record.decision),
            hold,
            record,
        }
    }

    /// How it stands with an equal request that the gate carries out.
    pub(crate) async fn carrying(
        &self,
        ask: &Ask,
        id: OperationId,
    ) -> Result<Carrying, StoreError> {
        // Without its rows nobody can tell: it must not be written a second time.
        let Some(later) = &ask.later else {
            return Ok(Carrying::UnderWay);
        };
        let Some(stored) = self.in_time(later.operations.operation(id)).await? else {
            return Ok(Carrying::Over);
        };
        let recent = self.ambient().now() - WINDOW_SECONDS.seconds() < stored.updated_at;
        Ok(match stored.state {
            State::Succeeded if recent => Carrying::Happened(stored.record_id),
            state if state.is_final() => Carrying::Over,
            _ => Carrying::UnderWay,
        })
    }

    /// Why what was held is not to be written any more: policies stopped asking while people were
    /// asked, so that an equal request of its caller passed.
    pub(crate) async fn written_meanwhile(
        &self,
        queued: &Queued,
    ) -> Result<Option<Why>, StoreError> {
        let (stored, ask) = (&queued.stored, &queued.ask);
        if ask.point != Point::Gateway {
            return Ok(None);
        }
        let key = hash::asked(&ask.caller.actor, &ask.draft);
        let filter = DecisionFilter {
            connection: Some(stored.connection.clone()),
            object: Some(stored.object.clone()),
            actor: Some(stored.actor.id.clone()),
            since: Some(stored.created_at),
            ..DecisionFilter::default()
        };
        let mut cursor: Option<String> = None;
        loop {
            let page = self.store().decisions(&filter, cursor.as_deref(), PAGE);
            let page = self.in_time(page).await?;
            let mut equal = page.items.iter().filter(|one| {
                one.record.asked == Some(key) && one.record.decision.operation != stored.id
            });
            if let Some(other) = equal.find(|one| self.may_have_been_written(one)) {
                let id = other.record.decision.id;
                let message = format!(
                    "an equal request passed while people were asked, and was or may have been \
                     written (decision {id}); this one is not written as well"
                );
                return Ok(Some(Why::new("written_meanwhile", message)));
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(None),
            }
        }
    }

    /// What passed counts as written until it is known that it was not.
    fn may_have_been_written(&self, passed: &StoredDecision) -> bool {
        let stored = passed.outcome.as_ref().map(|outcome| outcome.kind);
        // What this process knows already may not be stored yet.
        let known = stored.or_else(|| self.in_flight().ended_as(passed.record.decision.id));
        !known.is_some_and(came_to_nothing)
    }
}
