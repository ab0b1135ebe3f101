//! What may go together goes together.
//!
//! For each form of the CRM there is a heap of permitted operations and, while it holds any, a task
//! that sends them: it lingers as long as more are on their way, waits for a place, and takes what
//! one call holds. The calls themselves run beside it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crmgate_connector::Form;
use crmgate_domain::OperationId;
use crmgate_enforce::queued::{Ended, Ready, Signal, Step, Together};
use crmgate_store::Why;
use tokio::sync::{Notify, oneshot};

use crate::fair::Wait;
use crate::governor::{Place, Purpose};
use crate::line::{Line, OnItsWay};

/// The heaps of one connection.
#[derive(Default)]
pub(crate) struct Batches(Mutex<HashMap<String, Heap>>);

struct Heap {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    arrived: Arc<Notify>,
}

struct Waiting {
    ready: Ready,
    tell: oneshot::Sender<Ended>,
}

impl Batches {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Heap>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts one on its heap; whether the heap is new and needs somebody.
    fn put(&self, key: &str, waiting: Waiting) -> bool {
        let mut all = self.all();
        let new = !all.contains_key(key);
        let heap = all.entry(key.to_owned()).or_insert_with(|| Heap {
            waiting: VecDeque::new(),
            bytes: 0,
            arrived: Arc::default(),
        });
        heap.bytes += waiting.ready.bytes();
        heap.waiting.push_back(waiting);
        heap.arrived.notify_one();
        new
    }

    /// How many there are, and how many bytes.
    fn size(&self, key: &str) -> (usize, usize) {
        let all = self.all();
        all.get(key)
            .map_or((0, 0), |heap| (heap.waiting.len(), heap.bytes))
    }

    fn arrived(&self, key: &str) -> Arc<Notify> {
        let all = self.all();
        all.get(key)
            .map(|heap| Arc::clone(&heap.arrived))
            .unwrap_or_default()
    }

    /// Takes what one call holds: one at least.
    fn take(&self, form: &Form) -> Vec<Waiting> {
        let mut all = self.all();
        let Some(heap) = all.get_mut(&form.key) else {
            return Vec::new();
        };
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(next) = heap.waiting.front() {
            bytes += next.ready.bytes();
            let full = taken.len() >= form.most.max(1) || bytes > form.most_bytes;
            if full && !taken.is_empty() {
                break;
            }
            if let Some(next) = heap.waiting.pop_front() {
                heap.bytes = heap.bytes.saturating_sub(next.ready.bytes());
                taken.push(next);
            }
        }
        taken
    }

    /// Takes all.
    fn take_all(&self, key: &str) -> Vec<Waiting> {
        let mut all = self.all();
        let heap = all.get_mut(key);
        heap.map_or_else(Vec::new, |heap| {
            heap.bytes = 0;
            heap.waiting.drain(..).collect()
        })
    }

    /// Forgets a heap that is empty; whether it was.
    fn close(&self, key: &str) -> bool {
        let mut all = self.all();
        let empty = all.get(key).is_none_or(|heap| heap.waiting.is_empty());
        if empty {
            all.remove(key);
        }
        empty
    }
}

impl Line {
    /// Sends a permitted operation, with others where that may be. `None` when it is not known what
    /// came of it: its row is left to its lease.
    pub(crate) async fn send(
        self: &Arc<Self>,
        ready: Ready,
        on_its_way: OnItsWay<'_>,
    ) -> Option<Ended> {
        let step = Step::Batch.start();
        let form = self.gate.connector().form(ready.change(), false);
        // A call has one writer.
        let form = form.map(|form| match ready.on_behalf_of() {
            Some(user) => Form {
                key: format!("{} {user}", form.key),
                ..form
            },
            None => form,
        });
        let Some(form) = form else {
            drop(on_its_way);
            let line = Arc::clone(self);
            let alone = async move { line.send_alone(ready).await };
            let ended = self.tasks.spawn(alone).await.ok().flatten();
            step.stop();
            return ended;
        };
        let (tell, told) = oneshot::channel();
        if self.batches.put(&form.key, Waiting { ready, tell }) {
            let line = Arc::clone(self);
            self.tasks.spawn(async move { line.drive(form).await });
        }
        drop(on_its_way);
        let ended = told.await.ok();
        step.stop();
        ended
    }

    async fn send_alone(self: &Arc<Self>, ready: Ready) -> Option<Ended> {
        let place = match self
            .governor
            .place(Purpose::Write, self.settings.soon)
            .await
        {
            Ok(place) => place,
            Err(wait) => {
                let ended = self.put_by(vec![ready], wait).await;
                return ended.into_iter().next().map(|(_, ended)| ended);
            }
        };
        let ended = self.call(vec![ready], Together::Apart, place).await;
        ended.into_iter().next().map(|(_, ended)| ended)
    }

