//! All that a caller must be told.

use crmgate_connector::{NativeResponse, Refusal};
use crmgate_domain::{DecisionId, Effect, HoldId, Mode};
use crmgate_store::Basis;

/// What goes back to the caller.
#[derive(Debug)]
pub enum Reply {
    /// An answer in the CRM's own form: the CRM's, or one the connector made out of it.
    Native(NativeResponse),
    /// The gate's own answer; [`Connector::render`](crmgate_connector::Connector::render) puts it
    /// into the CRM's shape.
    Refused(Refusal),
}

/// The answer to a request, with everything that the `Crmgate-…` headers tell.
#[derive(Debug)]
pub struct Answer {
    /// The answer itself.
    pub reply: Reply,
    /// The decision it rests on: `Crmgate-Decision`. The last one, where a record was judged
    /// again. `None` when nothing was decided: reads, requests refused before any judgement.
    pub decision: Option<DecisionId>,
    /// What was decided: `Crmgate-Effect`. In observe mode, what `enforce` would have decided.
    pub effect: Option<Effect>,
    /// Native names of the fields that patches changed in what was sent: `Crmgate-Changed`.
    pub changed: Vec<String>,
    /// Codes of warnings, without repeats: `Crmgate-Warning`.
    pub warnings: Vec<String>,
    /// Why it did not pass, or would not when enforcing, in one stable word:
    /// `crm.sales.discounts/too_high`.
    pub why: Option<String>,
    /// The hold that the operation waits in.
    pub hold: Option<HoldId>,
    /// The connection's mode. In `observe` every answer says that nothing is protected.
    pub mode: Mode,
    /// What let it pass. `FailedOpen`, `Observed` and `Opaque` are marked on the answer.
    pub basis: Option<Basis>,
}

impl Answer {
    /// An answer that rests on no decision.
    #[must_use]
    pub const fn undecided(mode: Mode, reply: Reply) -> Self {
        Self {
            reply,
            decision: None,
            effect: None,
            changed: Vec::new(),
            warnings: Vec::new(),
            why: None,
            hold: None,
            mode,
            basis: None,
        }
    }

    /// A refusal that rests on no decision.
    #[must_use]
    pub const fn refused(mode: Mode, refusal: Refusal) -> Self {
        Self::undecided(mode, Reply::Refused(refusal))
    }

    /// The gate's own refusal, when it is one.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match &self.reply {
            Reply::Refused(refusal) => Some(refusal),
            Reply::Native(_) => None,
        }
    }

    /// The native answer, when it is one.
    #[must_use]
    pub const fn native(&self) -> Option<&NativeResponse> {
        match &self.reply {
            Reply::Native(response) => Some(response),
            Reply::Refused(_) => None,
        }
    }
}
