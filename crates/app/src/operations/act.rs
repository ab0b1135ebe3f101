//! What people do to queued operations: take them back, try them once more, say what became of
//! them. Each is a move like any other: from the version that was seen, recorded with who and why.

use crmgate_domain::{OperationId, State};
use crmgate_store::{By, Move, Moved, OperationFilter, Outcome, OutcomeKind, StoredOperation, Why};
use serde::{Deserialize, Serialize};

use super::look::narrowed;
use super::{Operations, meters};
use crate::{Action, AppError, Principal};

/// Most operations of one request.
pub const MOST_AT_ONCE: usize = 10_000;
/// How many are moved in one transaction.
const STEP: usize = 500;
/// How often an operation that moves meanwhile is looked at again.
const ROUNDS: usize = 5;

/// What an operator found out about an operation with an uncertain outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// The CRM has it.
    Succeeded,
    /// It did not happen: it is tried again.
    NotWritten,
    /// It is not known, and not wanted any more.
    Cancelled,
}

/// What was done to several operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// How many were moved.
    pub moved: u64,
    /// How many could not be: they went on meanwhile, or cannot be moved from where they stand.
    pub missed: u64,
    /// Whether there are more than one request moves.
    pub more: bool,
}

/// Why, in callers' words.
fn reason(text: Option<&str>) -> Result<String, AppError> {
    let text = text.unwrap_or_default().trim();
    if text.chars().count() > 500 || text.chars().any(char::is_control) {
        let problem = "expected at most 500 characters, none of them a control character";
        return Err(AppError::invalid("reason", problem));
    }
    Ok(text.to_owned())
}

/// One kind of answer: where it leads, and what it may begin at.
#[derive(Clone)]
struct Answer {
    word: &'static str,
    to: State,
    from: &'static [State],
    why: Why,
    by: By,
}

impl Answer {
    fn new(
        word: &'static str,
        by: &Principal,
        to: State,
        from: &'static [State],
        why: Why,
    ) -> Self {
        let by = By(format!("token {}", by.token.name).into());
        Self {
            word,
            to,
            from,
            why,
            by,
        }
    }

    /// It is taken back.
    fn cancelling(by: &Principal, why: Option<&str>) -> Result<Self, AppError> {
        by.demand(Action::CancelOperations)?;
        let why = told("cancelled", why, "taken back")?;
        Ok(Self::new("cancelled", by, State::Cancelled, OPEN, why))
    }

    /// It is tried once more.
    fn retrying(by: &Principal, why: Option<&str>) -> Result<Self, AppError> {
        by.demand(Action::RetryOperations)?;
        let why = told("retried", why, "tried once more")?;
        let from = ENDED_UNWRITTEN;
        Ok(Self::new("retried", by, State::Received, from, why))
    }

    fn takes(&self, state: State) -> bool {
        self.from.contains(&state) && state.may_become(self.to)
    }

    fn late(&self, operation: &StoredOperation) -> AppError {
        let wanted: Vec<&str> = self.from.iter().map(|state| state.as_str()).collect();
        AppError::Stands {
            message: format!(
                "operation `{}` is {}{}: only one that is {} can be {}",
                operation.id,
                operation.state,
                operation
                    .why
                    .as_ref()
                    .map(|why| format!(" ({})", why.code))
                    .unwrap_or_default(),
                wanted.join(", "),
                self.word,
            ),
            state: operation.state,
            version: operation.version,
        }
    }
}

const OPEN: &[State] = &[
    State::Received,
    State::Deciding,
    State::Held,
    State::Stale,
    State::Unjudged,
    State::Permitted,
];
const ENDED_UNWRITTEN: &[State] = &[State::Denied, State::Refused, State::Dead];
const UNCERTAIN: &[State] = &[State::Uncertain];

impl Operations {
    /// Takes an operation back, and with it its group.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Stands` when it is too late; `Invalid`, `Unavailable`.
    pub async fn cancel(
        &self,
        by: &Principal,
        id: OperationId,
        why: Option<&str>,
    ) -> Result<StoredOperation, AppError> {
        let answer = Answer::cancelling(by, why)?;
        self.answer(by, id, &answer, |_, _| ()).await
    }

