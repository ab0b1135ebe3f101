//! Jobs on their way to a queue that does not lie in the database.

use std::sync::Arc;
use std::time::Duration;

use crmgate_enforce::queued::Step;
use crmgate_store::{Jobs, NewJob, Wakening};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::meters::WorkerMeters;

/// How many batches of jobs wait in memory. What is beyond is left to the sweeper.
const WAITING: usize = 1_024;
/// How many jobs go in one call.
const BATCH: usize = 1_000;
/// How often a call is tried.
const TRIES: u32 = 5;
/// The first pause between tries; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Pushes jobs after the commit that made their rows movable. Whoever commits does not wait; what
/// is lost on the way is found by the sweeper, because the row is the truth.
pub struct Relay {
    send: mpsc::Sender<Vec<NewJob>>,
    meters: WorkerMeters,
}

/// The other end of a [`Relay`].
pub struct Relaying {
    receive: mpsc::Receiver<Vec<NewJob>>,
    jobs: Arc<dyn Jobs>,
    meters: WorkerMeters,
}

impl Relay {
    /// A relay to a queue, and what must run for it.
    #[must_use]
    pub fn new(jobs: Arc<dyn Jobs>) -> (Arc<Self>, Relaying) {
        let (send, receive) = mpsc::channel(WAITING);
        let meters = WorkerMeters::new();
        let relay = Self {
            send,
            meters: meters.clone(),
        };
        let relaying = Relaying {
            receive,
            jobs,
            meters,
        };
        (Arc::new(relay), relaying)
    }
}

impl Wakening for Relay {
    fn wake(&self, jobs: Vec<NewJob>) {
        let count = jobs.len();
        if count > 0 && self.send.try_send(jobs).is_err() {
            self.meters.relay_lost(count);
            tracing::debug!(
                count,
                "jobs are left to the sweeper: too many are on their way"
            );
        }
    }
}

impl Relaying {
    /// Pushes until told to stop, and then what has come until then.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let first = tokio::select! {
                first = self.receive.recv() => first,
                () = stop.cancelled() => {
                    self.receive.close();
                    self.receive.recv().await
                }
            };
            let Some(mut batch) = first else { return };
            while batch.len() < BATCH
                && let Ok(more) = self.receive.try_recv()
            {
                batch.extend(more);
            }
            self.push(batch).await;
        }
    }

    async fn push(&self, batch: Vec<NewJob>) {
        let count = batch.len();
        let step = Step::Relay.start();
        let mut pause = FIRST_PAUSE;
        for left in (0..TRIES).rev() {
            match self.jobs.push(batch.clone()).await {
                Ok(_) => {
                    self.meters.relayed(count);
                    step.stop();
                    return;
                }
                Err(error) if left == 0 => {
                    tracing::warn!(count, %error, "jobs could not be put into their queue; the sweeper finds them");
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause *= 2;
        }
        self.meters.relay_lost(count);
        step.stop();
    }
}
