//! Submissions: opened, staged line by line, accepted as a whole or dropped.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crmgate_domain::{OperationId, PayloadHash, ProcessId, State, SubmissionId, Timestamp};
use crmgate_store::{
    GONE_AFTER, NewOperation, Opened, SILENT_AFTER, Staged, StoreError, Submission,
};
use sqlx::{QueryBuilder, Row as _};

use super::effects::recount;
use super::stage;
use super::{
    ALONE, Connection, Db, Row, Store, among, apart, nanoseconds, plain, scalar, sql, within,
};
use crate::convert::timestamp;
use crate::error::corrupt;

/// Most operations that are dropped in one transaction.
const PART: i64 = 500;

const COLUMNS: &str = "SELECT id, owner, key, at, accepted_at, content, count, repeated, refused, \
     answer FROM submissions";

fn submission(row: &Row) -> Result<Submission, StoreError> {
    let id = uuid::Uuid::from_slice(row.get(0)).map_err(|error| corrupt("an id", error))?;
    let content: Option<&[u8]> = row.get(5);
    let accepted_at: Option<i64> = row.get(4);
    let count = |column: usize| row.get::<i64, _>(column).unsigned_abs();
    Ok(Submission {
        id: id.into(),
        owner: row.get(1),
        key: row.get(2),
        at: timestamp(row.get(3))?,
        accepted_at: accepted_at.map(timestamp).transpose()?,
        content: content
            .map(|bytes| {
                let bytes = bytes.try_into().map_err(|error| corrupt("a hash", error))?;
                Ok(PayloadHash::from_bytes(bytes))
            })
            .transpose()?,
        count: count(6),
        repeated: count(7),
        refused: count(8),
        answer: row.get(9),
    })
}

pub(super) async fn open(store: &Store, wanted: &Submission) -> Result<Opened, StoreError> {
    let opening = Arc::new(Opening {
        wanted: wanted.clone(),
        process: store.owner(),
        silent_since: store.ambient().now() - SILENT_AFTER,
    });
    let (found, gave_way) = apart(store, move |connection| {
        let opening = Arc::clone(&opening);
        Box::pin(async move { opening.run(connection).await })
    })
    .await?;
    if let Some(gone) = gave_way
        && let Err(error) = drop_whole(store, gone).await
    {
        // Nothing touches what it staged, and the sweeper drops it later.
        tracing::warn!(%error, submission = %gone, "an abandoned submission could not be dropped");
    }
    let Some(known) = found.as_ref().map(submission).transpose()? else {
        return Ok(Opened::New);
    };
    Ok(if known.accepted_at.is_some() {
        Opened::Known(Box::new(known))
    } else {
        Opened::UnderWay(known.id)
    })
}

/// A submission that is to have its key.
struct Opening {
    wanted: Submission,
    /// This process.
    process: ProcessId,
    /// Who has said nothing since then is gone.
    silent_since: Timestamp,
}

impl Opening {
    /// The submission that has the key already, or `None` when this one has it now; and the one that
    /// had it and gave way.
    async fn run(
        &self,
        connection: &mut Connection,
    ) -> Result<(Option<Row>, Option<SubmissionId>), sqlx::Error> {
        let wanted = &self.wanted;
        let owner = plain(&wanted.owner).into_owned();
        let key = wanted.key.as_deref().map(|key| plain(key).into_owned());
        let gave_way = self.give_way(connection, &owner, key.as_deref()).await?;
        let new = sql(
            "INSERT INTO submissions (id, owner, key, at, process) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (owner, key) WHERE key IS NOT NULL DO NOTHING",
        )
        .bind(wanted.id.uuid().as_bytes().to_vec())
        .bind(owner.clone())
        .bind(key.clone())
        .bind(nanoseconds(wanted.at))
        .bind(self.process.uuid().as_bytes().to_vec())
        .execute(&mut *connection)
        .await?;
        if new.rows_affected() == 1 {
            return Ok((None, gave_way));
        }
        let mut query = QueryBuilder::<Db>::new(COLUMNS);
        query
            .push(" WHERE owner = ")
            .push_bind(owner)
            .push(" AND key = ")
            .push_bind(key);
        let known = query.build().fetch_one(connection).await?;
        Ok((Some(known), gave_way))
    }