    /// Tries an operation once more that came to nothing, and with it its group. One that is
    /// uncertain only when whoever may resolve it says that it did not happen.
    ///
    /// # Errors
    /// As [`Self::cancel`].
    pub async fn retry(
        &self,
        by: &Principal,
        id: OperationId,
        did_not_happen: bool,
        why: Option<&str>,
    ) -> Result<StoredOperation, AppError> {
        let answer = Answer::retrying(by, why)?;
        let seen = self.visible(by, id).await?;
        if seen.state == State::Uncertain {
            if did_not_happen {
                return self.resolve(by, id, Found::NotWritten, None, why).await;
            }
            return Err(AppError::Stands {
                message: format!(
                    "operation `{id}` may have been written: look, and say `did_not_happen`, or resolve it"
                ),
                state: seen.state,
                version: seen.version,
            });
        }
        self.has_request(&seen)?;
        let now = self.ambient.now();
        self.answer(by, id, &answer, |change, _| change.due = Some(now))
            .await
    }

    fn has_request(&self, operation: &StoredOperation) -> Result<(), AppError> {
        if operation.request.is_some() {
            return Ok(());
        }
        Err(AppError::Conflict(format!(
            "what operation `{}` asked for is not kept any more: submit it anew",
            operation.id
        )))
    }

    /// Says what became of an operation with an uncertain outcome.
    ///
    /// # Errors
    /// As [`Self::cancel`].
    pub async fn resolve(
        &self,
        by: &Principal,
        id: OperationId,
        found: Found,
        record_id: Option<&str>,
        why: Option<&str>,
    ) -> Result<StoredOperation, AppError> {
        by.demand(Action::ResolveOperations)?;
        if record_id.is_some() && found != Found::Succeeded {
            let problem = "goes with `succeeded` alone";
            return Err(AppError::invalid("record_id", problem));
        }
        let seen = self.visible(by, id).await?;
        let record_id = match record_id {
            Some(text) => {
                let connection = self.connections.visible(by, &seen.connection)?;
                let normal = connection.connector().normal_id(text);
                Some(normal.map_err(|error| AppError::invalid("record_id", error.message))?)
            }
            None => None,
        };
        let (to, words, kind) = match found {
            Found::Succeeded => (
                State::Succeeded,
                "it was written",
                Some(OutcomeKind::Succeeded),
            ),
            Found::NotWritten => (
                State::Received,
                "it did not happen",
                Some(OutcomeKind::NotWritten),
            ),
            Found::Cancelled => (State::Cancelled, "not followed up", None),
        };
        if found == Found::NotWritten {
            self.has_request(&seen)?;
        }
        let why = told("resolved", why, words)?;
        let answer = Answer::new("resolved", by, to, UNCERTAIN, why);
        let now = self.ambient.now();
        self.answer_alone(by, id, &answer, |change, operation| {
            change.due = (to == State::Received).then_some(now);
            change.record_id.clone_from(&record_id);
            let of = operation.decision.zip(kind);
            change.outcome = of.map(|(decision, kind)| Outcome {
                decision,
                at: now,
                kind,
                status: None,
                code: Some("resolved".to_owned()),
                record_id: record_id.clone(),
            });
        })
        .await
    }

    /// Takes back whatever the filter narrows to.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `Unavailable`.
    pub async fn cancel_all(
        &self,
        by: &Principal,
        filter: OperationFilter,
        why: Option<&str>,
    ) -> Result<Swept, AppError> {
        self.sweep(by, filter, &Answer::cancelling(by, why)?).await
    }

    /// Tries once more whatever the filter narrows to and came to nothing.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `Unavailable`.
    pub async fn retry_all(
        &self,
        by: &Principal,
        filter: OperationFilter,
        why: Option<&str>,
    ) -> Result<Swept, AppError> {
        self.sweep(by, filter, &Answer::retrying(by, why)?).await
    }

