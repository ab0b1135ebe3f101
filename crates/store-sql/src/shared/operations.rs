//! Queued operations.
//!
//! All that changes a state is done by the task that appends to the record, one at a time over all
//! processes: what sets something free and what it sets free never miss each other, and no two
//! moves wait for each other in a circle. Staging, which may bring a million rows, goes beside it.

#[path = "operations/asked.rs"]
mod asked;
#[path = "operations/begin.rs"]
mod begin;
#[path = "operations/decide.rs"]
mod decide;
#[path = "operations/effects.rs"]
mod effects;
#[path = "operations/follow.rs"]
mod follow;
#[path = "operations/look.rs"]
mod look;
#[path = "operations/make.rs"]
mod make;
#[path = "operations/misfits.rs"]
mod misfits;
#[path = "operations/moves.rs"]
mod moves;
#[path = "operations/prune.rs"]
mod prune;
#[path = "operations/rows.rs"]
mod rows;
#[path = "operations/stage.rs"]
mod stage;
#[path = "operations/submit.rs"]
mod submit;
#[path = "operations/sweep.rs"]
mod sweep;
#[path = "operations/tell.rs"]
mod tell;
#[path = "operations/together.rs"]
mod together;
#[path = "operations/unfold.rs"]
mod unfold;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crmgate_domain::{ConnectionName, OperationId, RevisionId, State, SubmissionId, Timestamp};
use crmgate_store::{
    Begun, By, DecisionRecord, HeldOperation, HistoryEntry, Hold, Misfit, Move, Moved,
    NewOperation, Opened, OperationFilter, OperationLog, Page, RowLease, Staged, Standing,
    StoreError, StoredOperation, Submission, Tally, Unfolded, Wakening,
};
use sqlx::{QueryBuilder, Row as _};

pub(crate) use self::decide::Deed;
pub(crate) use self::effects::{Effects, act};
pub(crate) use self::follow::follow;
pub(crate) use self::make::{Wanted, make};
pub(crate) use self::moves::find;
pub(crate) use self::prune::{erasable, erase};
#[cfg(test)]
pub(crate) use self::rows::MOVABLE;
pub(crate) use self::together::together;
use super::{
    ALONE, Connection, Db, FOR_SHARE, Row, Store, among, among_ids, apart, jobs, plain, scalar,
    sql, within,
};
use crate::convert::nanoseconds;

/// Statements over many rows, with the index that must serve each. The empty name is the key of a
/// table whose name the database chooses.
#[cfg(test)]
pub(crate) const MANY: [(&super::many::Many, &str); 6] = [
    (&follow::LANE_HEADS, "operations_in_lanes"),
    (&tell::CLOSE, "operation_dependencies_by_target"),
    (&tell::COUNT_DOWN, ""),
    (&make::MOVE, ""),
    (&unfold::OPEN, ""),
    (&unfold::OPEN_COUNTS, ""),
];

/// How often others' moves are looked for.
const POLL: Duration = Duration::from_millis(500);

impl Store {
    /// Jobs lie elsewhere: whoever should look at an operation is told through this, after the
    /// commit. To be said before the store is used.
    pub fn waken_through(&self, wakening: Arc<dyn Wakening>) {
        self.bells().waken_through(wakening);
    }
}

