//! What became of writes whose worker is gone, or whose answer never came.

use std::time::Duration;

use crmgate_connector::{Failure, ReadBackResult};
use crmgate_domain::{OperationId, State, Timestamp};
use crmgate_store::permit::LIFETIME_SECONDS;
use crmgate_store::{
    Moved, OutcomeKind, ReadBack, StoreError, StoredDecision, StoredOperation, Why,
};
use jiff::ToSpan as _;

use super::ended::{Ending, Known};
use super::{Desk, Ended, Setback, Step, restored};
use crate::Gate;
use crate::outcome::Learned;

/// The shortest pause between two looks; each lasts as long as it has been unknown by then.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(60);

/// What was found out about one write.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Happened(Option<String>),
    DidNotHappen,
    /// It may still happen, or the CRM did not say.
    Open,
    /// Nothing more can be found out.
    Unsure(String),
}

/// The setback of what was sent and did not arrive.
pub(super) fn not_written() -> Setback {
    Setback::counting("not_written", "it was sent and did not arrive")
}

impl Gate {
    /// Finds out what became of operations that a worker may have sent: one, or those of a group,
    /// which happened together or not at all. It never writes to the CRM.
    ///
    /// # Errors
    /// When the store cannot be asked, or it is not certain that what was found is stored.
    pub async fn settle(
        &self,
        desk: &Desk,
        rows: &[StoredOperation],
    ) -> Result<Vec<(OperationId, Ended)>, StoreError> {
        let (mut found, mut since) = (Vec::with_capacity(rows.len()), None);
        for stored in rows {
            let step = Step::ReadBack.start();
            let (one, decided) = self.find_out(stored).await?;
            found.push(one);
            since = since.max(decided);
            step.stop();
        }
        infer(&mut found);
        let step = Step::Settle.start();
        let mut all = Vec::with_capacity(rows.len());
        for (stored, found) in rows.iter().zip(found) {
            all.push((
                stored.id,
                self.settle_one(desk, stored, (found, since)).await?,
            ));
        }
        step.stop();
        Ok(all)
    }

    /// What is found, and when it was decided.
    async fn find_out(
        &self,
        stored: &StoredOperation,
    ) -> Result<(Found, Option<Timestamp>), StoreError> {
        let Some(decision) = stored.decision else {
            let message = "no decision says what may have been written";
            return Ok((Found::Unsure(message.to_owned()), None));
        };
        let Some(kept) = self.in_time(self.store().decision(decision)).await? else {
            let message = format!("the decision {decision} is not in the record any more");
            return Ok((Found::Unsure(message), None));
        };
        let decided = kept.record.decision.at;
        let Some(read_back) = &kept.record.read_back else {
            return Ok((already(&kept), Some(decided)));
        };
        if !self.connector().has_service_credential() {
            let message = "the connection has no credential of its own to look with";
            return Ok((Found::Unsure(message.to_owned()), Some(decided)));
        }
        self.queue_meters().called(1, 0);
        let found = match self.ask_crm(stored, &self.unsealed(read_back)).await {
            Found::DidNotHappen | Found::Unsure(_) if !self.is_sure(stored, decided) => Found::Open,
            found => found,
        };
        Ok((found, Some(decided)))
    }

    pub(super) async fn ask_crm(&self, stored: &StoredOperation, read_back: &ReadBack) -> Found {
        let limit = self.settings().judge_within;
        let asking = self.connector().read_back(read_back);
        match tokio::time::timeout(limit, asking).await {
            Ok(Ok(ReadBackResult::Happened(id))) => Found::Happened(id),
            Ok(Ok(ReadBackResult::DidNotHappen)) => Found::DidNotHappen,
            Ok(Ok(ReadBackResult::Uncertain(reason))) => Found::Unsure(reason),
            Ok(Err(Failure::Refused { code, message, .. })) => {
                Found::Unsure(format!("the CRM refused the look-up: {code}: {message}"))
            }
            Ok(Err(error)) => {
                tracing::warn!(connection = %self.connection(), operation = %stored.id, %error, "reading back failed");
                Found::Open
            }
            Err(_) => Found::Open,
        }
    }

    /// Whether the CRM must be done with it. A call of this process has ended; one of another may
    /// begin as long as its permit lasts.
    fn is_sure(&self, stored: &StoredOperation, decided: Timestamp) -> bool {
        let ended = self
            .unanswered()
            .since(stored.id)
            .unwrap_or_else(|| decided + LIFETIME_SECONDS.seconds());
        self.settled(ended)
    }