    /// Sends a group as one call.
    pub(crate) async fn send_group(
        self: &Arc<Self>,
        ready: Vec<Ready>,
    ) -> Vec<(OperationId, Ended)> {
        let line = Arc::clone(self);
        let sending = async move {
            match line
                .governor
                .place(Purpose::Write, line.settings.soon)
                .await
            {
                Ok(place) => line.call(ready, Together::Atomic, place).await,
                Err(wait) => line.put_by(ready, wait).await,
            }
        };
        self.tasks.spawn(sending).await.unwrap_or_default()
    }

    /// Sends what lies on a heap until nothing does.
    async fn drive(self: Arc<Self>, form: Form) {
        loop {
            self.linger(&form).await;
            match self
                .governor
                .place(Purpose::Write, self.settings.soon)
                .await
            {
                Ok(place) => {
                    let taken = self.batches.take(&form);
                    if taken.is_empty() {
                        place.done(0, Signal::Idle).await;
                    } else {
                        let line = Arc::clone(&self);
                        let calling = async move { line.call_and_tell(taken, place).await };
                        self.tasks.spawn(calling);
                    }
                }
                Err(wait) => {
                    let (ready, tell) = parted(self.batches.take_all(&form.key));
                    let ended = self.put_by(ready, wait).await;
                    tell_all(tell, ended);
                }
            }
            if self.batches.close(&form.key) {
                return;
            }
        }
    }

    /// Waits for more while more are coming and the call is not full.
    async fn linger(&self, form: &Form) {
        let began = Instant::now();
        let arrived = self.batches.arrived(&form.key);
        loop {
            let (count, bytes) = self.batches.size(&form.key);
            let full = count >= form.most || bytes >= form.most_bytes;
            let left = self.settings.linger_most.saturating_sub(began.elapsed());
            if full || left.is_zero() || !self.coming.any() {
                return;
            }
            tokio::select! {
                () = arrived.notified() => {}
                () = self.coming.ended() => return,
                () = tokio::time::sleep(self.settings.linger.min(left)) => {
                    if self.batches.size(&form.key).0 == count {
                        return;
                    }
                }
            }
        }
    }

    async fn call_and_tell(self: Arc<Self>, taken: Vec<Waiting>, place: Place) {
        let (ready, tell) = parted(taken);
        let ended = self.call(ready, Together::Apart, place).await;
        tell_all(tell, ended);
    }

    /// Empty when it is not certain what the rows say.
    async fn call(
        &self,
        ready: Vec<Ready>,
        together: Together,
        place: Place,
    ) -> Vec<(OperationId, Ended)> {
        match self.gate.deliver(&self.desk, ready, together).await {
            Ok(call) => {
                place.done(call.calls, call.signal).await;
                call.ended
            }
            Err(error) => {
                tracing::warn!(connection = %self.gate.connection(), %error, "operations could not be sent");
                place.done(0, Signal::Idle).await;
                Vec::new()
            }
        }
    }

    /// Gives permitted operations back because there is no place soon.
    async fn put_by(&self, ready: Vec<Ready>, wait: Wait) -> Vec<(OperationId, Ended)> {
        let (pause, why) = self.back_for(wait);
        match self.gate.put_by(&self.desk, ready, (pause, why)).await {
            Ok(ended) => ended,
            Err(error) => {
                tracing::warn!(connection = %self.gate.connection(), %error, "operations could not be handed back");
                Vec::new()
            }
        }
    }

    /// For how long operations go back, and why. Spread, so that not all come at once.
    pub(crate) fn back_for(&self, wait: Wait) -> (Duration, Why) {
        let pause = Duration::try_from(wait.until.duration_since(self.now())).unwrap_or_default();
        let spread = (pause / 10).max(Duration::from_millis(20));
        let [byte, ..] = self.ambient.random();
        let why = Why::new(wait.why.as_str(), wait.why.message());
        (pause + spread * u32::from(byte) / 256, why)
    }
}

fn parted(taken: Vec<Waiting>) -> (Vec<Ready>, HashMap<OperationId, oneshot::Sender<Ended>>) {
    let mut ready = Vec::with_capacity(taken.len());
    let mut tell = HashMap::with_capacity(taken.len());
    for one in taken {
        tell.insert(one.ready.id(), one.tell);
        ready.push(one.ready);
    }
    (ready, tell)
}

/// Those of which nothing is known learn it by silence.
fn tell_all(
    mut tell: HashMap<OperationId, oneshot::Sender<Ended>>,
    ended: Vec<(OperationId, Ended)>,
) {
    for (id, ended) in ended {
        if let Some(tell) = tell.remove(&id) {
            // Nobody hears it where its handler was cut off: what came of it is stored.
            let _ = tell.send(ended);
        }
    }
}
