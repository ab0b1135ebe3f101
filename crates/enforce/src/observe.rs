//! What passes as it came: everything in observe mode, and what cannot be judged where the
//! connection fails open.

use std::sync::Arc;

use crmgate_connector::{Body, Failure, NativeRequest, Refusal, RequestHead};
use crmgate_domain::{Decision, ErrorClass, Judgement, Mode, OperationId, PayloadHash, Views};
use crmgate_store::{Basis, DecisionRecord};

use crate::approved::Prior;
use crate::decide::{Verdict, trace};
use crate::judge::Unable;
use crate::meters::Stage;
use crate::outcome::Learned;
use crate::remember::Entry;
use crate::times::Times;
use crate::write::told;
use crate::{Answer, Ask, Caller, Gate, NotJudged, Reply, hash, words};

/// The code of a request whose route, method or form the gate does not know.
const NOT_UNDERSTOOD: &str = "not_understood";

impl Gate {
    /// Judges for the record, and passes the request as it came.
    pub(crate) async fn observe(self: &Arc<Self>, ask: &Ask) -> Answer {
        let id = OperationId::fresh(self.ambient());
        let verdict = match self.assess(ask, id, &Prior::default()).await {
            Ok(assessment) => Verdict::of(assessment, Mode::Observe, 0),
            Err(NotJudged::Unable(unable)) => Verdict::none(*unable, Mode::Observe, 0),
            Err(NotJudged::Malformed(malformed)) => {
                let judgement =
                    words::not_understood(self.revision(), malformed.code, &malformed.message);
                self.unresolved(ask, id, judgement)
            }
            // The CRM refuses it by itself: enforcing changes nothing about that.
            Err(NotJudged::RefusedByCrm { code, .. }) => {
                let message = format!("the CRM refused the look-up: {code}");
                let judgement = words::no_judgement(self.revision(), ErrorClass::Policy, message);
                let mut answer = self
                    .pass_as_came(
                        ask,
                        self.entry(self.unresolved(ask, id, judgement)),
                        Basis::Observed,
                    )
                    .await;
                answer.effect = None;
                answer.why = None;
                return answer;
            }
        };
        self.pass_as_came(ask, self.entry(verdict), Basis::Observed)
            .await
    }

    fn unresolved(&self, ask: &Ask, id: OperationId, judgement: Judgement) -> Verdict {
        let operation = self.operation(ask, id, None);
        let unable = Unable {
            message: String::new(),
            judged: self.seen(&operation, &Views::default(), None, &[]),
            operation,
            retry_after: None,
            code: None,
            judgement,
            times: Times::start(ask),
        };
        Verdict::none(unable, Mode::Observe, 0)
    }

    /// Records the decision, and sends the request byte for byte.
    pub(crate) async fn pass_as_came(
        self: &Arc<Self>,
        ask: &Ask,
        mut record: Entry,
        basis: Basis,
    ) -> Answer {
        let request = NativeRequest {
            head: ask.draft.head.clone(),
            body: Body::Full(ask.draft.raw.clone()),
        };
        record.basis = Some(basis);
        record.payload_hash = Some(request.head.passing_hash());
        record.asked = self
            .carries_out()
            .then(|| hash::asked(&ask.caller.actor, &ask.draft));
        self.record_and_pass(record, request, &ask.caller).await
    }

    /// Passes a request that the gate does not understand as it came, its body flowing, once that
    /// is recorded; refused when the connection enforces. `code` is a stable word
    /// (`not_understood`, or the code of what is malformed), `why` for people.
    pub async fn pass_opaque(
        self: &Arc<Self>,
        request: NativeRequest,
        caller: Caller,
        code: &str,
        why: &str,
    ) -> Answer {
        if self.mode() == Mode::Enforce {
            let refusal = Refusal::NotUnderstood {
                message: why.to_owned(),
            };
            return self.refuse_opaque(&request.head, &caller, refusal).await;
        }
        let mut entry = self.opaque(&request.head, &caller, code);
        entry.payload_hash = Some(request.head.passing_hash());
        entry.basis = Some(Basis::Opaque);
        self.record_and_pass(entry, request, &caller).await
    }

