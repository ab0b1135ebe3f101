//! Resolve, enrich, evaluate: pure of recording.

use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{
    Failure, Malformed, NativeChange, NativeResponse, Needs, ParseFailure, Resolved,
};
use crmgate_domain::{
    Candidate, ConnectionName, ConnectionRef, Effect, ErrorClass, FieldSet, HoldId, Judgement,
    Kind, Operation, OperationId, Point, Reads, Views,
};
use crmgate_policy::{Governing, JudgeOptions, PolicySet, Target};
use crmgate_store::StoreError;

use crate::approved::{Prior, as_input};
use crate::meters::Stage;
use crate::remember::Judged;
use crate::times::Times;
use crate::turns::Question;
use crate::{Ask, Gate, words};

/// A judged operation.
#[derive(Clone)]
pub struct Assessment {
    /// The operation, resolved.
    pub operation: Operation,
    /// The verdict.
    pub judgement: Judgement,
    /// The change with the verdict's patches: what may be written.
    pub change: Arc<dyn NativeChange>,
    pub(crate) judged: Judged,
    pub(crate) times: Times,
    /// What people agreed to that it rests on, as it was seen.
    pub(crate) tickets: Vec<(HoldId, u64)>,
}

/// Why there is no judgement.
#[derive(Debug)]
pub enum NotJudged {
    /// The request is wrong.
    Malformed(Malformed),
    /// The CRM refused the look-up, as it would have refused the write: there is no such record.
    RefusedByCrm {
        /// The CRM's code.
        code: String,
        /// The CRM's message.
        message: String,
        /// The CRM's own answer.
        response: Option<Box<NativeResponse>>,
    },
    /// It cannot be judged now.
    Unable(Box<Unable>),
}

/// An operation that cannot be judged now.
#[derive(Debug)]
pub struct Unable {
    /// The operation, as far as it is known.
    pub operation: Operation,
    /// What failed; no secrets.
    pub message: String,
    /// When to try again, where it is known.
    pub retry_after: Option<Duration>,
    /// The connector's word for what failed, where it was a look-up.
    pub(crate) code: Option<String>,
    /// The judgement that says so.
    pub judgement: Judgement,
    pub(crate) judged: Judged,
    pub(crate) times: Times,
}

impl Unable {
    /// Keeps what was looked up: where the connection lets it pass all the same, it is written as
    /// it was asked for.
    fn about(mut self: Box<Self>, resolved: &Resolved) -> NotJudged {
        self.judged.change = Some(Arc::clone(&resolved.change));
        NotJudged::Unable(self)
    }
}

/// What the packages that govern at this point read.
struct Governed<'a> {
    set: &'a Arc<PolicySet>,
    connection: &'a ConnectionName,
    point: Point,
    /// Stored values that agreeing is bound to beside those that are read.
    also: FieldSet,
    /// Whether they are read although nobody can be asked.
    pinned: bool,
}

impl Governed<'_> {
    fn governing(&self, kind: Kind, object: &str, native_object: &str) -> Governing {
        self.set.governing(&Target {
            connection: self.connection,
            object,
            native_object,
            kind,
            point: self.point,
        })
    }
}

impl Needs for Governed<'_> {
    fn reads(&self, kind: Kind, object: &str, native_object: &str) -> Reads {
        let Governing {
            mut reads, asks, ..
        } = self.governing(kind, object, native_object);
        if kind != Kind::Create && (asks || self.pinned) {
            reads.before.extend(&self.also);
        }
        reads
    }
}

impl Gate {
    /// Judges what is asked. Nothing is recorded and nothing is written; a scan stops here, every
    /// other point records what comes of it.
    ///
    /// # Errors
    /// When there is no judgement.
    pub async fn judge(&self, ask: &Ask) -> Result<Assessment, NotJudged> {
        let id = OperationId::fresh(self.ambient());
        self.assess(ask, id, &Prior::default()).await
    }

    /// Judges with what people have agreed to, under an id that the operation keeps when it is
    /// judged again.
    pub(crate) async fn assess(
        &self,
        ask: &Ask,
        id: OperationId,
        prior: &Prior,
    ) -> Result<Assessment, NotJudged> {
        let set = self.policies().current();
        let needs = Governed {
            set: &set,
            connection: self.connection(),
            point: ask.point,
            also: prior.fields(ask),
            pinned: prior.pinned,
        };
        let mut times = Times::start(ask);
        let timer = self.time(Stage::Enrich);
        let looking = self
            .connector()
            .resolve(ask.draft.clone(), &needs, &ask.caller.credential);
        let resolved = tokio::time::timeout(self.settings().judge_within, looking).await;
        times.enrich = timer.stop();
        let unable = |message: String, retry_after| {
            let operation = self.operation(ask, id, None);
            NotJudged::Unable(self.unable((operation, times), &set, message, retry_after))
        };
        let resolved = match resolved {
            Ok(Ok(resolved)) => resolved,
            Ok(Err(failure)) => return Err(not_resolved(failure, unable)),
            Err(_) => {
                let limit = self.settings().judge_within;
                return Err(unable(
                    format!("looking up took longer than {limit:?}"),
                    None,
                ));
            }
        };
        let operation = self.operation(ask, id, Some(&resolved));
        self.evaluate(&needs, (operation, times), &resolved, (ask, prior))
            .await
    }