    /// Takes the key from one that can never be accepted, and from one whose process is gone. That
    /// one can never be accepted either from then on: should its process only have been paused, it
    /// finds its submission closed.
    async fn give_way(
        &self,
        connection: &mut Connection,
        owner: &str,
        key: Option<&str>,
    ) -> Result<Option<SubmissionId>, sqlx::Error> {
        let mut query =
            QueryBuilder::<Db>::new("UPDATE submissions SET key = NULL, broken = 1 WHERE owner = ");
        query
            .push_bind(owner.to_owned())
            .push(" AND key = ")
            .push_bind(key.map(str::to_owned))
            .push(" AND accepted_at IS NULL AND (broken = 1 OR ");
        begun_by_the_gone(&mut query, self.process, self.silent_since);
        query.push(") RETURNING id");
        let row = query.build().fetch_optional(connection).await?;
        row.map(|row| {
            let id = uuid::Uuid::from_slice(row.get(0));
            id.map(SubmissionId::from)
                .map_err(|error| sqlx::Error::Decode(error.into()))
        })
        .transpose()
    }
}

/// Adds a condition: another process began the submission, and has said nothing since then. Where
/// one process at a time has the database, another one is gone.
fn begun_by_the_gone(query: &mut QueryBuilder<Db>, own: ProcessId, since: Timestamp) {
    query
        .push("(process <> ")
        .push_bind(own.uuid().as_bytes().to_vec());
    if !ALONE {
        query
            .push(
                " AND NOT EXISTS (SELECT 1 FROM processes p \
                 WHERE p.id = submissions.process AND p.beat_at >= ",
            )
            .push_bind(nanoseconds(since))
            .push(")");
    }
    query.push(")");
}

pub(super) async fn stage(
    store: &Store,
    id: SubmissionId,
    operations: Vec<NewOperation>,
) -> Result<Vec<Staged>, StoreError> {
    if operations.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Result<Vec<stage::Line>, StoreError> =
        operations.iter().map(stage::Line::new).collect();
    let lines = Arc::new(rows?);
    let staged = apart(store, move |connection| {
        let lines = Arc::clone(&lines);
        Box::pin(async move { stage::stage(connection, id, &lines).await })
    })
    .await?;
    staged.ok_or_else(|| {
        StoreError::Unavailable(format!(
            "the submission `{id}` is not open any more: another one brought the same operations, \
             or it was dropped"
        ))
    })
}

pub(super) async fn accept(store: &Store, wanted: &Submission) -> Result<(), StoreError> {
    let id = wanted.id;
    let wanted = Arc::new(wanted.clone());
    let accepted = apart(store, move |connection| {
        let wanted = Arc::clone(&wanted);
        Box::pin(async move { accept_once(connection, &wanted).await })
    })
    .await?;
    if accepted {
        return Ok(());
    }
    Err(StoreError::Unavailable(format!(
        "the submission `{id}` cannot be accepted: another one brought the same operations, or it \
         was dropped"
    )))
}

