//! The one task that writes, and its queue.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crmgate_store::StoreError;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::batch;
use crate::decisions::DecisionRow;
use crate::error::unavailable;
use crate::meters::Meters;
use crate::outcomes::OutcomeRow;

/// How many writes may wait; more wait for a place.
const MOST_WAITING: usize = 2_048;
/// How many writes share one transaction.
const MOST_TOGETHER: usize = 512;
/// How long an outcome may wait for a decision to share a flush with. Nobody waits for it, and
/// after a crash reading back finds it again; flushing it alone would delay the next decision.
const OUTCOME_WAITS: Duration = Duration::from_millis(5);

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Any other write: done in turn, inside the transaction of its batch.
#[async_trait]
pub(crate) trait Step: Send {
    /// Runs the statements. May run again, in another transaction, when the first one failed.
    async fn run(&mut self, writer: &mut Writer) -> Result<(), sqlx::Error>;

    /// Answers, after the commit or with the failure.
    fn answer(self: Box<Self>, result: Result<(), StoreError>);
}

/// One write.
pub(crate) enum Command {
    Decision(Box<DecisionRow>, Reply<u64>),
    Outcome(OutcomeRow, Reply<()>),
    Other(Box<dyn Step>),
    /// Do what is in the queue, then end.
    Close,
}

impl Command {
    const fn can_wait(&self) -> bool {
        matches!(self, Self::Outcome(..))
    }
}

/// What the writing task owns.
pub(crate) struct Writer {
    pub(crate) connection: SqliteConnection,
    /// The number of the last decision.
    pub(crate) last_decision: i64,
    /// Sets of packages whose number is known.
    pub(crate) sets: batch::PackageSets,
    pub(crate) meters: Meters,
}

/// The queue's near end.
#[derive(Clone)]
pub(crate) struct Queue {
    to: mpsc::Sender<Command>,
    meters: Meters,
}

impl Queue {
    pub(crate) async fn send(&self, command: Command) -> Result<(), StoreError> {
        let place = self.to.reserve().await.map_err(|_| stopped())?;
        // Before it is sent: whoever takes it counts it away.
        self.meters.queued();
        place.send(command);
        Ok(())
    }

    /// Sends a write and waits for its answer.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply)).await?;
        answer.await.map_err(|_| stopped())?
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store was closed".to_owned())
}

/// Starts the task. It ends when it is told to or nobody can tell it any more, after it did what was
/// in its queue.
pub(crate) fn start(options: Arc<SqliteConnectOptions>) -> (Queue, JoinHandle<()>) {
    let (to, from) = mpsc::channel(MOST_WAITING);
    let meters = Meters::new();
    let task = tokio::spawn(run(options, from, meters.clone()));
    (Queue { to, meters }, task)
}

async fn run(
    options: Arc<SqliteConnectOptions>,
    mut from: mpsc::Receiver<Command>,
    meters: Meters,
) {
    let mut writer: Option<Writer> = None;
    let mut commands = Vec::with_capacity(MOST_TOGETHER);
    while gather(&mut from, &mut commands).await {
        meters.taken(commands.len());
        if commands.iter().any(|c| matches!(c, Command::Close)) {
            from.close();
            commands.retain(|c| !matches!(c, Command::Close));
        }
        let started = Instant::now();
        writer = work(writer, &options, std::mem::take(&mut commands), &meters).await;
        meters.flushed(started.elapsed());
    }
    if let Some(writer) = writer
        && let Err(error) = writer.connection.close().await
    {
        tracing::warn!(%error, "the database did not close well");
    }
}

async fn work(
    writer: Option<Writer>,
    options: &SqliteConnectOptions,
    commands: Vec<Command>,
    meters: &Meters,
) -> Option<Writer> {
    if commands.is_empty() {
        return writer;
    }
    let ready = match writer {
        Some(ready) => Ok(ready),
        None => connect(options, meters).await,
    };
    match ready {
        Ok(ready) => batch::carry_out(ready, commands).await,
        Err(error) => {
            tracing::error!(%error, "the database cannot be opened");
            meters.failed();
            for command in commands {
                batch::refuse(command, unavailable(&error));
            }
            None
        }
    }
}

/// Takes all that waits; false at the end.
async fn gather(from: &mut mpsc::Receiver<Command>, commands: &mut Vec<Command>) -> bool {
    if from.recv_many(commands, MOST_TOGETHER).await == 0 {
        return false;
    }
    let until = Instant::now() + OUTCOME_WAITS;
    while commands.iter().all(Command::can_wait) && commands.len() < MOST_TOGETHER {
        let room = MOST_TOGETHER - commands.len();
        match tokio::time::timeout_at(until, from.recv_many(commands, room)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    true
}

async fn connect(options: &SqliteConnectOptions, meters: &Meters) -> Result<Writer, sqlx::Error> {
    let mut connection = options.connect().await?;
    let last: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM decisions")
        .fetch_one(&mut connection)
        .await?;
    Ok(Writer {
        connection,
        last_decision: last.unwrap_or(0),
        sets: batch::PackageSets::default(),
        meters: meters.clone(),
    })
}
