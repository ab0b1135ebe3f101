//! The one task that writes, and its queue.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crmgate_domain::{Ambient, ChainId};
use crmgate_store::chain::{Chain, Draft, Start};
use crmgate_store::{ChainRef, EntryKind, StoreError};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::batch;
use crate::decisions::DecisionRow;
use crate::error::unavailable;
use crate::insert::{Texts, entry};
use crate::ledger;
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
    Outcome(Box<OutcomeRow>, Reply<()>),
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
    /// The position of the last entry.
    pub(crate) last: i64,
    /// The chain that this process writes.
    pub(crate) chain: Chain,
    /// The statements that append.
    pub(crate) texts: Texts,
    /// Sets of packages whose number is known.
    pub(crate) sets: batch::PackageSets,
    pub(crate) meters: Meters,
}

impl Writer {
    /// The next entry's place. It counts once the transaction is committed.
    pub(crate) fn next(&mut self, draft: &Draft) -> (i64, ChainRef) {
        self.last += 1;
        let place = self.chain.append(self.last.unsigned_abs(), draft);
        (self.last, place)
    }

    /// Appends an entry without a payload, inside a step's transaction.
    pub(crate) async fn append(&mut self, draft: &Draft) -> Result<i64, sqlx::Error> {
        let (seq, place) = self.next(draft);
        let query = sqlx::query(
            "INSERT INTO ledger (seq, chain, link, kind, at, envelope, commitment, hash) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        );
        let query = entry(query, seq, place, draft);
        query.execute(&mut self.connection).await?;
        Ok(seq)
    }
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

/// What it takes to open the database for writing.
pub(crate) struct Opening {
    pub(crate) options: SqliteConnectOptions,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) meters: Meters,
}

/// Starts the task. It ends when it is told to or nobody can tell it any more, after it did what was
/// in its queue.
pub(crate) fn start(opening: Opening) -> (Queue, JoinHandle<()>) {
    let (to, from) = mpsc::channel(MOST_WAITING);
    let meters = opening.meters.clone();
    let task = tokio::spawn(run(opening, from));
    (Queue { to, meters }, task)
}

async fn run(opening: Opening, mut from: mpsc::Receiver<Command>) {
    let mut writer: Option<Writer> = None;
    let mut own = None;
    let mut commands = Vec::with_capacity(MOST_TOGETHER);
    while gather(&mut from, &mut commands).await {
        opening.meters.taken(commands.len());
        if commands.iter().any(|c| matches!(c, Command::Close)) {
            from.close();
            commands.retain(|c| !matches!(c, Command::Close));
        }
        let started = Instant::now();
        writer = work(writer, &opening, own, std::mem::take(&mut commands)).await;
        opening.meters.flushed(started.elapsed());
        own = writer.as_ref().map(|writer| writer.chain.id()).or(own);
    }
    if let Some(writer) = writer
        && let Err(error) = writer.connection.close().await
    {
        tracing::warn!(%error, "the database did not close well");
    }
}

async fn work(
    writer: Option<Writer>,
    opening: &Opening,
    own: Option<ChainId>,
    commands: Vec<Command>,
) -> Option<Writer> {
    if commands.is_empty() {
        return writer;
    }
    let ready = match writer {
        Some(ready) => Ok(ready),
        None => connect(opening, own).await,
    };
    match ready {
        Ok(ready) => batch::carry_out(ready, commands).await,
        Err(error) => {
            tracing::error!(%error, "the database cannot be opened");
            opening.meters.failed();
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

/// Goes on with the chain of this process, or begins it.
async fn connect(opening: &Opening, own: Option<ChainId>) -> Result<Writer, sqlx::Error> {
    let mut connection = opening.options.connect().await?;
    let last = ledger::last(&mut connection).await?;
    let mut writer = Writer {
        connection,
        last: last.map_or(0, |head| head.position.cast_signed()),
        chain: Chain::new(own.unwrap_or_else(|| ChainId::fresh(opening.ambient.as_ref()))),
        texts: Texts::default(),
        sets: batch::PackageSets::default(),
        meters: opening.meters.clone(),
    };
    if let Some(head) = last.filter(|head| Some(head.chained.chain) == own) {
        // What a failed transaction left behind is what is on disk now.
        writer.chain = Chain::after(head.chained);
        return Ok(writer);
    }
    let start = Start {
        form: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        predecessors: last.into_iter().collect(),
    };
    let envelope =
        serde_json::to_string(&start).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let draft = Draft::new(EntryKind::Start, opening.ambient.now(), envelope, None);
    batch::execute(&mut writer, "BEGIN IMMEDIATE").await?;
    writer.append(&draft).await?;
    batch::execute(&mut writer, "COMMIT").await?;
    Ok(writer)
}
