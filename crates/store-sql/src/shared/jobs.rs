//! Jobs in the database.
//!
//! INVARIANT: whoever holds locks on several jobs waits for none: claiming, settling and reaping
//! leave out what is locked, and pushing is done by the task that appends to the record, one at a
//! time over all processes. So they cannot wait for each other in a circle.

#[path = "jobs/claim.rs"]
mod claim;
#[path = "jobs/depth.rs"]
mod depth;
#[path = "jobs/push.rs"]
mod push;
#[path = "jobs/settle.rs"]
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crmgate_store::{Claimed, DeadJob, Depth, Jobs, NewJob, Reaped, Settlement, StoreError};

pub(crate) use self::push::{PUSH, absent, bury_not, push, pushed};
use super::steps::with_record;
use super::{
    ALONE, Connection, Db, FOR_UPDATE_SKIP_LOCKED, Row, Store, among, apart, clock, plain, scalar,
    sql, within,
};
use crate::bells::Rung;
use crate::convert::nanoseconds;

/// Its time has not come.
const WAITING: i64 = 0;
/// It can be claimed.
const DUE: i64 = 1;
/// Somebody looks at it.
const CLAIMED: i64 = 2;
/// It was tried too often.
const DEAD: i64 = 3;

/// How often others' pushes are looked for.
const POLL: Duration = Duration::from_millis(500);
/// How many bits of a lease count the claims of a job.
const CLAIM_BITS: u32 = 20;

/// Names one claim of one job, for ever.
const fn lease(nr: i64, claims: i64) -> u64 {
    (nr.cast_unsigned() << CLAIM_BITS) | (claims.cast_unsigned() & ((1 << CLAIM_BITS) - 1))
}

/// The number of the job that a lease is of.
const fn number(lease: u64) -> i64 {
    (lease >> CLAIM_BITS).cast_signed()
}

fn later(now: i64, by: Duration) -> i64 {
    now.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX))
}

impl Store {
    fn ring_queue(&self, queue: &str) {
        self.bells().ring(Rung {
            queues: BTreeSet::from([queue.to_owned()]),
            ..Rung::default()
        });
    }

    /// How long until the next waiting job is due.
    async fn next_due(&self, queue: &str) -> Result<Option<Duration>, StoreError> {
        let due: Option<i64> = within(
            scalar("SELECT min(due) FROM jobs WHERE queue = ? AND state = 0")
                .bind(plain(queue).into_owned())
                .fetch_one(self.reader()),
        )
        .await?;
        let now = nanoseconds(self.ambient().now());
        Ok(due.map(|due| Duration::from_nanos(due.saturating_sub(now).max(0).unsigned_abs())))
    }
}

#[async_trait]
impl Jobs for Store {
    async fn push(&self, jobs: Vec<NewJob>) -> Result<u64, StoreError> {
        if jobs.is_empty() {
            return Ok(0);
        }
        let queues = jobs.iter().map(|job| job.queue.clone()).collect();
        let jobs = Arc::new(jobs);
        let now = nanoseconds(self.ambient().now());
        let new = with_record(self, move |writer| {
            let jobs = Arc::clone(&jobs);
            Box::pin(async move { push(&mut writer.connection, &jobs, now).await })
        })
        .await?;
        self.bells().ring(Rung {
            queues,
            ..Rung::default()
        });
        Ok(new)
    }

    async fn claim(
        &self,
        queue: &str,
        owner: &str,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        claim::claim(self, queue, owner, most, lease).await
    }

    async fn renew(
        &self,
        queue: &str,
        held: &[(String, u64)],
        lease: Duration,
    ) -> Result<Vec<String>, StoreError> {
        settle::renew(self, queue, held, lease).await
    }

    async fn settle(
        &self,
        queue: &str,
        settled: Vec<Settlement>,
    ) -> Result<Vec<String>, StoreError> {
        settle::settle(self, queue, settled).await
    }

    async fn reap(&self, queue: &str, most: usize) -> Result<Reaped, StoreError> {
        claim::reap(self, queue, most).await
    }

    async fn depth(&self, queue: &str) -> Result<Depth, StoreError> {
        let mut depths = depth::depths(self, Some(queue)).await?;
        Ok(depths.remove(queue).unwrap_or_default())
    }

    async fn depths(&self) -> Result<BTreeMap<String, Depth>, StoreError> {
        depth::depths(self, None).await
    }

    async fn dead(&self, queue: &str, most: usize) -> Result<Vec<DeadJob>, StoreError> {
        depth::dead(self, queue, most).await
    }

    async fn remove(&self, queue: &str, ids: &[String]) -> Result<u64, StoreError> {
        settle::remove(self, queue, ids).await
    }

    async fn pushed(&self, queue: &str, most: Duration) {
        let bell = self.bells().queue(queue);
        let mut wait = if ALONE { most } else { most.min(POLL) };
        match self.next_due(queue).await {
            // Never at once: whoever asks has just found that there is nothing to claim.
            Ok(Some(due)) => wait = wait.min(due.max(Duration::from_millis(1))),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the next due job is not known"),
        }
        // Both ends of the wait are the same to whoever asks.
        let _ = tokio::time::timeout(wait, bell.notified()).await;
    }
}
