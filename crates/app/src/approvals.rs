//! What people are asked to agree to, and what they answer.
//!
//! INVARIANT: what an answer comes to is decided by `domain::approval::decide` and stored by
//! compare-and-set: of all that answer at once, one ends it, and the others are told who did.

use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::approval::{
    Agreement, Answered, Choice, Counted, End, Ended, Matter, NotAllowed, People, Vote, Voter,
    decide,
};
use crmgate_domain::{Ambient, HoldId, State, Timestamp};
use crmgate_enforce::queued::Step;
use crmgate_store::{
    Ballot, By, Cast, Hold, HoldStatus, Move, OperationLog, Store, StoredOperation, Why,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Action, AppError, Connections, Principal};

mod look;
pub(crate) mod meters;
mod view;

pub use look::{Mine, Wanted};
pub(crate) use view::for_viewer;
pub use view::{AgreementView, ApprovalView, VoteView, masked};

/// How often a vote is tried when others vote at the same time. Each try that is lost is one that
/// another vote won.
const ROUNDS: usize = 200;
/// The longest reason that is kept.
const MOST_REASON: usize = 1_000;
/// How often what has no bell is looked at while somebody waits.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The longest that a caller may wait.
pub const MOST_WAIT: Duration = Duration::from_secs(60);
/// How many holds are ended in one step.
const EXPIRE_AT_ONCE: usize = 500;

/// Shows what people are asked, and takes their answers.
pub struct Approvals {
    store: Arc<dyn Store>,
    connections: Arc<Connections>,
    operations: Option<Arc<dyn OperationLog>>,
    ambient: Arc<dyn Ambient>,
    /// From when on nobody is kept waiting.
    winding_down: CancellationToken,
}

/// What became of an answer.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct VoteResult {
    /// `counted`: others are needed; `approved`, `rejected`: it ended it.
    pub result: &'static str,
    /// How it stands now, with what became of the operation.
    pub approval: ApprovalView,
}

/// A hold with all that a decision about it takes.
struct Case {
    hold: Hold,
    votes: Vec<Vote>,
    requester: Vec<String>,
    operation: Option<StoredOperation>,
    people: Arc<People>,
}

