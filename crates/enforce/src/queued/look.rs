//! What the gate makes of a queued operation, before anything is recorded.

use std::sync::Arc;

use crmgate_connector::NativeChange;
use crmgate_domain::{Effect, ErrorClass, Judgement, Kind, Mode};
use crmgate_store::{Basis, Why};

use super::{Queued, Setback, Signal, Step};
use crate::decide::Verdict;
use crate::judge::Unable;
use crate::{Assessment, Gate, NotJudged, words};

/// How an operation stands before its decision is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// It may be written.
    Passes,
    /// Policies refuse it.
    Denied,
    /// People must agree.
    Held,
    /// A policy is in error.
    Unjudged,
    /// It cannot be judged now.
    Later,
    /// The request is wrong, or the CRM would refuse it: there is no such record.
    Refused,
}

/// What the gate makes of a queued operation.
pub struct Finding {
    pub(super) kind: FindingKind,
}

pub(super) enum FindingKind {
    Refused(Why),
    Judged { verdict: Box<Verdict>, how: How },
}

pub(super) enum How {
    Passes(Basis, Arc<dyn NativeChange>),
    Denied,
    Held(Arc<dyn NativeChange>),
    Unjudged,
    Later(Setback),
}

impl Finding {
    /// How it stands.
    #[must_use]
    pub const fn looked(&self) -> Looked {
        match &self.kind {
            FindingKind::Refused(_) => Looked::Refused,
            FindingKind::Judged { how, .. } => match how {
                How::Passes(..) => Looked::Passes,
                How::Denied => Looked::Denied,
                How::Held(_) => Looked::Held,
                How::Unjudged => Looked::Unjudged,
                How::Later(_) => Looked::Later,
            },
        }
    }

    /// What would be written, of one that passes.
    #[must_use]
    pub fn change(&self) -> Option<&dyn NativeChange> {
        match &self.kind {
            FindingKind::Judged {
                how: How::Passes(_, change),
                ..
            } => Some(change.as_ref()),
            _ => None,
        }
    }

    /// What the look-up was like for the CRM.
    #[must_use]
    pub fn signal(&self) -> Signal {
        match &self.kind {
            FindingKind::Judged {
                how: How::Later(setback),
                ..
            } => setback.signal(),
            _ => Signal::Fine,
        }
    }

    /// A request that makes no operation, or one that cannot be written.
    #[must_use]
    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        Self {
            kind: FindingKind::Refused(Why::new(code, message)),
        }
    }

    fn judged(verdict: Verdict, how: How) -> Self {
        Self {
            kind: FindingKind::Judged {
                verdict: Box::new(verdict),
                how,
            },
        }
    }
}

impl Gate {
    /// Looks a queued operation up and judges it. Nothing is recorded.
    pub async fn look_over(&self, queued: &Queued) -> Finding {
        let step = Step::Judge.start();
        // Never closed; were it, judging without a place would still be right.
        let _place = self.queue_places().acquire().await.ok();
        let (id, hold) = (queued.stored.id, queued.stored.hold);
        let assessed = self.assess_queued(&queued.ask, id, hold).await;
        let finding = self.finding(queued, assessed);
        step.stop();
        finding
    }

    fn finding(&self, queued: &Queued, assessed: Result<Assessment, NotJudged>) -> Finding {
        let (mode, round) = (self.mode(), queued.round);
        match assessed {
            Ok(assessment) => self.judged(assessment, mode, round),
            Err(NotJudged::Unable(unable)) => self.not_judged_now(*unable, mode, round),
            Err(NotJudged::Malformed(malformed)) => {
                Finding::refused(malformed.code, malformed.message)
            }
            Err(NotJudged::RefusedByCrm { code, message, .. }) => Finding::refused(&code, message),
        }
    }

    fn judged(&self, assessment: Assessment, mode: Mode, round: u32) -> Finding {
        let effect = assessment.judgement.effect;
        let change = Arc::clone(&assessment.change);
        // Without its patches: what is not carried out changes nothing either.
        let asked = assessment.judged.change.clone();
        let class = class_of(&assessment.judgement);
        let message = words::evaluation_failed(&assessment.judgement.errors);
        let verdict = Verdict::of(assessment, mode, round);
        if let Some((basis, change)) = self.passes_anyway(effect, mode).zip(asked) {
            return Finding::judged(verdict, How::Passes(basis, change));
        }
        let how = match (effect, class) {
            (Effect::Allow, _) => How::Passes(Basis::Judged, change),
            (Effect::Deny, _) => How::Denied,
            (Effect::RequireApproval, _) => How::Held(change),
            (Effect::Error, ErrorClass::Policy) => How::Unjudged,
            (Effect::Error, ErrorClass::Transient) => {
                How::Later(Setback::counting(NOT_JUDGED, message))
            }
        };
        Finding::judged(verdict, how)
    }

    fn not_judged_now(&self, unable: Unable, mode: Mode, round: u32) -> Finding {
        let asked = unable.judged.change.clone();
        let setback = match &unable.code {
            Some(code) => Setback::by_crm(code, unable.message.clone(), unable.retry_after),
            None => Setback {
                retry_after: unable.retry_after,
                ..Setback::counting(NOT_JUDGED, unable.message.clone())
            },
        };
        let verdict = Verdict::none(unable, mode, round);
        let how = match self.passes_anyway(Effect::Error, mode).zip(asked) {
            Some((basis, change)) => How::Passes(basis, change),
            None => How::Later(setback),
        };
        Finding::judged(verdict, how)
    }

    /// On what it passes whatever was decided: everything does in observe mode, and what cannot be
    /// judged where the connection fails open.
    fn passes_anyway(&self, effect: Effect, mode: Mode) -> Option<Basis> {
        match (mode, effect) {
            (Mode::Observe, _) => Some(Basis::Observed),
            (Mode::Enforce, Effect::Error) if self.settings().fail_open => Some(Basis::FailedOpen),
            (Mode::Enforce, _) => None,
        }
    }
}

/// The code of what could not be judged in time, or failed for now.
const NOT_JUDGED: &str = "not_judged";

/// Whether other policies are needed, or only another time.
fn class_of(judgement: &Judgement) -> ErrorClass {
    let mut errors = judgement.errors.iter();
    if errors.any(|error| error.class == ErrorClass::Policy) {
        ErrorClass::Policy
    } else {
        ErrorClass::Transient
    }
}

/// How many calls it took, or will have taken, to look an operation up, in parts of a thousand: a
/// create has nothing that could be read.
pub(super) const fn look_up_millicalls(kind: Kind) -> u64 {
    match kind {
        Kind::Create => 0,
        _ => 1_000,
    }
}
