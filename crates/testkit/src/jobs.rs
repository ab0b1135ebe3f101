//! Queues in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use crmgate_domain::Timestamp;
use crmgate_store::{
    Claimed, DeadJob, Depth, Jobs, NewJob, Reaped, Settlement, StoreError, Verdict,
};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Waiting,
    Claimed { lease: u64, ends: Timestamp },
    Dead { at: Timestamp, reason: String },
}

#[derive(Debug)]
struct Job {
    nth: u64,
    due: Timestamp,
    priority: i16,
    attempts: u32,
    most_attempts: u32,
    place: Place,
    again: Option<(Timestamp, i16)>,
}

impl Job {
    /// Back into the queue; what was pushed meanwhile takes part.
    fn put_back(&mut self, due: Timestamp) {
        let (again, priority) = self.again.take().unwrap_or((due, self.priority));
        self.due = due.min(again);
        self.priority = self.priority.max(priority);
        self.place = Place::Waiting;
    }

    fn die(&mut self, at: Timestamp, reason: &str) {
        self.again = None;
        self.place = Place::Dead {
            at,
            reason: reason.to_owned(),
        };
    }
}

#[derive(Debug, Default)]
struct State {
    queues: BTreeMap<String, HashMap<String, Job>>,
    bells: HashMap<String, Arc<Notify>>,
    given: u64,
}

impl State {
    fn number(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    fn queue(&mut self, queue: &str) -> &mut HashMap<String, Job> {
        self.queues.entry(queue.to_owned()).or_default()
    }
}

/// Queues in memory, by tokio's clock: a test may pause it.
#[derive(Debug)]
pub struct MemoryJobs {
    began: Instant,
    state: Mutex<State>,
}

impl Default for MemoryJobs {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            state: Mutex::default(),
        }
    }
}

impl MemoryJobs {
    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        start + self.began.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn bell(&self, queue: &str) -> Arc<Notify> {
        Arc::clone(self.state().bells.entry(queue.to_owned()).or_default())
    }

    fn push_one(&self, state: &mut State, job: NewJob) -> bool {
        let nth = state.number();
        let queue = state.queue(&job.queue);
        let Some(there) = queue.get_mut(&job.id) else {
            let new = Job {
                nth,
                due: job.due,
                priority: job.priority,
                attempts: 0,
                most_attempts: job.most_attempts,
                place: Place::Waiting,
                again: None,
            };
            queue.insert(job.id, new);
            return true;
        };
        match there.place {
            Place::Waiting => {
                there.due = there.due.min(job.due);
                there.priority = there.priority.max(job.priority);
            }
            Place::Claimed { .. } => {
                let (due, priority) = there.again.unwrap_or((job.due, job.priority));
                there.again = Some((due.min(job.due), priority.max(job.priority)));
            }
            Place::Dead { .. } => {}
        }
        false
    }
}

/// A job whose lease is this one.
fn held<'a>(queue: &'a mut HashMap<String, Job>, id: &str, lease: u64) -> Option<&'a mut Job> {
    let job = queue.get_mut(id)?;
    matches!(job.place, Place::Claimed { lease: held, .. } if held == lease).then_some(job)
}

fn apply(queue: &mut HashMap<String, Job>, one: &Settlement, now: Timestamp) -> bool {
    let Some(job) = held(queue, &one.id, one.lease) else {
        return false;
    };
    match &one.verdict {
        Verdict::Done if job.again.is_none() => {
            queue.remove(&one.id);
        }
        Verdict::Done => {
            job.attempts = 0;
            let due = job.again.map_or(now, |(due, _)| due);
            job.put_back(due);
        }
        Verdict::Again(after) => job.put_back(now + *after),
        Verdict::HandedBack => {
            let due = job.due;
            job.put_back(due);
        }
        Verdict::Failed(after, reason) => {
            job.attempts += 1;
            if job.attempts >= job.most_attempts {
                job.die(now, reason);
            } else {
                job.put_back(now + *after);
            }
        }
        Verdict::Dead(reason) => job.die(now, reason),
    }
    true
}

fn depth(queue: &HashMap<String, Job>, now: Timestamp) -> Depth {
    let mut depth = Depth::default();
    for job in queue.values() {
        match job.place {
            Place::Waiting if job.due <= now => {
                depth.due += 1;
                let oldest = depth.oldest_due.unwrap_or(job.due);
                depth.oldest_due = Some(oldest.min(job.due));
            }
            Place::Waiting => depth.delayed += 1,
            Place::Claimed { .. } => depth.claimed += 1,
            Place::Dead { .. } => depth.dead += 1,
        }
    }
    depth
}

