//! Queues.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use crmgate_domain::Timestamp;
use crmgate_store::{
    Claimed, DeadJob, Depth, Jobs, NewJob, Reaped, Settlement, StoreError, Verdict,
};
use futures::future::try_join_all;
use redis::{FromRedisValue, Script, ScriptInvocation, Value};

use crate::RedisStore;
use crate::bells::channel;
use crate::scripts::{CLAIM, DEAD, DEPTH, PUSH, REAP, REMOVE, RENEW, SETTLE};

/// How many jobs one run of a script takes: others wait for it.
const CHUNK: usize = 250;
/// How many may be claimed, renewed or ended at once.
const MOST: usize = 1_000;
/// How many waiting jobs one claim lets become due.
const COME: usize = 500;
/// The longest reason that is kept.
const LONGEST: usize = 500;

impl RedisStore {
    fn base(&self, queue: &str) -> String {
        format!("{}:{{{queue}}}", self.prefix)
    }

    /// The names of all queues that ever held anything. No queue's own: it lies in another slot.
    fn names(&self) -> String {
        format!("{}:queues", self.prefix)
    }

    fn script<'a>(&self, script: &'a Script, queue: &str) -> ScriptInvocation<'a> {
        let mut call = script.key(self.base(queue));
        call.arg(channel(&self.prefix)).arg(queue);
        call
    }

    async fn push_some(&self, queue: &str, jobs: &[NewJob]) -> Result<u64, StoreError> {
        let mut call = self.script(&PUSH, queue);
        for job in jobs {
            call.arg(&job.id)
                .arg(job.due.as_millisecond())
                .arg(job.priority)
                .arg(job.most_attempts);
        }
        self.link.run(&call).await
    }

    async fn settle_some(
        &self,
        queue: &str,
        settled: &[Settlement],
    ) -> Result<Vec<String>, StoreError> {
        let mut call = self.script(&SETTLE, queue);
        for one in settled {
            let (verdict, later, reason) = words(&one.verdict);
            call.arg(&one.id)
                .arg(one.lease)
                .arg(verdict)
                .arg(millis(later))
                .arg(reason);
        }
        self.link.run(&call).await
    }
}

/// A verdict as the script knows it.
fn words(verdict: &Verdict) -> (&'static str, Duration, &str) {
    let (word, later, reason) = match verdict {
        Verdict::Done => ("done", Duration::ZERO, ""),
        Verdict::Again(later) => ("again", *later, ""),
        Verdict::Failed(later, reason) => ("failed", *later, reason.as_str()),
        Verdict::HandedBack => ("back", Duration::ZERO, ""),
        Verdict::Dead(reason) => ("dead", Duration::ZERO, reason.as_str()),
    };
    let end = reason.floor_char_boundary(LONGEST);
    (word, later, reason.get(..end).unwrap_or_default())
}

/// Never less than was asked for: a job must not come before its time.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX >> 12)
}

fn unreadable(what: &str) -> StoreError {
    StoreError::Corrupt(format!("redis: {what} is not as this version writes it"))
}

/// Reads one value of an answer.
fn read<T: FromRedisValue>(value: Option<Value>, what: &str) -> Result<T, StoreError> {
    let value = value.ok_or_else(|| unreadable(what))?;
    T::from_redis_value(value).map_err(|_| unreadable(what))
}

fn time(millis: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(millis).map_err(|_| unreadable("a time"))
}

