//! Taking operations in: all that a request brings, or nothing of it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use crmgate_domain::{ConnectionName, OperationId, SubmissionId};
use crmgate_store::{StoreError, TraceRef};
use futures::Stream;
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use super::Operations;
use super::intake::Intake;
use super::pressure::Pushback;
use super::request::LineError;
use crate::{Action, AppError, Principal};

/// A body as it comes.
pub type Incoming = Pin<Box<dyn Stream<Item = Result<Bytes, BrokenOff>> + Send>>;

/// A body that does not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BrokenOff(pub String);

/// What becomes of the others when some lines are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Nothing is taken.
    #[default]
    Refuse,
    /// They are taken.
    Skip,
}

/// How something is submitted.
#[derive(Debug, Clone, Default)]
pub struct Submit {
    /// The caller's `Idempotency-Key`.
    pub key: Option<String>,
    /// What becomes of the others when some lines are wrong.
    pub on_error: OnError,
    /// The connection of operations that name none.
    pub connection: Option<ConnectionName>,
    /// Whether the body is one operation, and not one a line.
    pub single: bool,
    /// The trace it came in.
    pub trace: Option<TraceRef>,
}

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The submission.
    pub submission: SubmissionId,
    /// Operations that are new.
    pub accepted: u64,
    /// Lines that named an operation which was there already, with the same content.
    pub repeated: u64,
    /// Lines that were left out.
    pub refused: u64,
    /// Why; the first of them.
    pub errors: Vec<LineError>,
    /// Whether there are more errors than those.
    pub truncated: bool,
    /// The operation, of a single one.
    pub operation: Option<OperationId>,
    /// Whether this was answered before, to the same request.
    #[serde(default, skip_serializing)]
    pub replayed: bool,
}

/// Why nothing was taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The caller may not, or a parameter is wrong.
    #[error(transparent)]
    App(#[from] AppError),
    /// There is no room now.
    #[error(transparent)]
    Pushback(#[from] Pushback),
    /// The key was used for something else.
    #[error(
        "the idempotency key was used for another content, which was accepted as submission `{0}`: \
         use another key for another content"
    )]
    KeyReused(SubmissionId),
    /// The key is being used by a request that is not at its end.
    #[error(
        "a request with this idempotency key is under way as submission `{0}`: try again when it \
         has ended"
    )]
    UnderWay(SubmissionId),
    /// Too many of the caller's submissions are under way.
    #[error("{0} submissions of this token are under way already: wait until one has ended")]
    TooMany(usize),
    /// The single operation is wrong.
    #[error("{}", told(.0))]
    Wrong(LineError),
    /// Some lines are wrong.
    #[error("{refused} of {lines} lines are refused, so nothing was taken{}", first(.errors))]
    Refused {
        /// Lines that were read.
        lines: u64,
        /// Lines that are wrong.
        refused: u64,
        /// Why; the first of them.
        errors: Vec<LineError>,
        /// Whether there are more errors than those.
        truncated: bool,
    },
    /// There is no operation in it.
    #[error("the body holds no operation")]
    Empty,
    /// It is longer than may be.
    #[error("{message}")]
    TooLarge {
        /// What is too long, and how long it may be.
        message: String,
        /// How much there may be.
        limit: u64,
    },
    /// It took too long to come.
    #[error("{0}")]
    TooSlow(String),
    /// It did not come to its end.
    #[error("the body broke off ({0}): nothing was taken")]
    BrokenOff(String),
}

impl From<StoreError> for SubmitError {
    fn from(error: StoreError) -> Self {
        Self::App(error.into())
    }
}

fn told(error: &LineError) -> String {
    match &error.field {
        Some(field) => format!("{field}: {}", error.message),
        None => error.message.clone(),
    }
}

fn first(errors: &[LineError]) -> String {
    errors
        .first()
        .map(|error| format!("; line {}: {}", error.line, told(error)))
        .unwrap_or_default()
}

/// How much may be submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest line, in bytes.
    pub line: usize,
    /// Most lines of one request.
    pub lines: u64,
    /// How long a request may take.
    pub time: Duration,
    /// How long its body may stand still.
    pub idle: Duration,
    /// Requests of one token that are under way at one time, per process.
    pub submissions: usize,
    /// Most operations of a group.
    pub group: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 1 << 20,
            lines: 5_000_000,
            time: Duration::from_secs(3600),
            idle: Duration::from_secs(60),
            submissions: 8,
            group: 200,
        }
    }
}

/// How many submissions of whom are under way in this process.
#[derive(Default)]
pub(crate) struct Places(Mutex<HashMap<String, usize>>);

/// One of them; it ends when this is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    owner: String,
}

impl Places {
    fn take(self: &Arc<Self>, owner: &str, most: usize) -> Result<Place, SubmitError> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = open.entry(owner.to_owned()).or_default();
        if *taken >= most {
            return Err(SubmitError::TooMany(*taken));
        }
        *taken += 1;
        Ok(Place {
            places: Arc::clone(self),
            owner: owner.to_owned(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = open.get_mut(&self.owner) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                open.remove(&self.owner);
            }
        }
    }
}

impl Operations {
    /// Takes operations in. When this gives `Ok`, they are on disk, and each comes to an end of its
    /// own; otherwise nothing of them was taken.
    ///
    /// Dropping the future does not stop it: a caller who goes away breaks the body off, and that
    /// ends it.
    ///
    /// # Errors
    /// Why nothing was taken.
    pub async fn submit(
        self: &Arc<Self>,
        by: &Principal,
        submit: Submit,
        body: Incoming,
    ) -> Result<Submitted, SubmitError> {
        by.demand(Action::Submit)?;
        if let Some(key) = &submit.key {
            check_key(key)?;
        }
        if let Some(name) = &submit.connection {
            self.connections.visible(by, name)?;
        }
        let place = self.places.take(&by.token.id, self.limits.submissions)?;
        self.pressure.check(None).await?;
        let intake = Intake::new(Arc::clone(self), by.clone(), submit);
        let taking = async move {
            let taken = intake.take(body).await;
            drop(place);
            taken
        };
        match tokio::spawn(taking.in_current_span()).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::error!(%error, "taking a submission in failed");
                let message = "taking it in failed; nothing was accepted".to_owned();
                Err(AppError::Unavailable(message).into())
            }
        }
    }
}

fn check_key(key: &str) -> Result<(), AppError> {
    let fits = (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        return Ok(());
    }
    let problem = "expected 1 to 255 visible ASCII characters without spaces";
    Err(AppError::invalid("Idempotency-Key", problem))
}
