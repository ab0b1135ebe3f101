//! One write, from the question to the answer, when the connection enforces.

use std::sync::Arc;

use crmgate_connector::{Credential, Failure, NativeChange, Refusal, Written};
use crmgate_domain::{DecisionId, Effect, Judgement, Kind, Mode, OperationId};
use crmgate_store::{Basis, OutcomeKind, ReadBack, WrittenAs};

use crate::approved::Prior;
use crate::decide::Verdict;
use crate::inflight::{Claim, Ended, UnderWay};
use crate::join::Joined;
use crate::judge::Unable;
use crate::meters::Stage;
use crate::outcome::Learned;
use crate::{Answer, Ask, Assessment, Gate, NotJudged, Reply, hash, words};

/// How often one operation is judged and tried when its record keeps changing.
pub(crate) const ROUNDS: u32 = 3;

/// What a caller is told whose equal request used an approval first.
const USED_BY_ANOTHER: &str = "an equal request used what people agreed to a moment ago; what came \
                               of it is being found out";

/// What one round came to.
pub(crate) enum Round {
    /// The end.
    Done(Box<Answer>),
    /// The record changed since it was judged.
    Changed(DecisionId),
}

/// A recorded decision on its way to the CRM.
struct Sending {
    decision: DecisionId,
    change: Arc<dyn NativeChange>,
    read_back: ReadBack,
    under_way: UnderWay,
    /// Held while a create is under way, so that an equal one joins it.
    claim: Option<Claim>,
}

impl From<Answer> for Round {
    fn from(answer: Answer) -> Self {
        Self::Done(Box::new(answer))
    }
}

impl Gate {
    pub(crate) async fn enforce(self: &Arc<Self>, ask: &Ask) -> Answer {
        let id = OperationId::fresh(self.ambient());
        let mut last = None;
        for round in 0..ROUNDS {
            match self.round(ask, id, round).await {
                Round::Done(answer) => return *answer,
                Round::Changed(decision) => last = Some(decision),
            }
            if round + 1 < ROUNDS {
                self.meters().judged_again();
            }
        }
        let message = format!(
            "the record was changed by others each of the {ROUNDS} times it was judged; nothing \
             was written"
        );
        self.unable_answer(last, message)
    }

    async fn round(self: &Arc<Self>, ask: &Ask, id: OperationId, round: u32) -> Round {
        match self.assess(ask, id, &Prior::binding()).await {
            Ok(first) if first.judgement.effect == Effect::RequireApproval => {
                self.ask_people(ask, first, round).await
            }
            Ok(assessment) => self.go_on(ask, assessment, round).await,
            Err(problem) => self.no_assessment(ask, problem, round).await,
        }
    }

    /// What cannot be judged.
    pub(crate) async fn no_assessment(
        self: &Arc<Self>,
        ask: &Ask,
        problem: NotJudged,
        round: u32,
    ) -> Round {
        match problem {
            NotJudged::Unable(unable) => self.not_judged(ask, *unable, round).await,
            refused => Answer::undecided(Mode::Enforce, refused_look_up(refused)).into(),
        }
    }

    /// Carries a verdict out.
    pub(crate) async fn go_on(
        self: &Arc<Self>,
        ask: &Ask,
        assessment: Assessment,
        round: u32,
    ) -> Round {
        match assessment.judgement.effect {
            Effect::Allow => self.allowed(ask, assessment, round).await,
            Effect::Deny => self.denied(assessment, round).await.into(),
            Effect::RequireApproval => self.hold(ask, assessment, round).await.into(),
            Effect::Error => {
                let unable = Unable {
                    message: words::evaluation_failed(&assessment.judgement.errors),
                    operation: assessment.operation,
                    judgement: assessment.judgement,
                    judged: assessment.judged,
                    times: assessment.times,
                    retry_after: None,
                    code: None,
                };
                self.not_judged(ask, unable, round).await
            }
        }
    }

    pub(crate) async fn denied(&self, assessment: Assessment, round: u32) -> Answer {
        let change = Arc::clone(&assessment.change);
        let record = self.entry(Verdict::of(assessment, Mode::Enforce, round));
        let decision = record.decision.clone();
        if let Err(error) = self.record(record).await {
            return self.not_recorded(&error);
        }
        let refusal = words::denied(decision.id, &decision.judgement, change.as_ref());
        told(decision.id, &decision.judgement, Reply::Refused(refusal))
    }