#[async_trait]
impl Jobs for RedisStore {
    async fn push(&self, jobs: Vec<NewJob>) -> Result<u64, StoreError> {
        let mut queues: BTreeMap<String, Vec<NewJob>> = BTreeMap::new();
        for job in jobs {
            queues.entry(job.queue.clone()).or_default().push(job);
        }
        if queues.is_empty() {
            return Ok(0);
        }
        let mut known = redis::cmd("SADD");
        known
            .arg(self.names())
            .arg(queues.keys().collect::<Vec<_>>());
        self.link.ask::<()>(&known).await?;
        let mut new = 0;
        for (queue, jobs) in &queues {
            // One after the other: in their order, and others' calls come in between.
            for some in jobs.chunks(CHUNK) {
                new += self.push_some(queue, some).await?;
            }
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
        let mut call = self.script(&CLAIM, queue);
        call.arg(most.clamp(1, MOST)).arg(millis(lease)).arg(COME);
        let answer: Vec<Value> = self.link.run(&call).await?;
        let mut values = answer.into_iter();
        let next: i64 = read(values.next(), "a claim")?;
        let wait = u64::try_from(next).ok().map(Duration::from_millis);
        self.bells.due_in(queue, wait);
        let mut claimed = Vec::new();
        while let Some(id) = values.next() {
            claimed.push(Claimed {
                id: read(Some(id), "a claim")?,
                lease: read(values.next(), "a claim")?,
                attempts: read(values.next(), "a claim")?,
                most_attempts: read(values.next(), "a claim")?,
            });
        }
        Ok(claimed)
    }

    async fn renew(
        &self,
        queue: &str,
        held: &[(String, u64)],
        lease: Duration,
    ) -> Result<Vec<String>, StoreError> {
        let chunks = held.chunks(MOST).map(|some| async move {
            let mut call = self.script(&RENEW, queue);
            call.arg(millis(lease));
            for (id, lease) in some {
                call.arg(id).arg(*lease);
            }
            self.link.run::<Vec<String>>(&call).await
        });
        Ok(try_join_all(chunks).await?.concat())
    }

    async fn settle(
        &self,
        queue: &str,
        settled: Vec<Settlement>,
    ) -> Result<Vec<String>, StoreError> {
        let chunks = settled.chunks(MOST);
        let settled = chunks.map(|some| self.settle_some(queue, some));
        Ok(try_join_all(settled).await?.concat())
    }

    async fn reap(&self, queue: &str, most: usize) -> Result<Reaped, StoreError> {
        let mut call = self.script(&REAP, queue);
        call.arg(most.clamp(1, MOST));
        let answer: Vec<Value> = self.link.run(&call).await?;
        let mut values = answer.into_iter();
        Ok(Reaped {
            returned: read(values.next(), "what ran out")?,
            dead: values
                .map(|id| read(Some(id), "what ran out"))
                .collect::<Result<_, _>>()?,
        })
    }

    async fn depth(&self, queue: &str) -> Result<Depth, StoreError> {
        let told: (u64, u64, u64, u64, i64) = self.link.run(&self.script(&DEPTH, queue)).await?;
        let (due, delayed, claimed, dead, oldest) = told;
        Ok(Depth {
            due,
            delayed,
            claimed,
            dead,
            oldest_due: (oldest >= 0).then(|| time(oldest)).transpose()?,
        })
    }

    async fn depths(&self) -> Result<BTreeMap<String, Depth>, StoreError> {
        let names: BTreeSet<String> = self
            .link
            .ask(redis::cmd("SMEMBERS").arg(self.names()))
            .await?;
        let depths = names.into_iter().map(|queue| async move {
            let depth = self.depth(&queue).await?;
            Ok::<_, StoreError>((queue, depth))
        });
        let depths = try_join_all(depths).await?;
        let held = depths
            .into_iter()
            .filter(|(_, depth)| *depth != Depth::default());
        Ok(held.collect())
    }

    async fn dead(&self, queue: &str, most: usize) -> Result<Vec<DeadJob>, StoreError> {
        let mut call = self.script(&DEAD, queue);
        call.arg(most.clamp(1, MOST));
        let answer: Vec<Value> = self.link.run(&call).await?;
        let mut values = answer.into_iter();
        let mut dead = Vec::new();
        while let Some(id) = values.next() {
            dead.push(DeadJob {
                id: read(Some(id), "a dead job")?,
                at: time(read(values.next(), "a dead job")?)?,
                attempts: read(values.next(), "a dead job")?,
                reason: read(values.next(), "a dead job")?,
            });
        }
        Ok(dead)
    }

    async fn remove(&self, queue: &str, ids: &[String]) -> Result<u64, StoreError> {
        let chunks = ids.chunks(MOST).map(|some| async move {
            let mut call = self.script(&REMOVE, queue);
            call.arg(some);
            self.link.run::<u64>(&call).await
        });
        Ok(try_join_all(chunks).await?.into_iter().sum())
    }

    async fn pushed(&self, queue: &str, most: Duration) {
        self.bells.wait(queue, most).await;
    }
}