    async fn settle_one(
        &self,
        desk: &Desk,
        stored: &StoredOperation,
        (found, since): (Found, Option<Timestamp>),
    ) -> Result<Ended, StoreError> {
        let now = self.ambient().now();
        let Some(ending) = self.settled_as(desk, stored, (found, now)) else {
            // Not the row's own time: taking it over counts as a move.
            let since = since.unwrap_or(stored.updated_at);
            let age = Duration::try_from(now.duration_since(since));
            let pause = age.unwrap_or_default().clamp(SHORTEST, LONGEST);
            return Ok(Ended::Unknown(pause));
        };
        let last = ending.moves.last().cloned();
        let moved = self.shift_surely(desk, ending.moves).await?;
        if !matches!(moved.last(), Some(Moved::Done(_))) {
            return Ok(Ended::Lost);
        }
        self.unanswered().forget(stored.id);
        if let Some(last) = last {
            self.queue_meters().moved(stored, last.to, now);
            if let Some(outcome) = last.outcome {
                self.meters().ended(outcome.kind);
            }
        }
        Ok(ending.ended)
    }

    fn settled_as(
        &self,
        desk: &Desk,
        stored: &StoredOperation,
        (found, now): (Found, Timestamp),
    ) -> Option<Ending> {
        let written = |kind| Learned::coded(kind, "read_back");
        let known = stored.decision.map(|decision| Known {
            stored,
            decision,
            now,
            millicalls: 1_000,
        });
        // What was put back with a backup, or was never sent, takes other ways through the states.
        let Some(known) = known.filter(|_| stored.state == State::Writing) else {
            return restored::ending(desk, stored, (found, now));
        };
        Some(match found {
            Found::Open => return None,
            Found::Happened(record_id) => {
                let learned = Learned {
                    record_id,
                    ..written(OutcomeKind::Succeeded)
                };
                known.over(desk, State::Succeeded, (None, learned))
            }
            Found::DidNotHappen => {
                let learned = written(OutcomeKind::NotWritten);
                known.again(desk, not_written(), (self.random(), learned))
            }
            Found::Unsure(reason) => {
                let reason = Some(Why::new("outcome_unknown", reason));
                let learned = written(OutcomeKind::Uncertain);
                known.over(desk, State::Uncertain, (reason, learned))
            }
        })
    }
}

/// What the record says of a write that has no read-back any more.
fn already(kept: &StoredDecision) -> Found {
    match kept.outcome.as_ref().map(|outcome| outcome.kind) {
        Some(OutcomeKind::Succeeded) => {
            let outcome = kept.outcome.as_ref();
            Found::Happened(outcome.and_then(|outcome| outcome.record_id.clone()))
        }
        Some(OutcomeKind::NotWritten | OutcomeKind::Refused | OutcomeKind::VersionMismatch) => {
            Found::DidNotHappen
        }
        _ => Found::Unsure("nothing was kept by which it could be found again".to_owned()),
    }
}

/// What is known of one member of a group tells what became of the others.
fn infer(found: &mut [Found]) {
    let happened = found.iter().any(|one| matches!(one, Found::Happened(_)));
    let not = found.iter().any(|one| matches!(one, Found::DidNotHappen));
    if happened == not {
        return;
    }
    for one in found {
        if matches!(one, Found::Open | Found::Unsure(_)) {
            *one = if happened {
                Found::Happened(None)
            } else {
                Found::DidNotHappen
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_happened_as_a_whole() {
        let mut found = vec![
            Found::Open,
            Found::Happened(Some("a".to_owned())),
            Found::Unsure("x".to_owned()),
        ];
        infer(&mut found);
        assert!(found.iter().all(|one| matches!(one, Found::Happened(_))));
        let mut found = vec![Found::Open, Found::DidNotHappen];
        infer(&mut found);
        assert!(found.iter().all(|one| matches!(one, Found::DidNotHappen)));
    }

    #[test]
    fn what_contradicts_itself_stays_as_it_was_found() {
        let mut found = vec![Found::Happened(None), Found::DidNotHappen, Found::Open];
        infer(&mut found);
        assert!(matches!(
            found.as_slice(),
            [Found::Happened(_), Found::DidNotHappen, Found::Open]
        ));
    }
}