    /// What cannot be judged does not pass, unless the connection fails open.
    async fn not_judged(self: &Arc<Self>, ask: &Ask, unable: Unable, round: u32) -> Round {
        let message = unable.message.clone();
        let retry_after = unable.retry_after.unwrap_or(self.settings().retry_after);
        let mut record = self.entry(Verdict::none(unable, Mode::Enforce, round));
        if self.settings().fail_open && ask.point.may_write() {
            return self
                .pass_as_came(ask, record, Basis::FailedOpen)
                .await
                .into();
        }
        record.basis = None;
        let decision = record.decision.clone();
        // The answer is the same whether this is recorded or not: nothing passes.
        let recorded = self.record(record).await.is_ok();
        let id = recorded.then_some(decision.id);
        let refusal = words::unable(id, message, retry_after);
        Answer {
            decision: id,
            ..told(decision.id, &decision.judgement, Reply::Refused(refusal))
        }
        .into()
    }

    async fn allowed(self: &Arc<Self>, ask: &Ask, assessment: Assessment, round: u32) -> Round {
        let key = hash::asked(&ask.caller.actor, &ask.draft);
        let claim = if assessment.operation.kind == Kind::Create {
            match self.join(key, &assessment, round).await {
                Joined::Claimed(claim) => Some(claim),
                Joined::Answered(answer) => return Round::Done(answer),
            }
        } else {
            None
        };
        let change = Arc::clone(&assessment.change);
        let tickets = assessment.tickets.clone();
        let outgoing = change.outgoing();
        let mut read_back = change.read_back(writer(ask));
        read_back.join_key = key;
        let mut record = self.entry(Verdict::of(assessment, Mode::Enforce, round));
        record.payload_hash = Some(outgoing.hash());
        record.asked = self.carries_out().then_some(key);
        record.basis = Some(Basis::Judged);
        record.written_as = written_as(&ask.caller.credential);
        record.changed = change.changed_fields();
        record.read_back = Some(self.sealed(&read_back));
        let decision = record.decision.clone();
        let changed = record.changed.clone();
        let sending = Sending {
            decision: decision.id,
            change,
            read_back,
            under_way: self.in_flight().enter(decision.id),
            claim,
        };
        let recorded = if tickets.is_empty() {
            self.record(record).await.map(Some)
        } else {
            self.record_spending(record, tickets).await
        };
        let permit = match recorded {
            Ok(Some(recorded)) => recorded.permit,
            Ok(None) => return self.unable_answer(None, USED_BY_ANOTHER).into(),
            Err(error) => return self.not_recorded(&error).into(),
        };
        let Some(permit) = permit else {
            let message = "the decision gave no leave to write";
            return self.unable_answer(Some(decision.id), message).into();
        };
        let timer = self.time(Stage::Write);
        let credential = &ask.caller.credential;
        let result = self.connector().write(permit, outgoing, credential).await;
        timer.stop();
        let Some(reply) = self.conclude(sending, result).await else {
            return Round::Changed(decision.id);
        };
        Answer {
            changed,
            basis: Some(Basis::Judged),
            ..told(decision.id, &decision.judgement, reply)
        }
        .into()
    }

    /// Takes down what came of a write, and makes the answer out of it; `None` when the record had
    /// changed.
    async fn conclude(
        self: &Arc<Self>,
        sending: Sending,
        result: Result<Written, Failure>,
    ) -> Option<Reply> {
        let learned = Learned::of(&result);
        if learned.kind != OutcomeKind::Unknown
            && let Some(claim) = &sending.claim
        {
            claim.end(Ended {
                decision: sending.decision,
                kind: learned.kind,
                record_id: learned.record_id.clone(),
            });
        }
        let change = Arc::clone(&sending.change);
        let reply = match result {
            Ok(written) => Reply::Native(change.reply(written.response)),
            Err(Failure::VersionMismatch) => {
                self.learn(sending.decision, learned, sending.under_way);
                return None;
            }
            Err(Failure::Unknown { reason }) => return Some(self.lost(sending, &reason).await),
            Err(failure) => self.failed(sending.decision, failure),
        };
        self.learn(sending.decision, learned, sending.under_way);
        Some(reply)
    }