    /// Moves an operation and its group.
    async fn answer(
        &self,
        by: &Principal,
        id: OperationId,
        answer: &Answer,
        more: impl Fn(&mut Move, &StoredOperation),
    ) -> Result<StoredOperation, AppError> {
        let first = self.answer_alone(by, id, answer, &more).await?;
        if first.group.is_some() {
            // INVARIANT: those of a group happen together or not at all. Whoever of them went on
            // meanwhile is stopped by its worker, which finds the group incomplete.
            for member in self.members(&first).await? {
                if member.id == id || !answer.takes(member.state) {
                    continue;
                }
                match self.answer_alone(by, member.id, answer, &more).await {
                    Ok(_) | Err(AppError::Stands { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(first)
    }

    async fn answer_alone(
        &self,
        by: &Principal,
        id: OperationId,
        answer: &Answer,
        more: impl Fn(&mut Move, &StoredOperation),
    ) -> Result<StoredOperation, AppError> {
        let mut seen = self.visible(by, id).await?;
        for _ in 0..ROUNDS {
            if !answer.takes(seen.state) {
                return Err(answer.late(&seen));
            }
            let mut change = self.change(answer, &seen);
            more(&mut change, &seen);
            let moved = self.log.shift(vec![change]).await?;
            let done = matches!(moved.first(), Some(Moved::Done(_)));
            if done {
                meters::answered(answer.word, 1);
                return self.visible(by, id).await;
            }
            // It may be accepted, and not `received` yet.
            self.log.unfold(self.ambient.now(), STEP).await?;
            seen = self.visible(by, id).await?;
        }
        Err(answer.late(&seen))
    }

    fn change(&self, answer: &Answer, seen: &StoredOperation) -> Move {
        let at = self.ambient.now();
        let mut change = Move::new(seen, answer.to, at, answer.by.clone());
        change.why = Some(answer.why.clone());
        change.due = (answer.to == State::Received).then_some(at);
        change
    }

    async fn sweep(
        &self,
        by: &Principal,
        filter: OperationFilter,
        answer: &Answer,
    ) -> Result<Swept, AppError> {
        let wide = OperationFilter::default();
        if filter == wide {
            let problem = "expected at least one of them: `submission`, `connection`, …";
            return Err(AppError::invalid("filter", problem));
        }
        let Some(mut filter) = narrowed(by, filter) else {
            return Ok(Swept::default());
        };
        if filter.states.is_empty() {
            filter.states = answer.from.to_vec();
        }
        filter.states.retain(|state| answer.takes(*state));
        if filter.states.is_empty() {
            let wanted: Vec<&str> = answer.from.iter().map(|state| state.as_str()).collect();
            let problem = format!("expected some of {}", wanted.join(", "));
            return Err(AppError::invalid("filter.states", problem));
        }
        let mut swept = Swept::default();
        let mut cursor: Option<String> = None;
        let mut left = MOST_AT_ONCE;
        loop {
            let page = self
                .log
                .operations(&filter, cursor.as_deref(), STEP.min(left));
            let page = page.await?;
            left = left.saturating_sub(page.items.len());
            let movable = page
                .items
                .iter()
                .filter(|operation| answer.to != State::Received || operation.request.is_some());
            let moves: Vec<Move> = movable.map(|seen| self.change(answer, seen)).collect();
            let asked = page.items.len() as u64;
            let moved = self.log.shift(moves).await?;
            let done = moved.iter().filter(|moved| matches!(moved, Moved::Done(_)));
            let done = done.count() as u64;
            swept.moved += done;
            swept.missed += asked - done;
            cursor = page.next;
            if cursor.is_none() || left == 0 {
                break;
            }
        }
        swept.more = cursor.is_some();
        meters::answered(answer.word, swept.moved);
        tracing::info!(
            by = by.token.name,
            moved = swept.moved,
            missed = swept.missed,
            "queued operations were {} at once",
            answer.word
        );
        Ok(swept)
    }
}

fn told(code: &str, why: Option<&str>, default: &str) -> Result<Why, AppError> {
    let text = reason(why)?;
    Ok(Why {
        code: code.to_owned(),
        message: if text.is_empty() {
            default.to_owned()
        } else {
            text
        },
    })
}
