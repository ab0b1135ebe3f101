//! The one task of a process that appends to the record, and its queue.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crmgate_domain::{Ambient, ChainId, ProcessId};
use crmgate_store::chain::{Chain, Draft, Start};
use crmgate_store::{ChainRef, EntryKind, StoreError};
use sqlx::Connection as _;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::batch::{self, Doubt, PackageSets, Placed};
use super::decisions::DecisionRow;
use super::operations::{Deed, Effects};
use super::outcomes::OutcomeRow;
use super::places::entry;
use super::session::{self, Mark};
use super::{Connection, Opening, sql};
use crate::bells::{Bells, Rung};
use crate::convert::nanoseconds;
use crate::error::late;
use crate::meters::Meters;

/// How many writes may wait; more wait for a place.
const MOST_WAITING: usize = 2_048;
/// How many writes share one transaction.
const MOST_TOGETHER: usize = 512;
/// How long an outcome may wait for a decision to share a flush with. Nobody waits for it, and
/// after a crash reading back finds it again; flushing it alone would delay the next decision.
const OUTCOME_WAITS: Duration = Duration::from_millis(5);

/// How long a transaction may take before the next one gets less.
const LONG: Duration = Duration::from_millis(150);

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
    Deed(Box<Deed>),
    Other(Box<dyn Step>),
    /// Do what is in the queue, then end.
    Close,
}

impl Command {
    const fn can_wait(&self) -> bool {
        matches!(self, Self::Outcome(..))
    }

    /// Whether it takes statements of its own.
    pub(crate) const fn is_step(&self) -> bool {
        matches!(self, Self::Deed(_) | Self::Other(_))
    }
}

/// What the writing task owns while its connection is good.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    /// The position of the last entry, inside a transaction.
    pub(crate) last: i64,
    /// The chain that this process writes.
    pub(crate) chain: Chain,
    /// The transaction that is open, or was last.
    pub(crate) mark: Mark,
    /// Sets of packages whose number is known.
    pub(crate) sets: PackageSets,
    /// Whose writes these are.
    pub(crate) owner: ProcessId,
    /// Whom to tell once the transaction is committed.
    pub(crate) rung: Rung,
    bells: Arc<Bells>,
    ambient: Arc<dyn Ambient>,
}

impl Writer {
    /// What a step brings with it: nothing yet.
    pub(crate) fn effects(&self) -> Effects {
        Effects::at(nanoseconds(self.ambient.now()))
    }

    /// Does what a step brings with it, at its end.
    pub(crate) async fn finish(&mut self, effects: Effects) -> Result<(), sqlx::Error> {
        let elsewhere = self.bells.elsewhere();
        let rung = effects.flush(&mut self.connection, elsewhere).await?;
        self.rung.add(rung);
        Ok(())
    }

    /// The next entry's place. It counts once the transaction is committed.
    pub(crate) fn next(&mut self, draft: &Draft) -> (i64, ChainRef) {
        self.last += 1;
        let place = self.chain.append(self.last.unsigned_abs(), draft);
        (self.last, place)
    }

    /// Appends an entry without a payload, inside a step's transaction.
    pub(crate) async fn append(&mut self, draft: &Draft) -> Result<i64, sqlx::Error> {
        let (seq, place) = self.next(draft);
        let query = sql(
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
    to: mpsc::Sender<(Instant, Command)>,
    meters: Meters,
}

impl Queue {
    /// Waits for a place in the queue.
    pub(crate) async fn send(&self, command: Command) -> Result<(), StoreError> {
        let asked = Instant::now();
        let place = self.to.reserve().await.map_err(|_| stopped())?;
        // Before it is sent: whoever takes it counts it away.
        self.meters.queued();
        place.send((asked, command));
        Ok(())
    }

    /// Sends a write and waits for its answer, as long as anything is waited for.
    ///
    /// A write that was not answered in time may still be done, if it was on its way.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.send(command(reply)).await?;
            answer.await.map_err(|_| stopped())?
        };
        session::patiently(asked)
            .await
            .unwrap_or_else(|| Err(late()))
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store was closed".to_owned())
}

/// What lasts longer than a connection.
pub(crate) struct Lane {
    pub(crate) opening: Opening,
    pub(crate) bells: Arc<Bells>,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) meters: Meters,
    owner: ProcessId,
    /// The chain that was begun, to go on with.
    own: Option<ChainId>,
    writer: Option<Writer>,
}

/// Starts the task. It ends when it is told to or nobody can tell it any more, after it did what was
/// in its queue.
pub(crate) fn start(
    opening: Opening,
    bells: Arc<Bells>,
    ambient: Arc<dyn Ambient>,
    owner: ProcessId,
) -> (Queue, JoinHandle<()>) {
    let (to, from) = mpsc::channel(MOST_WAITING);
    let meters = Meters::new();
    let queue = Queue {
        to,
        meters: meters.clone(),
    };
    let lane = Lane {
        opening,
        bells,
        ambient,
        meters,
        owner,
        own: None,
        writer: None,
    };
    (queue, tokio::spawn(lane.run(from)))
}