    /// A write whose answer never came: looked up at once; what that does not settle, the sweeper
    /// does.
    async fn lost(self: &Arc<Self>, sending: Sending, reason: &str) -> Reply {
        let found = self.look_up(sending.decision, &sending.read_back).await;
        let learned = found.unwrap_or_else(Learned::unknown);
        let happened = learned.kind == OutcomeKind::Succeeded;
        let record_id = learned.record_id.clone();
        if let Some(claim) = &sending.claim {
            claim.end(Ended {
                decision: sending.decision,
                kind: learned.kind,
                record_id: record_id.clone(),
            });
        }
        let written = learned.kind != OutcomeKind::NotWritten;
        self.learn(sending.decision, learned, sending.under_way);
        if happened {
            return Reply::Native(sending.change.confirmed(record_id.as_deref()));
        }
        let message = if written {
            format!(
                "it is not known yet whether the record was written ({reason}); it is being looked up"
            )
        } else {
            format!("the record was not written ({reason})")
        };
        let retry_after = self.settings().retry_after;
        Reply::Refused(words::unable(Some(sending.decision), message, retry_after))
    }

    /// A failure after which certainly nothing was written.
    fn failed(&self, decision: DecisionId, failure: Failure) -> Reply {
        let retry_default = self.settings().retry_after;
        match failure {
            Failure::Refused {
                response: Some(response),
                ..
            }
            | Failure::Repeatable {
                response: Some(response),
                ..
            } => Reply::Native(*response),
            Failure::Refused { code, message, .. } => {
                Reply::Refused(refused_by_crm(&code, &message))
            }
            Failure::Repeatable {
                reason,
                retry_after,
                ..
            } => {
                let retry_after = retry_after.unwrap_or(retry_default);
                Reply::Refused(words::unable(Some(decision), reason, retry_after))
            }
            other @ (Failure::VersionMismatch | Failure::Unknown { .. }) => Reply::Refused(
                words::unable(Some(decision), other.to_string(), retry_default),
            ),
        }
    }

    pub(crate) fn not_recorded(&self, error: &crmgate_store::StoreError) -> Answer {
        tracing::error!(connection = %self.connection(), %error, "a decision could not be recorded");
        self.unable_answer(
            None,
            "the decision could not be recorded; nothing was written",
        )
    }

    pub(crate) fn unable_answer(
        &self,
        decision: Option<DecisionId>,
        message: impl Into<String>,
    ) -> Answer {
        let refusal = words::unable(decision, message, self.settings().retry_after);
        Answer {
            decision,
            effect: Some(Effect::Error),
            why: Some(format!("{}/error", words::OWN)),
            ..Answer::refused(Mode::Enforce, refusal)
        }
    }
}

/// The CRM's id of who writes, as far as the gate knows it: of the connection's own user it does
/// not.
pub(crate) fn writer(ask: &Ask) -> Option<&str> {
    match ask.caller.credential {
        Credential::Caller(_) => Some(ask.caller.actor.id.as_str()),
        Credential::OnBehalfOf(ref user) => Some(user),
        Credential::Service => None,
    }
}

/// Under whose name a credential writes, where it is not the caller's own token.
pub(crate) fn written_as(credential: &Credential) -> Option<WrittenAs> {
    match credential {
        Credential::Caller(_) => None,
        Credential::OnBehalfOf(user) => Some(WrittenAs::User(user.clone())),
        Credential::Service => Some(WrittenAs::Service),
    }
}

fn refused_by_crm(code: &str, message: &str) -> Refusal {
    Refusal::Malformed(crmgate_connector::Malformed::new(
        "refused_by_crm",
        format!("{code}: {message}"),
    ))
}

pub(crate) fn refused_look_up(refused: NotJudged) -> Reply {
    match refused {
        NotJudged::Malformed(malformed) => Reply::Refused(Refusal::Malformed(malformed)),
        NotJudged::RefusedByCrm {
            response: Some(response),
            ..
        } => Reply::Native(*response),
        NotJudged::RefusedByCrm { code, message, .. } => {
            Reply::Refused(refused_by_crm(&code, &message))
        }
        NotJudged::Unable(unable) => Reply::Refused(words::unable(
            None,
            unable.message,
            unable
                .retry_after
                .unwrap_or(std::time::Duration::from_secs(2)),
        )),
    }
}

/// An answer that rests on a decision.
pub(crate) fn told(decision: DecisionId, judgement: &Judgement, reply: Reply) -> Answer {
    let mut warnings: Vec<String> = judgement
        .warnings
        .iter()
        .map(|warning| warning.code.clone())
        .filter(|code| !code.is_empty())
        .collect();
    warnings.sort();
    warnings.dedup();
    Answer {
        decision: Some(decision),
        effect: Some(judgement.effect),
        warnings,
        why: words::why(judgement),
        ..Answer::undecided(Mode::Enforce, reply)
    }
}