    async fn evaluate(
        &self,
        needs: &Governed<'_>,
        (operation, mut times): (Operation, Times),
        resolved: &Resolved,
        (ask, prior): (&Ask, &Prior),
    ) -> Result<Assessment, NotJudged> {
        let candidate: Arc<dyn Candidate> = Arc::clone(&resolved.change) as _;
        let ungoverned = self.settings().ungoverned.choose(
            &operation.object,
            &operation.native_object,
            operation.kind,
        );
        let approvers = prior.approvers(self, ask, resolved.change.views());
        let options = JudgeOptions {
            ungoverned,
            time_limit: self.settings().policy_time,
            approvals: as_input(&approvers.given),
            approvers: Some(Arc::new(approvers)),
            ..JudgeOptions::at(operation.point)
        };
        let timer = self.time(Stage::Evaluate);
        let question = Question {
            set: Arc::clone(needs.set),
            operation,
            candidate,
            options,
        };
        let (question, judged) = self.think(question).await;
        let operation = question.operation;
        let judged = match judged {
            Ok(judged) => judged,
            Err(message) => {
                times.evaluate = timer.stop();
                let unable = self.unable((operation, times), needs.set, message, None);
                return Err(unable.about(resolved));
            }
        };
        self.meters().judged(timer.span(), &judged);
        times.evaluate = timer.stop();
        let mut seen = self.seen(
            &operation,
            resolved.change.views(),
            Some(&resolved.change),
            &judged.judgement.redactions,
        );
        let change = match patched(resolved, &judged) {
            Ok(change) => change,
            Err(message) => {
                let message = format!("what was judged cannot be written: {message}");
                let unable = self.unable((operation, times), needs.set, message, None);
                return Err(unable.about(resolved));
            }
        };
        if prior.bind && judged.judgement.effect == Effect::RequireApproval {
            let (object, native) = (&operation.object, &operation.native_object);
            let reads = needs.governing(operation.kind, object, native).reads;
            let redactions = &judged.judgement.redactions;
            let asking = self.asking(&operation, (&change, &reads), prior, redactions);
            seen.asking = Some(Arc::new(asking));
        }
        Ok(Assessment {
            operation,
            judgement: judged.judgement,
            change,
            judged: seen,
            times,
            tickets: Vec::new(),
        })
    }

    fn unable(
        &self,
        (operation, times): (Operation, Times),
        set: &PolicySet,
        message: String,
        retry_after: Option<Duration>,
    ) -> Box<Unable> {
        let class = ErrorClass::Transient;
        Box::new(Unable {
            judgement: words::no_judgement(set.revision().clone(), class, message.clone()),
            judged: self.seen(&operation, &Views::default(), None, &[]),
            operation,
            message,
            retry_after,
            code: None,
            times,
        })
    }

    /// What is not judged because what people agreed to cannot be read.
    pub(crate) fn unreadable(&self, ask: &Ask, id: OperationId, error: &StoreError) -> NotJudged {
        let set = self.policies().current();
        let operation = self.operation(ask, id, None);
        let message = format!("what people agreed to cannot be read: {error}");
        NotJudged::Unable(self.unable((operation, Times::start(ask)), &set, message, None))
    }

    /// The operation; unresolved as far as the draft tells.
    pub(crate) fn operation(
        &self,
        ask: &Ask,
        id: OperationId,
        resolved: Option<&Resolved>,
    ) -> Operation {
        let draft = &ask.draft;
        let kind = resolved.map_or(draft.requested, |resolved| resolved.kind);
        let drafted_id = match &draft.target {
            crmgate_connector::Target::Id(id) => Some(id.clone()),
            _ => None,
        };
        Operation {
            id,
            kind,
            requested: (draft.requested != kind).then_some(draft.requested),
            point: ask.point,
            at: ask.at,
            connection: ConnectionRef {
                name: self.connection().clone(),
                system: self.connector().system().to_owned(),
                org: ask.caller.org.clone(),
            },
            object: draft.object.clone(),
            native_object: draft.native_object.clone(),
            record_id: resolved.map_or(drafted_id, |resolved| resolved.record_id.clone()),
            actor: ask.caller.actor.clone(),
            request: draft.request.clone(),
            purpose: ask.purpose.clone(),
            batch: None,
            name: draft.action.clone(),
            arguments: draft.arguments.clone(),
            relation: draft.relation.clone(),
        }
    }
}

/// INVARIANT: what was judged is what is written: the patched change shows policies exactly what
/// the last evaluation saw.
fn patched(
    resolved: &Resolved,
    judged: &crmgate_policy::Judged,
) -> Result<Arc<dyn NativeChange>, String> {
    let judgement = &judged.judgement;
    let goes_on = matches!(judgement.effect, Effect::Allow | Effect::RequireApproval);
    if judgement.patches.is_empty() || !goes_on {
        return Ok(Arc::clone(&resolved.change));
    }
    let change = resolved
        .change
        .patched_native(&judgement.patches)
        .map_err(|error| error.to_string())?;
    if change.views() == judged.candidate.views() {
        Ok(change)
    } else {
        Err("its patches give another record than was judged".to_owned())
    }
}

fn not_resolved(
    failure: ParseFailure,
    unable: impl Fn(String, Option<Duration>) -> NotJudged,
) -> NotJudged {
    match failure {
        ParseFailure::Malformed(malformed) => NotJudged::Malformed(malformed),
        ParseFailure::Failure(Failure::Refused {
            code,
            message,
            response,
        }) => NotJudged::RefusedByCrm {
            code,
            message,
            response,
        },
        ParseFailure::Failure(Failure::Repeatable {
            code,
            reason,
            retry_after,
            ..
        }) => match unable(format!("a look-up failed: {reason}"), retry_after) {
            NotJudged::Unable(mut unable) => {
                unable.code = Some(code);
                NotJudged::Unable(unable)
            }
            other => other,
        },
        ParseFailure::Failure(other) => unable(format!("a look-up failed: {other}"), None),
    }
}