impl Approvals {
    /// Over a store; `operations`: where queued ones are.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        connections: Arc<Connections>,
        operations: Option<Arc<dyn OperationLog>>,
        ambient: Arc<dyn Ambient>,
        winding_down: CancellationToken,
    ) -> Self {
        meters::describe();
        Self {
            store,
            connections,
            operations,
            ambient,
            winding_down,
        }
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// `Forbidden` when the caller is not asked, or asked for it itself; `NotFound`; `Invalid` for
    /// a reason that is missing or too long; `Conflict` for somebody who has answered; `Decided`
    /// when it is over; `Unavailable`.
    pub async fn answer(
        &self,
        by: &Principal,
        id: HoldId,
        choice: Choice,
        reason: Option<&str>,
    ) -> Result<VoteResult, AppError> {
        by.demand(Action::Vote)?;
        check_reason(reason)?;
        for _ in 0..ROUNDS {
            let case = self.case(by, id).await?;
            let now = self.ambient.now();
            if self.is_orphaned(&case) {
                self.let_go(&case, now).await?;
                continue;
            }
            let voter = voter_of(&case.people, by)?;
            let counted = case.decide(by, &voter, (choice, reason), now);
            let (ballot, result) = match case.ballot(counted, now)? {
                Ok(ballot) => ballot,
                Err(counted) => return Err(refused(&case, counted)),
            };
            let (vote, ended) = (ballot.vote.clone(), ballot.ends.clone());
            let step = Step::Vote.start();
            let cast = self.store.cast(ballot).await?;
            step.stop();
            if cast == Cast::Lost {
                continue;
            }
            meters::voted(&case.hold.connection, vote.choice);
            if let Some(ended) = ended {
                meters::ended(&case.hold.connection, ended.how);
            }
            tracing::info!(
                hold = %id,
                connection = %case.hold.connection,
                choice = choice.as_str(),
                result,
                account = vote.account,
                "a person answered"
            );
            let approval = self.show(by, id).await?;
            return Ok(VoteResult { result, approval });
        }
        Err(AppError::Unavailable(
            "too many answer at the same time; try again".to_owned(),
        ))
    }

    /// The hold and all about it, for somebody who may see it.
    async fn case(&self, by: &Principal, id: HoldId) -> Result<Case, AppError> {
        let found = self.store.held(id).await?;
        let hold = found.filter(|hold| {
            let own = by.only_own();
            by.sees(&hold.connection) && own.is_none_or(|own| is_own(hold, own))
        });
        let hold = hold.ok_or_else(|| AppError::not_found("approval", id))?;
        self.of(hold).await
    }

    async fn of(&self, hold: Hold) -> Result<Case, AppError> {
        let votes = self.store.votes(hold.id).await?;
        let operation = match (&self.operations, hold.queued) {
            (Some(log), Some(id)) => log.operation(id).await?,
            _ => None,
        };
        Ok(Case {
            requester: self.requester_of(&hold).await?,
            people: self.people_of(&hold),
            votes,
            operation,
            hold,
        })
    }

    fn people_of(&self, hold: &Hold) -> Arc<People> {
        let connection = self.connections.get(&hold.connection);
        let known = connection.and_then(|one| one.gate().settings().people.clone());
        known.unwrap_or_default()
    }

    /// All accounts of whoever asked; of a token, the person it is made for, too.
    async fn requester_of(&self, hold: &Hold) -> Result<Vec<String>, AppError> {
        let mut accounts = hold.requester.clone();
        let actor = &hold.operation.actor;
        accounts.push(actor.id.clone());
        accounts.retain(|account| !account.trim().is_empty());
        let mut people = Vec::new();
        for account in &accounts {
            if let Some(token) = self.store.token(account).await? {
                people.extend(token.info.person);
            }
        }
        accounts.extend(people);
        accounts.sort_unstable();
        accounts.dedup();
        Ok(accounts)
    }

    /// Whether the operation that waited in it waits no more.
    fn is_orphaned(&self, case: &Case) -> bool {
        let waits = |operation: &StoredOperation| {
            matches!(operation.state, State::Held | State::Stale)
                && operation.hold == Some(case.hold.id)
        };
        self.operations.is_some()
            && case.hold.queued.is_some()
            && case.hold.status == HoldStatus::Waiting
            && !case.operation.as_ref().is_some_and(waits)
    }

    /// Ends a hold whose operation waits no more.
    async fn let_go(&self, case: &Case, at: Timestamp) -> Result<(), AppError> {
        let expired = case
            .operation
            .as_ref()
            .is_some_and(|operation| operation.state == State::Expired);
        let ended = Ended {
            how: if expired {
                End::Expired
            } else {
                End::Cancelled
            },
            by: None,
            at,
        };
        let hold = &case.hold;
        self.store.end_hold(hold.id, hold.version, ended).await?;
        Ok(())
    }

    /// Ends what nobody answered, or came for, in time.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn expire(&self) -> Result<u64, AppError> {
        let mut all = 0;
        loop {
            let now = self.ambient.now();
            let ended = self.store.expire_holds(now, EXPIRE_AT_ONCE).await?;
            all += ended;
            if ended < EXPIRE_AT_ONCE as u64 {
                return Ok(all);
            }
        }
    }

    /// Whether that can be waited.
    ///
    /// # Errors
    /// `Invalid` for a time that is too long.
    pub fn check_wait(&self, most: Duration) -> Result<(), AppError> {
        if most <= MOST_WAIT {
            return Ok(());
        }
        let problem = format!("expected at most {} seconds", MOST_WAIT.as_secs());
        Err(AppError::invalid("wait", problem))
    }

    /// One, once it is over and what it released has come to its end, or when the time is up.
    ///
    /// # Errors
    /// As [`Self::show`]; `Invalid` for a time that is too long.
    pub async fn wait(
        &self,
        by: &Principal,
        id: HoldId,
        most: Duration,
    ) -> Result<ApprovalView, AppError> {
        self.check_wait(most)?;
        let end = Instant::now() + most;
        loop {
            let shown = self.show(by, id).await?;
            let left = end.saturating_duration_since(Instant::now());
            if shown.is_settled() || left.is_zero() || self.winding_down.is_cancelled() {
                return Ok(shown);
            }
            let pause = left.min(LOOK_EVERY);
            let news = async {
                match (&self.operations, &shown.operation_state) {
                    (Some(log), Some(at)) => log.moved(at.id, at.version, pause).await,
                    _ => tokio::time::sleep(pause).await,
                }
            };
            tokio::select! {
                () = news => {}
                () = self.winding_down.cancelled() => {}
            }
        }
    }
}

impl Case {
    fn decide(
        &self,
        by: &Principal,
        voter: &Voter,
        (choice, reason): (Choice, Option<&str>),
        at: Timestamp,
    ) -> Counted {
        let ended = self.ended(at);
        let matter = Matter {
            asked: &self.hold.approvals,
            votes: &self.votes,
            requester: &self.requester,
            ended: ended.as_ref(),
            expires_at: self.hold.expires_at,
        };
        let answer = Answered {
            voter,
            account: &by.token.id,
            channel: "api",
            choice,
            reason,
            at,
        };
        decide(&matter, &self.people, &answer)
    }

    /// How it ended, where it has.
    fn ended(&self, now: Timestamp) -> Option<Ended> {
        let hold = &self.hold;
        match hold.status {
            HoldStatus::Waiting => None,
            // Used up is agreed to, whoever came for it.
            _ => Some(hold.ended.clone().unwrap_or(Ended {
                how: match hold.status {
                    HoldStatus::Rejected => End::Rejected,
                    HoldStatus::Cancelled => End::Cancelled,
                    HoldStatus::Superseded => End::Superseded,
                    HoldStatus::Approved | HoldStatus::Spent => End::Approved,
                    HoldStatus::Waiting | HoldStatus::Expired => End::Expired,
                },
                by: None,
                at: hold.expires_at.min(now),
            })),
        }
    }