fn small(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

#[async_trait]
impl OperationLog for Store {
    async fn open_submission(&self, submission: &Submission) -> Result<Opened, StoreError> {
        submit::open(self, submission).await
    }

    async fn stage(
        &self,
        submission: SubmissionId,
        operations: Vec<NewOperation>,
    ) -> Result<Vec<Staged>, StoreError> {
        submit::stage(self, submission, operations).await
    }

    async fn misfits(
        &self,
        submission: SubmissionId,
        most_in_group: usize,
    ) -> Result<Vec<Misfit>, StoreError> {
        misfits::misfits(self, submission, most_in_group).await
    }

    async fn accept(&self, submission: &Submission) -> Result<(), StoreError> {
        submit::accept(self, submission).await
    }

    async fn drop_staged(
        &self,
        submission: SubmissionId,
        lines: Option<&[u64]>,
    ) -> Result<u64, StoreError> {
        submit::drop_staged(self, submission, lines).await
    }

    async fn drop_abandoned(&self, before: Timestamp) -> Result<u64, StoreError> {
        submit::drop_abandoned(self, before).await
    }

    async fn unfold(&self, at: Timestamp, most: usize) -> Result<Unfolded, StoreError> {
        let mut all = Unfolded::default();
        loop {
            let left = small(most) - i64::try_from(all.operations).unwrap_or(i64::MAX);
            if left <= 0 {
                return Ok(all);
            }
            let step = act(self, move |writer, effects| {
                Box::pin(
                    async move { unfold::unfold(&mut writer.connection, at, left, effects).await },
                )
            })
            .await?;
            all.operations += step.operations;
            all.more = step.more;
            if !step.more {
                return Ok(all);
            }
        }
    }

    async fn submission(&self, id: SubmissionId) -> Result<Option<Submission>, StoreError> {
        submit::one(self, id).await
    }

    async fn take_held(&self, asked: HeldOperation) -> Result<Hold, StoreError> {
        asked::take(self, asked).await
    }

    async fn begin(
        &self,
        id: OperationId,
        by: &By,
        lease: RowLease,
        at: Timestamp,
    ) -> Result<Begun, StoreError> {
        let taking = begin::Taking {
            id,
            by: by.clone(),
            lease,
            at,
        };
        decide::take(self, taking).await
    }

    async fn shift(&self, moves: Vec<Move>) -> Result<Vec<Moved>, StoreError> {
        decide::shift_all(self, moves).await
    }

    async fn decide(
        &self,
        record: DecisionRecord,
        then: Move,
    ) -> Result<Result<u64, Moved>, StoreError> {
        decide::decide(self, None, record, then).await
    }

    async fn decide_to_hold(
        &self,
        hold: Hold,
        record: DecisionRecord,
        then: Move,
    ) -> Result<Result<u64, Moved>, StoreError> {
        decide::decide(self, Some(hold), record, then).await
    }

    async fn keep(
        &self,
        ids: &[OperationId],
        lease: RowLease,
    ) -> Result<Vec<OperationId>, StoreError> {
        let given = Arc::new((ids.to_vec(), lease));
        let kept: Vec<OperationId> = act(self, move |writer, _| {
            let given = Arc::clone(&given);
            Box::pin(async move { keep(&mut writer.connection, &given.0, &given.1).await })
        })
        .await?;
        Ok(ids
            .iter()
            .filter(|id| !kept.contains(id))
            .copied()
            .collect())
    }

    async fn stuck(&self, before: Timestamp, most: usize) -> Result<Vec<OperationId>, StoreError> {
        let mut found = Vec::new();
        let mut left = small(most);
        let elsewhere = self.bells().elsewhere();
        while left > 0 {
            let at = self.ambient().now();
            let (looked, woken) = act(self, move |writer, effects| {
                Box::pin(async move {
                    let times = (before, at);
                    sweep::stuck(&mut writer.connection, times, left, elsewhere, effects).await
                })
            })
            .await?;
            found.extend(woken);
            left -= i64::try_from(looked).unwrap_or(i64::MAX);
            if looked < sweep::PART.unsigned_abs() {
                break;
            }
        }
        Ok(found)
    }

    async fn expire(&self, at: Timestamp, by: &By, most: usize) -> Result<u64, StoreError> {
        let by = by.clone();
        act(self, move |writer, effects| {
            let by = by.clone();
            Box::pin(async move {
                let who = (at, &by);
                sweep::expire(&mut writer.connection, who, small(most), effects).await
            })
        })
        .await
    }

    async fn judge_again(
        &self,
        revision: &RevisionId,
        at: Timestamp,
        most: usize,
    ) -> Result<u64, StoreError> {
        let revision = revision.clone();
        act(self, move |writer, effects| {
            let revision = revision.clone();
            Box::pin(async move {
                let connection = &mut writer.connection;
                sweep::judge_again(connection, &revision, at, small(most), effects).await
            })
        })
        .await
    }

    async fn mark_restored(&self, at: Timestamp, by: &By) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let by = by.clone();
            let marked = act(self, move |writer, effects| {
                let by = by.clone();
                Box::pin(async move {
                    sweep::mark_restored(&mut writer.connection, (at, &by), effects).await
                })
            })
            .await?;
            all += marked;
            if marked < sweep::PART.unsigned_abs() {
                return Ok(all);
            }
        }
    }

    async fn operation(&self, id: OperationId) -> Result<Option<StoredOperation>, StoreError> {
        look::one(self, id).await
    }

    async fn operations(
        &self,
        filter: &OperationFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<StoredOperation>, StoreError> {
        look::list(self, filter, cursor, limit).await
    }

    async fn history(&self, id: OperationId) -> Result<Vec<HistoryEntry>, StoreError> {
        look::history(self, id).await
    }

    async fn related(
        &self,
        id: OperationId,
    ) -> Result<(Vec<OperationId>, Vec<OperationId>), StoreError> {
        look::related(self, id).await
    }

    async fn tally(&self, filter: &OperationFilter) -> Result<Vec<Tally>, StoreError> {
        look::tally(self, filter).await
    }

    async fn standing(&self) -> Result<BTreeMap<(ConnectionName, State), Standing>, StoreError> {
        look::standing(self).await
    }

    async fn moved(&self, id: OperationId, seen: u64, most: Duration) {
        let watch = self.bells().watch(id);
        let until = tokio::time::Instant::now() + most;
        loop {
            let told = watch.bell().notified();
            tokio::pin!(told);
            // From here on nothing is missed.
            told.as_mut().enable();
            match look::version(self, id).await {
                Ok(Some(version)) if version == seen => {}
                _ => return,
            }
            let wait = if ALONE {
                until
            } else {
                until.min(tokio::time::Instant::now() + POLL)
            };
            let heard = tokio::time::timeout_at(wait, told).await.is_ok();
            if !heard && tokio::time::Instant::now() >= until {
                return;
            }
        }
    }

    async fn prune_operations(
        &self,
        payloads: Option<Timestamp>,
        rows: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        act(self, move |writer, _| {
            Box::pin(async move { prune::prune(&mut writer.connection, payloads, rows).await })
        })
        .await
    }
}

/// Those whose lease was made longer.
async fn keep(
    connection: &mut Connection,
    ids: &[OperationId],
    lease: &RowLease,
) -> Result<Vec<OperationId>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Db>::new("UPDATE operations SET lease_until = ");
    query
        .push_bind(nanoseconds(lease.until))
        .push(" WHERE lease_owner = ")
        .push_bind(lease.owner.uuid().as_bytes().to_vec())
        .push(" AND id IN (");
    let mut list = query.separated(",");
    for id in ids {
        list.push_bind(id.uuid().as_bytes().to_vec());
    }
    query.push(") RETURNING id");
    let rows = query
        .build()
        .persistent(ids.len() <= 8)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| rows::id(row.get(0))).collect()
}