#[async_trait]
impl Jobs for MemoryJobs {
    async fn push(&self, jobs: Vec<NewJob>) -> Result<u64, StoreError> {
        let mut state = self.state();
        let mut new = 0;
        for job in jobs {
            let bell = Arc::clone(state.bells.entry(job.queue.clone()).or_default());
            new += u64::from(self.push_one(&mut state, job));
            bell.notify_one();
        }
        Ok(new)
    }

    async fn claim(
        &self,
        queue: &str,
        _owner: &str,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let mut due: Vec<_> = state
            .queue(queue)
            .iter()
            .filter(|(_, job)| job.place == Place::Waiting && job.due <= now)
            .map(|(id, job)| (-i32::from(job.priority), job.due, job.nth, id.clone()))
            .collect();
        due.sort();
        let mut claimed = Vec::new();
        for (.., id) in due.into_iter().take(most) {
            let number = state.number();
            let job = state.queue(queue).get_mut(&id).unwrap();
            let ends = now + lease;
            job.place = Place::Claimed {
                lease: number,
                ends,
            };
            claimed.push(Claimed {
                id,
                lease: number,
                attempts: job.attempts,
                most_attempts: job.most_attempts,
            });
        }
        Ok(claimed)
    }

    async fn renew(
        &self,
        queue: &str,
        all: &[(String, u64)],
        lease: Duration,
    ) -> Result<Vec<String>, StoreError> {
        let until = self.now() + lease;
        let mut state = self.state();
        let queue = state.queue(queue);
        let mut lost = Vec::new();
        for (id, number) in all {
            match held(queue, id, *number) {
                Some(job) => {
                    job.place = Place::Claimed {
                        lease: *number,
                        ends: until,
                    };
                }
                None => lost.push(id.clone()),
            }
        }
        Ok(lost)
    }

    async fn settle(
        &self,
        queue: &str,
        settled: Vec<Settlement>,
    ) -> Result<Vec<String>, StoreError> {
        let now = self.now();
        let bell = self.bell(queue);
        let mut state = self.state();
        let queue = state.queue(queue);
        let lost = settled.into_iter().filter(|one| !apply(queue, one, now));
        let lost = lost.map(|one| one.id).collect();
        bell.notify_one();
        Ok(lost)
    }

    async fn reap(&self, queue: &str, most: usize) -> Result<Reaped, StoreError> {
        let now = self.now();
        let bell = self.bell(queue);
        let mut state = self.state();
        let over = |place: &Place| matches!(place, Place::Claimed { ends, .. } if *ends <= now);
        let mut reaped = Reaped::default();
        let ended = state.queue(queue).iter_mut();
        for (id, job) in ended.filter(|(_, job)| over(&job.place)).take(most) {
            job.attempts += 1;
            job.again = None;
            if job.attempts >= job.most_attempts {
                job.die(now, "its lease ran out, each time");
                reaped.dead.push(id.clone());
            } else {
                job.place = Place::Waiting;
                reaped.returned += 1;
            }
        }
        bell.notify_one();
        Ok(reaped)
    }

    async fn depth(&self, queue: &str) -> Result<Depth, StoreError> {
        let now = self.now();
        Ok(depth(self.state().queue(queue), now))
    }

    async fn depths(&self) -> Result<BTreeMap<String, Depth>, StoreError> {
        let now = self.now();
        let state = self.state();
        let filled = state.queues.iter().filter(|(_, jobs)| !jobs.is_empty());
        Ok(filled
            .map(|(name, jobs)| (name.clone(), depth(jobs, now)))
            .collect())
    }

    async fn dead(&self, queue: &str, most: usize) -> Result<Vec<DeadJob>, StoreError> {
        let mut state = self.state();
        let mut dead: Vec<DeadJob> = state
            .queue(queue)
            .iter()
            .filter_map(|(id, job)| match &job.place {
                Place::Dead { at, reason } => Some(DeadJob {
                    id: id.clone(),
                    at: *at,
                    attempts: job.attempts,
                    reason: reason.clone(),
                }),
                _ => None,
            })
            .collect();
        dead.sort_by_key(|dead| std::cmp::Reverse(dead.at));
        dead.truncate(most);
        Ok(dead)
    }

    async fn remove(&self, queue: &str, ids: &[String]) -> Result<u64, StoreError> {
        let mut state = self.state();
        let queue = state.queue(queue);
        let gone = ids.iter().filter(|id| queue.remove(*id).is_some());
        Ok(gone.count() as u64)
    }

    async fn pushed(&self, queue: &str, most: Duration) {
        let bell = self.bell(queue);
        // Both ends of the wait are the same to whoever asks.
        let _ = tokio::time::timeout(most, bell.notified()).await;
    }
}
