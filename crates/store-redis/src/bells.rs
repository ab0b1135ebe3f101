//! Wakes those who wait for jobs: on a connection of its own, that only listens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use redis::RedisError;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crmgate_store::StoreError;

use crate::link::{Link, failure};

/// How long to wait before listening again.
const PAUSES: [u64; 6] = [50, 100, 200, 500, 1_000, 2_000];
/// How often to make sure that somebody still talks to us: a broken line is silent, too.
const ALIVE: Duration = Duration::from_secs(5);

/// The channel on which queues are named that have jobs again.
pub(crate) fn channel(prefix: &str) -> String {
    format!("{prefix}:pushed")
}

/// A bell for each queue that somebody waits for.
pub(crate) struct Bells {
    bells: Arc<Mutex<HashMap<String, Arc<Bell>>>>,
    listener: JoinHandle<()>,
}

/// Rung when a queue has jobs again; remembers it when nobody waits.
#[derive(Default)]
struct Bell {
    rung: Notify,
    /// When the next job of the queue is due, as far as is known.
    next: Mutex<Option<Instant>>,
}

impl Bells {
    pub(crate) fn start(link: Arc<Link>, channel: String) -> Self {
        let bells = Arc::<Mutex<HashMap<String, Arc<Bell>>>>::default();
        let rung = Arc::clone(&bells);
        let listener = tokio::spawn(async move {
            let mut failures = 0_usize;
            loop {
                let began = Instant::now();
                let error = listen(&link, &channel, &rung).await;
                tracing::debug!("listening to redis ended: {error}");
                if began.elapsed() > ALIVE {
                    failures = 0;
                }
                let pause = PAUSES.get(failures).or(PAUSES.last()).copied();
                tokio::time::sleep(Duration::from_millis(pause.unwrap_or_default())).await;
                failures += 1;
            }
        });
        Self { bells, listener }
    }

    fn bell(&self, queue: &str) -> Arc<Bell> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(queue) {
            return Arc::clone(bell);
        }
        Arc::clone(bells.entry(queue.to_owned()).or_default())
    }

    /// Takes down in how long the next job of a queue is due.
    pub(crate) fn due_in(&self, queue: &str, wait: Option<Duration>) {
        let bell = self.bell(queue);
        *bell.next.lock().unwrap_or_else(PoisonError::into_inner) =
            wait.map(|wait| Instant::now() + wait);
    }

    /// Waits until a queue's bell is rung or its next job is due, but no longer than `most`.
    pub(crate) async fn wait(&self, queue: &str, most: Duration) {
        let bell = self.bell(queue);
        let latest = Instant::now() + most;
        let next = *bell.next.lock().unwrap_or_else(PoisonError::into_inner);
        let until = next.map_or(latest, |next| next.min(latest));
        let _ = tokio::time::timeout_at(until, bell.rung.notified()).await;
    }
}

impl Drop for Bells {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn ring(bell: &Bell) {
    bell.rung.notify_waiters();
    bell.rung.notify_one();
}

/// Listens until that fails.
async fn listen(
    link: &Link,
    channel: &str,
    bells: &Mutex<HashMap<String, Arc<Bell>>>,
) -> StoreError {
    let lost = |error: RedisError| failure(&error);
    let late = || StoreError::Unavailable("redis: no answer to a subscription".into());
    let subscribed = async {
        let mut pubsub = link.client()?.get_async_pubsub().await.map_err(lost)?;
        pubsub.subscribe(channel).await.map_err(lost)?;
        Ok::<_, StoreError>(pubsub)
    };
    let pubsub = match tokio::time::timeout(link.wait(), subscribed).await {
        Ok(Ok(pubsub)) => pubsub,
        Ok(Err(error)) => return error,
        Err(_) => return late(),
    };
    let (mut sink, mut messages) = pubsub.split();
    // What was said while nobody listened is made up for.
    for bell in bells
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .values()
    {
        ring(bell);
    }
    loop {
        match tokio::time::timeout(ALIVE, messages.next()).await {
            Ok(Some(message)) => {
                let queue = message.get_payload::<String>().unwrap_or_default();
                let mut bells = bells.lock().unwrap_or_else(PoisonError::into_inner);
                // Also where nobody waits yet: whoever looked before the push may be about to.
                ring(bells.entry(queue).or_default());
            }
            Ok(None) => return StoreError::Unavailable("redis: the subscription ended".into()),
            Err(_) => match tokio::time::timeout(link.wait(), sink.ping::<redis::Value>()).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return failure(&error),
                Err(_) => return late(),
            },
        }
    }
}
