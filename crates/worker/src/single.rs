//! One operation from its beginning to its end.

use std::sync::Arc;

use crmgate_connector::{Failure, ParseFailure};
use crmgate_domain::{OperationId, State};
use crmgate_enforce::queued::{Ended, Finding, Queued, Ruled, Setback};
use crmgate_store::{Begun, StoreError, StoredOperation, Why};
use tracing::Span;

use crate::fair::Wait;
use crate::governor::{Purpose, Reserve};
use crate::line::{Line, OnItsWay};
use crate::trace;

/// Why a request cannot be judged: for good, or for now.
pub(crate) enum NotAsked {
    /// It never can.
    Refused(Why),
    /// Not now.
    Later(Setback),
}

impl Line {
    /// `None` when it is not certain what the row says.
    pub(crate) async fn decide_one(self: &Arc<Self>, mut stored: StoredOperation) -> Option<Ended> {
        let id = stored.id;
        let _held = self.leases.hold(vec![id]);
        let mut round = 0;
        loop {
            let on_its_way = self.coming.one();
            let ended = self.round(stored, round, on_its_way).await;
            if ended != Some(Ended::Changed) {
                return ended;
            }
            stored = self.again(id).await?;
            round += 1;
        }
    }

    /// Begins once more with what has changed; `None` when it is not this worker's any more.
    pub(crate) async fn again(&self, id: OperationId) -> Option<StoredOperation> {
        match self.begin(id).await {
            Ok(Begun::Decide(mut rows)) if rows.len() == 1 => rows.pop(),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(operation = %id, %error, "an operation could not be begun again");
                None
            }
        }
    }

    async fn round(
        self: &Arc<Self>,
        stored: StoredOperation,
        round: u32,
        on_its_way: OnItsWay<'_>,
    ) -> Option<Ended> {
        let queued = match self.queued(stored, round).await {
            Ok(queued) => queued,
            Err(unasked) => {
                let (stored, why) = *unasked;
                return self.not_asked(&stored, why).await.ok();
            }
        };
        if round == 0 {
            trace::judged_at(&Span::current(), queued.ask.point);
        }
        let (finding, _reserve) = match self.look_up(&queued).await {
            Ok(found) => found,
            Err(wait) => {
                let back = self.back_for(wait);
                let rows = vec![&queued.stored];
                let ended = self.gate.hand_back(&self.desk, rows, back).await.ok()?;
                return ended.into_iter().next().map(|(_, ended)| ended);
            }
        };
        match self.gate.rule(&self.desk, &queued, finding, None).await {
            Ok(Ruled::Ready(ready)) => self.send(*ready, on_its_way).await,
            Ok(Ruled::Stands(_, Some(pause))) => Some(Ended::Again(pause)),
            Ok(Ruled::Stands(state, None)) => Some(Ended::Over(state)),
            Ok(Ruled::Lost) => Some(Ended::Lost),
            Err(error) => {
                tracing::warn!(operation = %queued.stored.id, %error, "a decision could not be recorded");
                None
            }
        }
    }

    /// What is asked of the gate.
    pub(crate) async fn queued(
        &self,
        stored: StoredOperation,
        round: u32,
    ) -> Result<Queued, Box<(StoredOperation, NotAsked)>> {
        if !self.gate.connector().has_service_credential() {
            let message = "the connection has no credential of its own to write with";
            let why = Why::new("no_credential", message);
            return Err(Box::new((stored, NotAsked::Refused(why))));
        }
        match self.ask(&stored).await {
            Ok(ask) => Ok(Queued { stored, ask, round }),
            Err(failure) => Err(Box::new((stored, not_asked(failure)))),
        }
    }

    /// Judges with a place at the CRM, where something is to be looked up.
    /// What it gives beside the finding is kept until the write is made, or is not to be made.
    pub(crate) async fn look_up(
        &self,
        queued: &Queued,
    ) -> Result<(Finding, Option<Reserve>), Wait> {
        if queued.ask.draft.target == crmgate_connector::Target::New {
            return Ok((self.gate.look_over(queued).await, None));
        }
        let mut place = self
            .governor
            .place(Purpose::LookUp, self.settings.soon)
            .await?;
        let reserve = place.reserve.take();
        let finding = self.gate.look_over(queued).await;
        place.done(1, finding.signal()).await;
        Ok((finding, reserve))
    }

    pub(crate) async fn not_asked(
        &self,
        stored: &StoredOperation,
        why: NotAsked,
    ) -> Result<Ended, StoreError> {
        match why {
            NotAsked::Later(setback) => self.gate.put_back(&self.desk, stored, setback).await,
            NotAsked::Refused(why) => {
                let refused = (State::Refused, why);
                let ended = self
                    .gate
                    .end_undecided(&self.desk, vec![stored], refused)
                    .await?;
                Ok(ended
                    .into_iter()
                    .next()
                    .map_or(Ended::Lost, |(_, ended)| ended))
            }
        }
    }
}

fn not_asked(failure: ParseFailure) -> NotAsked {
    match failure {
        ParseFailure::Malformed(malformed) => {
            NotAsked::Refused(Why::new(malformed.code, malformed.message))
        }
        ParseFailure::Failure(Failure::Refused { code, message, .. }) => {
            NotAsked::Refused(Why { code, message })
        }
        ParseFailure::Failure(Failure::Repeatable {
            code,
            reason,
            retry_after,
            ..
        }) => NotAsked::Later(Setback::by_crm(&code, reason, retry_after)),
        ParseFailure::Failure(other) => {
            NotAsked::Later(Setback::by_crm("unavailable", other.to_string(), None))
        }
    }
}
