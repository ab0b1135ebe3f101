//! Looking at queued operations, and waiting for them.

use std::time::Duration;

use crmgate_domain::{OperationId, State, SubmissionId};
use crmgate_store::decisions::StoredDecision;
use crmgate_store::{
    HistoryEntry, Hold, OperationFilter, Page, StoredOperation, Submission, Tally,
};
use serde::Serialize;
use tokio::time::Instant;

use super::Operations;
use super::callbacks::Tries;
use crate::decisions::check_limit;
use crate::{Action, AppError, Principal};

/// The longest that a caller may wait for an operation to move.
pub const MOST_WAIT: Duration = Duration::from_secs(60);
/// How often a submission is looked at while somebody waits for it, at most.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Until {
    /// That it is at its end, or that people are waited for.
    #[default]
    Settled,
    /// That it moves.
    Moved,
}

/// Whether nothing more happens to it before somebody acts: it has ended, or waits for people or
/// for other policies.
#[must_use]
pub const fn is_settled(state: State) -> bool {
    state.is_final()
        || matches!(
            state,
            State::Held | State::Stale | State::Uncertain | State::Unjudged
        )
}

/// The whole life of an operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Life {
    /// Where it stands.
    pub operation: StoredOperation,
    /// How it came there, oldest first.
    pub history: Vec<HistoryEntry>,
    /// What was decided about it, newest last.
    pub decisions: Vec<StoredDecision>,
    /// The hold it waits or waited for.
    pub hold: Option<Hold>,
    /// What it depends on.
    pub depends_on: Vec<OperationId>,
    /// What depends on it.
    pub dependants: Vec<OperationId>,
    /// The others of its group.
    pub group: Vec<OperationId>,
    /// How it went with telling its end, where somebody is to be told.
    pub callback: Option<Tries>,
}

/// A submission and where its operations stand.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubmissionState {
    /// The submission.
    #[serde(flatten)]
    pub submission: Submission,
    /// Where its operations stand, and why.
    pub tally: Vec<Tally>,
    /// How many are at their end.
    pub ended: u64,
    /// How many wait for people, or for other policies.
    pub waiting: u64,
    /// Whether nothing more happens before somebody acts.
    pub settled: bool,
}

impl SubmissionState {
    fn of(mut submission: Submission, tally: Vec<Tally>) -> Self {
        let count = |wanted: fn(State) -> bool| {
            let found = tally.iter().filter(|entry| wanted(entry.state));
            found.map(|entry| entry.count).sum::<u64>()
        };
        // What was answered stands in the answer, and hashes are nobody's business.
        submission.answer = None;
        submission.content = None;
        let ended = count(State::is_final);
        let all = count(|_| true);
        let waiting = count(is_settled) - ended;
        Self {
            // Rows that pruning took are at their end, too.
            settled: submission.accepted_at.is_some()
                && ended + waiting == all
                && all <= submission.count,
            submission,
            tally,
            ended,
            waiting,
        }
    }
}

impl Operations {
    /// One operation.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`, also for one that the caller may not see; `Unavailable`.
    pub async fn show(&self, by: &Principal, id: OperationId) -> Result<StoredOperation, AppError> {
        by.demand(Action::ReadOperations)?;
        self.visible(by, id).await
    }

    /// One that the caller may see. What is staged is seen once it is accepted, and stands
    /// `received` then, whether it was unfolded already or not.
    pub(crate) async fn visible(
        &self,
        by: &Principal,
        id: OperationId,
    ) -> Result<StoredOperation, AppError> {
        let found = self.log.operation(id).await?;
        let mut found = found
            .filter(|operation| {
                by.sees(&operation.connection)
                    && by.only_own().is_none_or(|own| operation.owner == own)
            })
            .ok_or_else(|| AppError::not_found("operation", id))?;
        if found.state == State::Staged {
            let submission = self.log.submission(found.submission).await?;
            if submission.is_none_or(|submission| submission.accepted_at.is_none()) {
                return Err(AppError::not_found("operation", id));
            }
            found.state = State::Received;
        }
        Ok(found)
    }

    /// The same, once it is as the caller wishes it, or when the time is up.
    ///
    /// # Errors
    /// As [`Self::show`]; `Invalid` for a time that is too long.
    pub async fn wait(
        &self,
        by: &Principal,
        id: OperationId,
        until: Until,
        most: Duration,
    ) -> Result<StoredOperation, AppError> {
        check_wait(most)?;
        let end = Instant::now() + most;
        let first = self.show(by, id).await?;
        let mut now = first.clone();
        loop {
            let there = match until {
                Until::Settled => is_settled(now.state),
                Until::Moved => now.version != first.version || now.state.is_final(),
            };
            let left = end.saturating_duration_since(Instant::now());
            if there || left.is_zero() || self.winding_down.is_cancelled() {
                return Ok(now);
            }
            tokio::select! {
                () = self.log.moved(id, now.version, left) => {}
                () = self.winding_down.cancelled() => {}
            }
            now = self.show(by, id).await?;
        }
    }

