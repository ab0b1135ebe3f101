//! Telling whoever wished it that an operation has ended: at least once, with growing pauses.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crmgate_app::operations::Callbacks;
use crmgate_app::operations::callbacks::{Message, NoMessage, Try};
use crmgate_domain::{Ambient, OperationId, State};
use crmgate_outbound::{Client, SendError};
use crmgate_queue::{Handler, Job};
use crmgate_store::{OperationLog, StoredOperation, Verdict};
use http::{Request, StatusCode, header};

/// The pauses after tries that failed; the last one again and again.
const PAUSES: [u64; 9] = [5, 30, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000];
/// When to look again after the store could not be asked.
const SOON: Duration = Duration::from_secs(10);

/// Works on the queue of callbacks.
pub struct Teller {
    /// The rows.
    pub operations: Arc<dyn OperationLog>,
    /// What may be sent where, and what came of it.
    pub callbacks: Arc<Callbacks>,
    /// The way out.
    pub client: Client,
    /// Time and randomness.
    pub ambient: Arc<dyn Ambient>,
}

/// What came of one try.
enum Told {
    Taken(StatusCode),
    NotWanted(StatusCode),
    Failed(Option<StatusCode>, String),
}

#[async_trait]
impl Handler for Teller {
    async fn handle(&self, job: Job) -> Verdict {
        let Ok(id) = job.id.parse::<OperationId>() else {
            return Verdict::Dead("its name is no operation's id".to_owned());
        };
        let operation = match self.operations.operation(id).await {
            Ok(Some(operation)) if is_told(&operation) => operation,
            Ok(_) => return Verdict::Done,
            Err(error) => {
                tracing::warn!(%error, operation = %id, "a callback waits for the store");
                return Verdict::Again(SOON);
            }
        };
        match self.callbacks.tries(id).await {
            Ok(tries) if tries.delivered >= Some(operation.version) => return Verdict::Done,
            Ok(_) => {}
            Err(_) => return Verdict::Again(SOON),
        }
        self.tell(&operation, &job).await
    }
}

/// Whether somebody is to be told of where it stands.
fn is_told(operation: &StoredOperation) -> bool {
    let ended = operation.state.is_final() || operation.state == State::Uncertain;
    ended && operation.callback.is_some()
}

impl Teller {
    async fn tell(&self, operation: &StoredOperation, job: &Job) -> Verdict {
        let told = match self.callbacks.message(operation, self.ambient.now()) {
            Ok(message) => self.send(message).await,
            Err(NoMessage::NotAllowed(problem)) => {
                self.note(operation, None, Some(problem.clone())).await;
                return Verdict::Dead(problem);
            }
            Err(NoMessage::Secret(problem)) => Told::Failed(None, problem),
        };
        match told {
            Told::Taken(status) => {
                self.note(operation, Some(status), None).await;
                Verdict::Done
            }
            Told::NotWanted(status) => {
                let problem = "the receiver wants no more of them".to_owned();
                self.note(operation, Some(status), Some(problem.clone()))
                    .await;
                Verdict::Dead(problem)
            }
            Told::Failed(status, problem) => {
                self.note(operation, status, Some(problem.clone())).await;
                Verdict::Failed(self.pause(job.attempts), problem)
            }
        }
    }

    async fn send(&self, message: Message) -> Told {
        let request = Request::post(message.url.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", message.signature)
            .body(message.body.into());
        let request = match request {
            Ok(request) => request,
            Err(error) => return Told::Failed(None, error.to_string()),
        };
        match self.client.send(request).await {
            Ok(answer) if answer.status().is_success() => Told::Taken(answer.status()),
            Ok(answer) if answer.status() == StatusCode::GONE => Told::NotWanted(answer.status()),
            Ok(answer) => {
                let status = answer.status();
                Told::Failed(Some(status), format!("the receiver answered {status}"))
            }
            Err(error @ SendError::NotSent { .. }) => Told::Failed(None, error.to_string()),
            Err(error) => Told::Failed(None, format!("it may have arrived: {error}")),
        }
    }

    async fn note(
        &self,
        operation: &StoredOperation,
        status: Option<StatusCode>,
        problem: Option<String>,
    ) {
        let tried = Try {
            at: self.ambient.now(),
            version: operation.version,
            status: status.map(|status| status.as_u16()),
            problem,
        };
        // A try that is not noted is only not seen; a repeat carries the same `webhook-id`.
        if let Err(error) = self.callbacks.note(operation.id, tried).await {
            tracing::warn!(%error, operation = %operation.id, "a callback's try could not be noted");
        }
    }

    /// The pause after so many failures, a fifth longer or shorter by chance.
    fn pause(&self, failures: u32) -> Duration {
        let place = usize::try_from(failures).unwrap_or(usize::MAX);
        let longest = PAUSES.last().copied().unwrap_or(5);
        let seconds = PAUSES.get(place).copied().unwrap_or(longest);
        let [chance, ..] = self.ambient.random();
        Duration::from_millis(seconds * 800 + seconds * 400 * u64::from(chance) / 255)
    }
}