async fn accept_once(
    connection: &mut Connection,
    wanted: &Submission,
) -> Result<bool, sqlx::Error> {
    let at = nanoseconds(wanted.accepted_at.unwrap_or(wanted.at));
    let done = sql(
        "UPDATE submissions SET accepted_at = ?, content = ?, count = ?, repeated = ?, \
         refused = ?, answer = ? WHERE id = ? AND accepted_at IS NULL AND broken = 0",
    )
    .bind(at)
    .bind(wanted.content.map(|hash| hash.bytes().to_vec()))
    .bind(wanted.count.cast_signed())
    .bind(wanted.repeated.cast_signed())
    .bind(wanted.refused.cast_signed())
    .bind(
        wanted
            .answer
            .as_deref()
            .map(|answer| plain(answer).into_owned()),
    )
    .bind(wanted.id.uuid().as_bytes().to_vec())
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 1 {
        return Ok(true);
    }
    // A transaction whose end was not heard of is done twice.
    let before: Option<Option<i64>> = scalar("SELECT accepted_at FROM submissions WHERE id = ?")
        .bind(wanted.id.uuid().as_bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    Ok(before.flatten() == Some(at))
}

pub(super) async fn drop_staged(
    store: &Store,
    id: SubmissionId,
    lines: Option<&[u64]>,
) -> Result<u64, StoreError> {
    match lines {
        Some(lines) => drop_lines(store, id, lines).await,
        None => drop_whole(store, id).await,
    }
}

async fn drop_lines(store: &Store, id: SubmissionId, lines: &[u64]) -> Result<u64, StoreError> {
    let lines: Arc<Vec<i64>> = Arc::new(lines.iter().map(|line| line.cast_signed()).collect());
    apart(store, move |connection| {
        let lines = Arc::clone(&lines);
        Box::pin(async move {
            let mut query = QueryBuilder::<Db>::new(
                "SELECT o.nr, o.connection FROM operations o \
                 JOIN submissions s ON s.nr = o.submission WHERE s.accepted_at IS NULL AND s.id = ",
            );
            query
                .push_bind(id.uuid().as_bytes().to_vec())
                .push(" AND (");
            among(&mut query, "o.line", &lines);
            // Those of a group happen together or not at all.
            query.push(
                " OR o.grp IN (SELECT m.grp FROM operations m \
                 WHERE m.submission = s.nr AND m.grp IS NOT NULL AND ",
            );
            among(&mut query, "m.line", &lines);
            query.push("))");
            let rows = query.build().fetch_all(&mut *connection).await?;
            delete(connection, &rows).await
        })
    })
    .await
}

async fn drop_whole(store: &Store, id: SubmissionId) -> Result<u64, StoreError> {
    let mut gone = 0;
    loop {
        let step = apart(store, move |connection| {
            Box::pin(async move { drop_some(connection, id).await })
        })
        .await?;
        gone += step;
        if step < PART.unsigned_abs() {
            return Ok(gone);
        }
    }
}

/// Drops a part of a submission that is not accepted, and the submission with its last part.
async fn drop_some(connection: &mut Connection, id: SubmissionId) -> Result<u64, sqlx::Error> {
    let id = id.uuid().as_bytes().to_vec();
    // From now on it cannot be accepted.
    let open = sql("UPDATE submissions SET broken = 1 WHERE id = ? AND accepted_at IS NULL")
        .bind(id.clone())
        .execute(&mut *connection)
        .await?;
    if open.rows_affected() == 0 {
        return Ok(0);
    }
    let rows = sql(
        "SELECT o.nr, o.connection FROM operations o JOIN submissions s ON s.nr = o.submission \
         WHERE s.id = ? LIMIT ?",
    )
    .bind(id.clone())
    .bind(PART)
    .fetch_all(&mut *connection)
    .await?;
    let gone = delete(connection, &rows).await?;
    if gone < PART.unsigned_abs() {
        sql("DELETE FROM submissions WHERE id = ?")
            .bind(id)
            .execute(connection)
            .await?;
    }
    Ok(gone)
}

/// Deletes staged operations.
pub(super) async fn delete(connection: &mut Connection, rows: &[Row]) -> Result<u64, sqlx::Error> {
    if rows.is_empty() {
        return Ok(0);
    }
    let numbers: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    for (table, column) in [
        ("operations", "nr"),
        ("operation_bodies", "nr"),
        ("operation_dependencies", "dependant"),
    ] {
        let mut query = QueryBuilder::<Db>::new(format!("DELETE FROM {table} WHERE "));
        among(&mut query, column, &numbers);
        query.build().execute(&mut *connection).await?;
    }
    let mut counts: BTreeMap<(String, &'static str), i64> = BTreeMap::new();
    for row in rows {
        *counts
            .entry((row.get(1), State::Staged.as_str()))
            .or_default() -= 1;
    }
    recount(connection, &counts).await?;
    Ok(rows.len() as u64)
}

pub(super) async fn drop_abandoned(store: &Store, before: Timestamp) -> Result<u64, StoreError> {
    let mut query = QueryBuilder::<Db>::new(
        "SELECT id FROM submissions WHERE accepted_at IS NULL AND (broken = 1 OR at < ",
    );
    query.push_bind(nanoseconds(before)).push(" OR ");
    let gone_since = store.ambient().now() - GONE_AFTER;
    begun_by_the_gone(&mut query, store.owner(), gone_since);
    query.push(") ORDER BY at LIMIT 100");
    let rows = within(query.build().fetch_all(store.reader())).await?;
    let mut gone = 0;
    for row in rows {
        let id = uuid::Uuid::from_slice(row.get(0)).map_err(|error| corrupt("an id", error))?;
        drop_whole(store, id.into()).await?;
        gone += 1;
    }
    Ok(gone)
}

pub(super) async fn one(store: &Store, id: SubmissionId) -> Result<Option<Submission>, StoreError> {
    let mut query = QueryBuilder::<Db>::new(COLUMNS);
    query
        .push(" WHERE id = ")
        .push_bind(id.uuid().as_bytes().to_vec());
    let row = within(query.build().fetch_optional(store.reader())).await?;
    row.as_ref().map(submission).transpose()
}

/// The first members of groups, by the names that their submission gives them.
pub(super) type Groups = HashMap<String, OperationId>;