    /// Operations, newest first, of the connections the caller may see; a mere client sees its own
    /// only. `filter.visible` is set here, whatever the caller put there.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` for a cursor or limit that is none; `Unavailable`.
    pub async fn list(
        &self,
        by: &Principal,
        filter: OperationFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<StoredOperation>, AppError> {
        by.demand(Action::ReadOperations)?;
        check_limit(limit)?;
        let Some(filter) = narrowed(by, filter) else {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        };
        Ok(self.log.operations(&filter, cursor, limit).await?)
    }

    /// The whole life of one operation.
    ///
    /// # Errors
    /// As [`Self::show`].
    pub async fn life(&self, by: &Principal, id: OperationId) -> Result<Life, AppError> {
        let operation = self.show(by, id).await?;
        let history = self.log.history(id).await?;
        let mut decisions = Vec::new();
        let mut seen = Vec::new();
        let newest = operation.decision.into_iter();
        for decision in history
            .iter()
            .filter_map(|entry| entry.decision)
            .chain(newest)
        {
            if seen.contains(&decision) {
                continue;
            }
            seen.push(decision);
            decisions.extend(self.store.decision(decision).await?);
        }
        let hold = match operation.hold {
            Some(hold) => {
                let found = self.store.held(hold).await?;
                found.map(|hold| crate::approvals::for_viewer(hold, by))
            }
            None => None,
        };
        let (depends_on, dependants) = self.log.related(id).await?;
        let group = self.others_of_group(&operation).await?;
        let callback = match &operation.callback {
            Some(_) => Some(self.callbacks.tries(id).await?),
            None => None,
        };
        Ok(Life {
            operation,
            history,
            decisions,
            hold,
            depends_on,
            dependants,
            group,
            callback,
        })
    }

    async fn others_of_group(&self, one: &StoredOperation) -> Result<Vec<OperationId>, AppError> {
        let members = self.members(one).await?;
        let others = members.iter().filter(|member| member.id != one.id);
        Ok(others.map(|member| member.id).collect())
    }

    /// All of an operation's group; itself, where it stands alone.
    pub(crate) async fn members(
        &self,
        one: &StoredOperation,
    ) -> Result<Vec<StoredOperation>, AppError> {
        let Some(group) = one.group else {
            return Ok(vec![one.clone()]);
        };
        let filter = OperationFilter {
            submission: Some(one.submission),
            group: Some(group),
            ..OperationFilter::default()
        };
        let mut all = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.log.operations(&filter, cursor.as_deref(), 500).await?;
            all.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                all.sort_by_key(|member| member.seq);
                return Ok(all);
            }
        }
    }

    /// A submission and where its operations stand.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`, also for one that the caller may not see; `Unavailable`.
    pub async fn submission(
        &self,
        by: &Principal,
        id: SubmissionId,
    ) -> Result<SubmissionState, AppError> {
        by.demand(Action::ReadOperations)?;
        let found = self.log.submission(id).await?;
        let found = found
            .filter(|submission| {
                submission.accepted_at.is_some()
                    && by.only_own().is_none_or(|own| submission.owner == own)
            })
            .ok_or_else(|| AppError::not_found("submission", id))?;
        let filter = OperationFilter {
            submission: Some(id),
            visible: by.visible(),
            ..OperationFilter::default()
        };
        let mut tally = self.log.tally(&filter).await?;
        for entry in &mut tally {
            if entry.state == State::Staged {
                entry.state = State::Received;
            }
        }
        // Of a submission to connections that the caller must not see, nothing is told.
        if tally.is_empty()
            && found.count > 0
            && by.visible().is_some()
            && found.owner != by.token.id
        {
            return Err(AppError::not_found("submission", id));
        }
        Ok(SubmissionState::of(found, merged(tally)))
    }

    /// The same, once nothing more happens to it, or when the time is up.
    ///
    /// # Errors
    /// As [`Self::submission`]; `Invalid` for a time that is too long.
    pub async fn wait_for_submission(
        &self,
        by: &Principal,
        id: SubmissionId,
        most: Duration,
    ) -> Result<SubmissionState, AppError> {
        check_wait(most)?;
        let end = Instant::now() + most;
        loop {
            let began = Instant::now();
            let state = self.submission(by, id).await?;
            let left = end.saturating_duration_since(Instant::now());
            if state.settled || left.is_zero() || self.winding_down.is_cancelled() {
                return Ok(state);
            }
            // Looking at a large one costs something: rarely enough that it is not noticed.
            let pause = (began.elapsed() * 10).max(LOOK_EVERY);
            tokio::select! {
                () = tokio::time::sleep(pause.min(left)) => {}
                () = self.winding_down.cancelled() => {}
            }
        }
    }
}

fn merged(tally: Vec<Tally>) -> Vec<Tally> {
    let mut all: Vec<Tally> = Vec::new();
    for entry in tally {
        let same = |known: &&mut Tally| known.state == entry.state && known.code == entry.code;
        match all.iter_mut().find(same) {
            Some(known) => known.count += entry.count,
            None => all.push(entry),
        }
    }
    all.sort_by_key(|entry| (entry.state, std::cmp::Reverse(entry.count)));
    all
}

/// The filter as far as the caller may see; `None` where it asks for what it must not.
pub(crate) fn narrowed(by: &Principal, mut filter: OperationFilter) -> Option<OperationFilter> {
    filter.visible = by.visible();
    if let Some(own) = by.only_own() {
        if filter.owner.as_deref().is_some_and(|owner| owner != own) {
            return None;
        }
        filter.owner = Some(own.to_owned());
    }
    // What is staged is nobody's to see.
    let asked = !filter.states.is_empty();
    filter.states.retain(|state| *state != State::Staged);
    if asked && filter.states.is_empty() {
        return None;
    }
    Some(filter)
}

fn check_wait(most: Duration) -> Result<(), AppError> {
    if most > MOST_WAIT {
        let problem = format!("expected at most {} seconds", MOST_WAIT.as_secs());
        return Err(AppError::invalid("wait", problem));
    }
    Ok(())
}
