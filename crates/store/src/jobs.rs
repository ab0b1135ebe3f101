//! Wake-ups: which job should be looked at, when, and by whom it is being looked at.
//!
//! A job says nothing but its name. What is to be done, and whether it still is, stands in the row
//! that the name leads to; a job that is delivered twice or too early does no harm.
//!
//! INVARIANT: a job that was claimed is delivered again when its lease ends, until it is settled
//! by the holder of its newest lease or has been tried too often.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use crmgate_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// A job to be looked at. One that is in its queue already is not put there twice: the earlier
/// time and the higher priority hold. A dead one stays dead until it is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJob {
    /// The queue: `operations/acme-sf`.
    pub queue: String,
    /// Its name in the queue, at most 64 bytes.
    pub id: String,
    /// Not before this.
    pub due: Timestamp,
    /// Higher ones first among those that are due.
    pub priority: i16,
    /// How often a lease may run out or a try may fail before it is dead.
    pub most_attempts: u32,
}

/// A claimed job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// Its name.
    pub id: String,
    /// Names this lease: whoever lost it can settle nothing.
    pub lease: u64,
    /// Tries that came to nothing before this one, run-out leases included.
    pub attempts: u32,
    /// How many there may be.
    pub most_attempts: u32,
}

/// What becomes of a claimed job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is done and leaves the queue. When it was pushed again meanwhile, it stays, due.
    Done,
    /// It is to be looked at again after this long; no try counts.
    Again(Duration),
    /// The try failed: again after this long, or dead when it was the last.
    Failed(Duration, String),
    /// Nobody looked at it: back to where it was.
    HandedBack,
    /// It is hopeless.
    Dead(String),
}

/// A claimed job and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Its name.
    pub id: String,
    /// The lease it was claimed under.
    pub lease: u64,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What ran out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Jobs that can be claimed again.
    pub returned: u64,
    /// Jobs that were tried too often.
    pub dead: Vec<String>,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    /// Jobs that could be claimed now.
    pub due: u64,
    /// Jobs whose time has not come.
    pub delayed: u64,
    /// Claimed jobs.
    pub claimed: u64,
    /// Jobs that were tried too often or are hopeless.
    pub dead: u64,
    /// Since when the oldest due one could be claimed.
    pub oldest_due: Option<Timestamp>,
}

/// A dead job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadJob {
    /// Its name.
    pub id: String,
    /// When it died.
    pub at: Timestamp,
    /// Tries.
    pub attempts: u32,
    /// Of what.
    pub reason: String,
}

/// Queues of jobs. All times are those of one clock: the database's or the server's, where
/// several machines share it.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Puts jobs into their queues: how many were not there.
    ///
    /// # Errors
    /// When it is not certain that they are there.
    async fn push(&self, jobs: Vec<NewJob>) -> Result<u64, StoreError>;

    /// Claims due jobs, the highest priority and then the oldest first, under a lease.
    ///
    /// # Errors
    /// When the store cannot be asked. Jobs that were claimed all the same come back when their
    /// lease ends.
    async fn claim(
        &self,
        queue: &str,
        owner: &str,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed>, StoreError>;

    /// Makes leases last from now on; gives those that are lost.
    ///
    /// # Errors
    /// When the store cannot be asked.
    async fn renew(
        &self,
        queue: &str,
        held: &[(String, u64)],
        lease: Duration,
    ) -> Result<Vec<String>, StoreError>;

    /// Settles claimed jobs: those whose lease was lost, which is no error.
    ///
    /// # Errors
    /// When it is not certain that it is stored.
    async fn settle(
        &self,
        queue: &str,
        settled: Vec<Settlement>,
    ) -> Result<Vec<String>, StoreError>;

    /// Ends leases that ran out, at most so many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    async fn reap(&self, queue: &str, most: usize) -> Result<Reaped, StoreError>;

    /// How full a queue is.
    ///
    /// # Errors
    /// When the store cannot be asked.
    async fn depth(&self, queue: &str) -> Result<Depth, StoreError>;

    /// How full all queues are that hold anything.
    ///
    /// # Errors
    /// When the store cannot be asked.
    async fn depths(&self) -> Result<BTreeMap<String, Depth>, StoreError>;

    /// Dead jobs, newest first.
    ///
    /// # Errors
    /// When the store cannot be asked.
    async fn dead(&self, queue: &str, most: usize) -> Result<Vec<DeadJob>, StoreError>;

    /// Takes jobs out of the queue, claimed ones too: how many were there.
    ///
    /// # Errors
    /// When it is not certain that they are gone.
    async fn remove(&self, queue: &str, ids: &[String]) -> Result<u64, StoreError>;

    /// Returns when something may have been pushed to the queue since the last call, or after
    /// `most`: no promise, only less waiting.
    async fn pushed(&self, queue: &str, most: Duration);
}