    /// The ballot of an answer that counts; what it came to, of one that does not.
    fn ballot(
        &self,
        counted: Counted,
        at: Timestamp,
    ) -> Result<Result<(Ballot, &'static str), Counted>, AppError> {
        let (vote, how, result) = match counted {
            Counted::More { vote, .. } => (vote, None, "counted"),
            Counted::Approved(vote) => (vote, Some(End::Approved), "approved"),
            Counted::Rejected(vote) => (vote, Some(End::Rejected), "rejected"),
            other => return Ok(Err(other)),
        };
        let ends = how.map(|how| Ended {
            how,
            by: Some(vote.person.clone()),
            at,
        });
        let ballot = Ballot {
            usable_until: (how == Some(End::Approved)).then(|| self.usable_until(at)),
            then: how.and_then(|how| self.then(how, &vote)),
            hold: self.hold.clone(),
            vote,
            ends,
        };
        Ok(Ok((ballot, result)))
    }

    /// What was agreed to can be used for as long as it could be waited for.
    fn usable_until(&self, at: Timestamp) -> Timestamp {
        let hold = &self.hold;
        let span = hold.expires_at.duration_since(hold.created_at);
        at.checked_add(span).unwrap_or(hold.expires_at)
    }

    /// What becomes of the queued operation that waits in it.
    fn then(&self, how: End, vote: &Vote) -> Option<Move> {
        let operation = self.operation.as_ref()?;
        let by = By(format!("person {}", vote.person).into());
        let (to, code) = match how {
            End::Approved => (State::Received, "approved"),
            _ => (State::Rejected, "rejected"),
        };
        let said = vote.reason.as_ref();
        let said = said.map_or_else(String::new, |reason| format!(": {reason}"));
        let mut then = Move::new(operation, to, vote.at, by);
        then.why = Some(Why::new(code, format!("{code} by {}{said}", vote.person)));
        then.due = (to == State::Received).then_some(vote.at);
        Some(then)
    }
}

/// Who a token's holder is.
fn voter_of(people: &People, by: &Principal) -> Result<Voter, AppError> {
    let token = &by.token;
    let accounts = [token.id.as_str(), token.name.as_str()];
    people
        .voter(token.person.as_deref(), &accounts)
        .map_err(|error| {
            AppError::Forbidden(format!(
                "token `{}` cannot answer: {error}; give it a person with `token create --person`",
                token.name
            ))
        })
}

fn is_own(hold: &Hold, own: &str) -> bool {
    hold.operation.actor.id == own || hold.requester.iter().any(|account| account == own)
}

/// Why an answer does not count.
fn refused(case: &Case, counted: Counted) -> AppError {
    let id = case.hold.id;
    match counted {
        Counted::NotAllowed(NotAllowed::Requester) => AppError::Forbidden(format!(
            "whoever asked for approval `{id}` does not decide about it, under whatever account"
        )),
        Counted::NotAllowed(NotAllowed::NotAsked) => AppError::Forbidden(format!(
            "approval `{id}` asks {}, and you are none of them",
            view::asked(&case.hold.approvals)
        )),
        Counted::ReasonNeeded => AppError::invalid(
            "reason",
            format!("approval `{id}` wants to know why it is rejected"),
        ),
        Counted::AlreadyVoted { choice, at } => AppError::Conflict(format!(
            "you have answered approval `{id}` already ({}, at {at}); answers are not taken back",
            choice.as_str()
        )),
        Counted::Over(ended) => AppError::Decided {
            message: over(id, &ended),
            ended,
        },
        Counted::More { .. } | Counted::Approved(_) | Counted::Rejected(_) => {
            AppError::Unavailable("the answer was not stored".to_owned())
        }
    }
}

fn over(id: HoldId, ended: &Ended) -> String {
    let by = ended.by.as_ref().filter(|by| !by.is_empty());
    let by = by.map_or_else(String::new, |by| format!(" by {by}"));
    format!(
        "approval `{id}` is over: {}{by} at {}",
        ended.how.as_str(),
        ended.at
    )
}

fn check_reason(reason: Option<&str>) -> Result<(), AppError> {
    let text = reason.unwrap_or_default();
    let wild = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.chars().count() > MOST_REASON || text.chars().any(wild) {
        let problem =
            format!("expected at most {MOST_REASON} characters, none a control character");
        return Err(AppError::invalid("reason", problem));
    }
    Ok(())
}

/// What people call an agreement.
fn named(agreement: &Agreement) -> String {
    format!("{}/{}", agreement.package, agreement.code)
}