impl Lane {
    async fn run(mut self, mut from: mpsc::Receiver<(Instant, Command)>) {
        let mut asked = Vec::with_capacity(MOST_TOGETHER);
        let mut pace = Pace::default();
        while !asked.is_empty() || gather(&mut from, &mut asked).await {
            let now = pace.share(&asked);
            self.meters.taken(now);
            let mut commands = Vec::with_capacity(now);
            for (at, command) in asked.drain(..now) {
                if matches!(command, Command::Close) {
                    from.close();
                } else if session::too_late(at) {
                    // Who asked has been told so already.
                    batch::refuse(command, late());
                } else {
                    commands.push(command);
                }
            }
            if commands.is_empty() {
                continue;
            }
            let started = Instant::now();
            batch::carry_out(&mut self, commands).await;
            pace.took(started.elapsed());
            self.meters.flushed(started.elapsed());
        }
        if let Some(writer) = self.writer.take()
            && let Err(error) = writer.connection.close().await
        {
            tracing::warn!(%error, "the database did not close well");
        }
    }

    /// The writer, over a connection that works as far as is known.
    pub(crate) async fn ready(&mut self) -> Result<&mut Writer, sqlx::Error> {
        let ready = match self.writer.take() {
            Some(ready) => ready,
            None => self.connect().await?,
        };
        self.own = Some(ready.chain.id());
        Ok(self.writer.insert(ready))
    }

    /// The writer, where there is one.
    pub(crate) const fn writer(&mut self) -> Option<&mut Writer> {
        self.writer.as_mut()
    }

    /// Its connection is not good any more.
    pub(crate) fn broken(&mut self) {
        self.writer = None;
    }

    /// Goes on with the chain of this process, or begins it.
    async fn connect(&self) -> Result<Writer, sqlx::Error> {
        let connection = self.opening.connect().await?;
        let id = ChainId::fresh(self.ambient.as_ref());
        let mut writer = Writer {
            connection,
            last: 0,
            chain: Chain::new(id),
            mark: Mark::default(),
            sets: PackageSets::default(),
            owner: self.owner,
            rung: Rung::default(),
            bells: Arc::clone(&self.bells),
            ambient: Arc::clone(&self.ambient),
        };
        session::begin(&mut writer).await?;
        // What a failed transaction left behind is what is stored now.
        let own = match self.own {
            Some(own) => session::end_of(&mut writer, own).await?,
            None => None,
        };
        if let Some(head) = own {
            writer.chain = Chain::after(head.chained);
        } else {
            let draft = self.beginning(&mut writer).await?;
            writer.append(&draft).await?;
        }
        session::commit(&mut writer).await?;
        Ok(writer)
    }

    async fn beginning(&self, writer: &mut Writer) -> Result<Draft, sqlx::Error> {
        let start = Start {
            form: 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            predecessors: session::ends(&mut writer.connection).await?,
        };
        let envelope =
            serde_json::to_string(&start).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let now = self.ambient.now();
        Ok(Draft::new(EntryKind::Start, now, envelope, None))
    }

    /// Does all of it in one transaction, on a new connection where the one before broke.
    pub(crate) async fn attempt(
        &mut self,
        commands: &mut [Command],
    ) -> Result<Placed, sqlx::Error> {
        let until = session::until();
        let mut doubt = None;
        loop {
            let once = self.once(commands, &mut doubt);
            let error = match session::bounded(until, once).await {
                Ok(placed) => return Ok(placed),
                Err(error) => error,
            };
            if crate::error::is_constraint(&error) && self.roll_back(until).await {
                return Err(error);
            }
            self.broken();
            if !session::pause(until, &error).await {
                return Err(error);
            }
        }
    }

    async fn roll_back(&mut self, until: Instant) -> bool {
        let Some(writer) = self.writer() else {
            return false;
        };
        session::bounded(until, session::roll_back(writer))
            .await
            .is_ok()
    }

    async fn once(
        &mut self,
        commands: &mut [Command],
        doubt: &mut Option<Doubt>,
    ) -> Result<Placed, sqlx::Error> {
        let writer = self.ready().await?;
        if let Some(before) = doubt
            && session::came_through(writer, before.mark, &before.chain).await?
        {
            return Ok(std::mem::take(&mut before.placed));
        }
        *doubt = None;
        batch::transaction(writer, commands, doubt).await
    }
}

/// How many steps go into one transaction: so many that it is short. Others wait for it, in this
/// process and in those that share the record, and one that lasts too long is lost as a whole.
struct Pace {
    most: usize,
    /// Whether the last transaction had as many as it might have.
    full: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            most: 32,
            full: false,
        }
    }
}

impl Pace {
    /// How many of those that wait go now, in their order.
    fn share(&mut self, asked: &[(Instant, Command)]) -> usize {
        let mut steps = 0;
        let over = asked.iter().position(|(_, command)| {
            steps += usize::from(command.is_step());
            steps > self.most
        });
        self.full = over.is_some();
        over.unwrap_or(asked.len())
    }

    fn took(&mut self, time: Duration) {
        if time > LONG {
            self.most = (self.most / 2).max(1);
        } else if time < LONG / 2 && self.full {
            self.most = (self.most * 2).min(MOST_TOGETHER);
        }
    }
}

/// Takes all that waits; false at the end.
async fn gather(
    from: &mut mpsc::Receiver<(Instant, Command)>,
    commands: &mut Vec<(Instant, Command)>,
) -> bool {
    if from.recv_many(commands, MOST_TOGETHER).await == 0 {
        return false;
    }
    let until = Instant::now() + OUTCOME_WAITS;
    while commands.iter().all(|(_, command)| command.can_wait()) && commands.len() < MOST_TOGETHER {
        let room = MOST_TOGETHER - commands.len();
        match tokio::time::timeout_at(until, from.recv_many(commands, room)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    true
}