    /// Refuses a request that the gate does not understand, and records that it did, and who asked.
    /// Where that can't be recorded, it is refused all the same.
    pub async fn refuse_opaque(
        self: &Arc<Self>,
        head: &RequestHead,
        caller: &Caller,
        refusal: Refusal,
    ) -> Answer {
        let code = match &refusal {
            Refusal::Malformed(malformed) => malformed.code,
            Refusal::NotUnderstood { .. } => NOT_UNDERSTOOD,
            _ => return Answer::refused(self.mode(), refusal),
        };
        let entry = self.opaque(head, caller, code);
        let decision = entry.decision.clone();
        let reply = Reply::Refused(refusal);
        match self.record(entry).await {
            Ok(_) => Answer {
                mode: decision.mode,
                ..told(decision.id, &decision.judgement, reply)
            },
            Err(error) => {
                tracing::error!(connection = %self.connection(), %error, "a refusal could not be recorded");
                Answer::undecided(decision.mode, reply)
            }
        }
    }

    /// The row of a request that was not understood. What the caller is told quotes the request,
    /// tokens in odd places included: the record has words of ours.
    fn opaque(&self, head: &RequestHead, caller: &Caller, code: &str) -> Entry {
        let why = if code == NOT_UNDERSTOOD {
            "the gate does not understand the request"
        } else {
            "the request cannot be judged as it is"
        };
        let seen = format!("{} {}", head.method, head.path());
        let judgement = words::not_understood(self.revision(), code, why);
        let operation = OperationId::fresh(self.ambient());
        let record = DecisionRecord {
            operation: None,
            connection: self.connection().clone(),
            decision: self.decision(operation, judgement, self.mode()),
            input_hash: Some(PayloadHash::of(&[seen.as_bytes()])),
            payload_hash: None,
            asked: None,
            basis: None,
            written_as: None,
            changed: Vec::new(),
            hold: None,
            opaque: Some(seen),
            asked_by: Some(caller.actor.id.clone()).filter(|id| !id.is_empty()),
            read_back: None,
            round: 0,
            payload: crmgate_store::Payload::default(),
            trace: trace(),
            metrics: std::collections::BTreeMap::new(),
        };
        Entry {
            record,
            judged: None,
        }
    }

    async fn record_and_pass(
        self: &Arc<Self>,
        record: Entry,
        request: NativeRequest,
        caller: &Caller,
    ) -> Answer {
        let decision = record.decision.clone();
        let basis = record.basis;
        let under_way = self.in_flight().enter(decision.id);
        let recorded = match self.record(record).await {
            Ok(recorded) => recorded,
            Err(error) => return self.not_recorded(&error),
        };
        let Some(permit) = recorded.permit else {
            return self.unable_answer(None, "the decision gave no leave to pass");
        };
        let credential = &caller.credential;
        let timer = self.time(Stage::Write);
        let result = self
            .connector()
            .pass(request, credential, Some(permit))
            .await;
        timer.stop();
        if recorded.sequence.is_some() {
            self.learn(decision.id, Learned::passed(&result), under_way);
        }
        let reply = match result {
            Ok(response) => Reply::Native(response),
            Err(failure) => self.no_answer(&decision, failure),
        };
        Answer {
            decision: recorded.sequence.map(|_| decision.id),
            mode: decision.mode,
            basis,
            ..told(decision.id, &decision.judgement, reply)
        }
    }

    fn no_answer(&self, decision: &Decision, failure: Failure) -> Reply {
        match failure {
            Failure::Refused {
                response: Some(response),
                ..
            }
            | Failure::Repeatable {
                response: Some(response),
                ..
            } => Reply::Native(*response),
            other => {
                let retry_after = self.settings().retry_after;
                let message = other.to_string();
                Reply::Refused(words::unable(Some(decision.id), message, retry_after))
            }
        }
    }
}
