//! Held operations.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use crmgate_domain::approval::{End, Ended};
use crmgate_domain::{Ambient, ConnectionName, DecisionId, HoldId, Timestamp};
use crmgate_store::{
    DecisionRecord, Hold, HoldFilter, HoldLog, HoldStatus, Move, Page, StoreError,
};
use sqlx::{QueryBuilder, Row as _};

use super::batch;
use super::decisions::{DecisionRow, in_list};
use super::writer::{Command, Reply, Step, Writer};
use super::{Connection, Db, Row, Store, plain, sql, within};
use crate::convert::{below, cursor, nanoseconds, read, timestamp};
use crate::error::corrupt;

/// The kind of this listing's cursors.
const CURSOR: char = 'h';
const COLUMNS: &str = "SELECT seq, status, requests, body, version, ended, spent_by, expires_at \
     FROM holds";

/// A hold to store or join, with the decision that made it.
struct Take {
    hold: Hold,
    request: String,
    ambient: Arc<dyn Ambient>,
    record: Option<DecisionRecord>,
    in_force: Option<Result<Hold, StoreError>>,
    reply: Reply<Hold>,
}

/// One hold, its columns as they stand.
pub(crate) fn stored(row: &Row) -> Result<Hold, StoreError> {
    let hold: Hold = read("a hold", row.get(3))?;
    let status = HoldStatus::of(row.get(1)).unwrap_or(HoldStatus::Expired);
    let expires_at = timestamp(row.get(7))?;
    let ended = row.get::<Option<&str>, _>(5);
    let ended = ended.map(|text| read("a hold's end", text)).transpose()?;
    let expired = (status == HoldStatus::Expired).then_some(Ended {
        how: End::Expired,
        by: None,
        at: expires_at,
    });
    let spent_by: Option<Vec<u8>> = row.get(6);
    Ok(Hold {
        status,
        requests: row.get::<i64, _>(2).unsigned_abs(),
        version: row.get::<i64, _>(4).unsigned_abs(),
        ended: expired.or(ended),
        spent_by: spent_by.map(|id| decision_id(&id)).transpose()?,
        expires_at,
        ..hold
    })
}

fn decision_id(id: &[u8]) -> Result<DecisionId, StoreError> {
    let uuid = uuid::Uuid::from_slice(id).map_err(|error| corrupt("a decision's id", error))?;
    let parsed = uuid.to_string().parse();
    parsed.map_err(|error| corrupt("a decision's id", error))
}

/// Supersedes what the hold replaces, if that can still be used.
async fn supersede(writer: &mut Writer, hold: &Hold) -> Result<(), sqlx::Error> {
    let Some(old) = hold.replaces else {
        return Ok(());
    };
    let ended = Ended {
        how: End::Superseded,
        by: None,
        at: hold.created_at,
    };
    let ended = serde_json::to_string(&ended).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sql(
        "UPDATE holds SET status = 'superseded', ended = ?, version = version + 1 \
         WHERE id = ? AND status IN ('waiting', 'approved')",
    )
    .bind(ended)
    .bind(old.uuid().as_bytes().as_slice())
    .execute(&mut writer.connection)
    .await
    .map(|_| ())
}

/// Ends the hold of an operation that is taken back: nobody needs to answer any more.
pub(crate) async fn let_go(
    connection: &mut Connection,
    hold: &[u8],
    because: &Move,
) -> Result<(), sqlx::Error> {
    let ended = Ended {
        how: End::Cancelled,
        by: Some(because.by.0.to_string()),
        at: because.at,
    };
    let ended = serde_json::to_string(&ended).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sql(
        "UPDATE holds SET status = 'cancelled', ended = ?, version = version + 1 \
         WHERE id = ? AND status = 'waiting'",
    )
    .bind(plain(&ended).into_owned())
    .bind(hold.to_vec())
    .execute(connection)
    .await
    .map(|_| ())
}

/// Stores a hold, inside a step's transaction; what it replaces is superseded.
pub(crate) async fn insert(writer: &mut Writer, hold: &Hold) -> Result<(), sqlx::Error> {
    supersede(writer, hold).await?;
    let body = serde_json::to_string(hold).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sql(
        "INSERT INTO holds (id, connection, actor, record_id, decision, request, status, \
         created_at, expires_at, requests, queued, body) \
         VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?, ?, ?, ?, ?)",
    )
    .bind(hold.id.uuid().as_bytes().as_slice())
    .bind(hold.connection.as_str())
    .bind(plain(&hold.operation.actor.id))
    .bind(hold.operation.record_id.as_deref().map(plain))
    .bind(hold.decision.uuid().as_bytes().as_slice())
    .bind(hold.request_key())
    .bind(nanoseconds(hold.created_at))
    .bind(nanoseconds(hold.expires_at))
    .bind(i64::try_from(hold.requests).unwrap_or(i64::MAX))
    .bind(hold.queued.map(|id| id.uuid().as_bytes().to_vec()))
    .bind(plain(&body))
    .execute(&mut writer.connection)
    .await
    .map(|_| ())
}

#[async_trait]
impl Step for Take {
    async fn run(&mut self, writer: &mut Writer) -> Result<(), sqlx::Error> {
        let found = self.store_or_join(writer).await?;
        if let (Ok(hold), Some(record)) = (&found, self.record.clone()) {
            let record = DecisionRecord {
                hold: Some(hold.id),
                ..record
            };
            match DecisionRow::new(&record, self.ambient.as_ref()) {
                Ok(row) => batch::append(writer, &row).await?,
                Err(error) => {
                    self.in_force = Some(Err(error));
                    return Ok(());
                }
            }
        }
        self.in_force = Some(found);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let Self {
            in_force, reply, ..
        } = *self;
        let nothing = || StoreError::Unavailable("the hold was not stored".to_owned());
        let _ = reply.send(result.and_then(|()| in_force.ok_or_else(nothing)?));
    }
}

impl Take {
    async fn store_or_join(
        &self,
        writer: &mut Writer,
    ) -> Result<Result<Hold, StoreError>, sqlx::Error> {
        supersede(writer, &self.hold).await?;
        if let Some(row) = join(writer, &self.request, self.hold.created_at).await? {
            return Ok(stored(&row));
        }
        insert(writer, &self.hold).await?;
        Ok(Ok(self.hold.clone()))
    }
}

/// Joins the waiting hold of an equal request, inside a step's transaction; one past its end is
/// expired. One that was agreed to and is carried out by the gate is joined until that has ended.
pub(crate) async fn join(
    writer: &mut Writer,
    request: &str,
    now: Timestamp,
) -> Result<Option<Row>, sqlx::Error> {
    sql(
        "UPDATE holds SET status = 'expired', version = version + 1 \
         WHERE request = ? AND status = 'waiting' AND expires_at <= ?",
    )
    .bind(request)
    .bind(nanoseconds(now))
    .execute(&mut writer.connection)
    .await?;
    sql(
        "UPDATE holds SET requests = requests + 1, version = version + 1 \
         WHERE request = ? AND (status = 'waiting' OR (status = 'approved' AND EXISTS \
         (SELECT 1 FROM operations o WHERE o.id = holds.queued AND o.hold = holds.id \
         AND o.ended_at IS NULL))) \
         RETURNING seq, status, requests, body, version, ended, spent_by, expires_at",
    )
    .bind(request)
    .fetch_optional(&mut writer.connection)
    .await
}

impl Store {
    async fn take(&self, hold: Hold, record: Option<DecisionRecord>) -> Result<Hold, StoreError> {
        if let Some(record) = &record {
            // What cannot be written must not leave a hold behind.
            DecisionRow::new(record, self.ambient())?;
        }
        let step = |reply| Take {
            request: hold.request_key(),
            ambient: self.shared_ambient(),
            hold,
            record,
            in_force: None,
            reply,
        };
        let queue = self.queue();
        queue
            .ask(|reply| Command::Other(Box::new(step(reply))))
            .await
    }
}

#[async_trait]
impl HoldLog for Store {
    async fn hold(&self, hold: Hold) -> Result<Hold, StoreError> {
        self.take(hold, None).await
    }

    async fn hold_decided(&self, hold: Hold, record: DecisionRecord) -> Result<Hold, StoreError> {
        self.take(hold, Some(record)).await
    }

    async fn held(&self, id: HoldId) -> Result<Option<Hold>, StoreError> {
        let row = within(
            sql(
                "SELECT seq, status, requests, body, version, ended, spent_by, expires_at \
                 FROM holds WHERE id = ?",
            )
            .bind(id.uuid().as_bytes().as_slice())
            .fetch_optional(self.reader()),
        )
        .await?;
        row.as_ref().map(stored).transpose()
    }

    async fn last_asked(&self, request_key: &str) -> Result<Option<Hold>, StoreError> {
        let row = within(
            sql(
                "SELECT seq, status, requests, body, version, ended, spent_by, expires_at \
                 FROM holds WHERE request = ? ORDER BY seq DESC LIMIT 1",
            )
            .bind(request_key)
            .fetch_optional(self.reader()),
        )
        .await?;
        row.as_ref().map(stored).transpose()
    }

    async fn holds_waiting(
        &self,
        now: Timestamp,
    ) -> Result<BTreeMap<ConnectionName, u64>, StoreError> {
        let rows = within(
            sql("SELECT connection, count(*) FROM holds \
             WHERE status = 'waiting' AND expires_at > ? GROUP BY connection")
            .bind(nanoseconds(now))
            .fetch_all(self.reader()),
        )
        .await?;
        let counted = rows.iter().filter_map(|row| {
            let name = row.get::<&str, _>(0).parse().ok()?;
            Some((name, row.get::<i64, _>(1).unsigned_abs()))
        });
        Ok(counted.collect())
    }

    async fn holds_waiting_since(
        &self,
        now: Timestamp,
    ) -> Result<BTreeMap<ConnectionName, Timestamp>, StoreError> {
        let rows = within(
            sql("SELECT connection, min(created_at) FROM holds \
                 WHERE status = 'waiting' AND expires_at > ? GROUP BY connection")
            .bind(nanoseconds(now))
            .fetch_all(self.reader()),
        )
        .await?;
        let since = rows.iter().filter_map(|row| {
            let name = row.get::<&str, _>(0).parse().ok()?;
            Some((name, timestamp(row.get(1)).ok()?))
        });
        Ok(since.collect())
    }

    async fn holds(
        &self,
        filter: &HoldFilter,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<Hold>, StoreError> {
        let mut query = QueryBuilder::<Db>::new(COLUMNS);
        query.push(" WHERE seq < ").push_bind(below(CURSOR, from)?);
        if let Some(name) = &filter.connection {
            query.push(" AND connection = ").push_bind(name.to_string());
        }
        if let Some(actor) = &filter.actor {
            query
                .push(" AND actor = ")
                .push_bind(plain(actor).into_owned());
        }
        if !filter.statuses.is_empty() {
            query.push(" AND status IN (");
            let mut list = query.separated(",");
            for status in &filter.statuses {
                list.push_bind(status.as_str());
            }
            query.push(")");
        }
        if let Some(names) = &filter.visible {
            in_list(&mut query, " AND connection", names);
        }
        let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        query.push(" ORDER BY seq DESC LIMIT ").push_bind(most);
        let mut rows = within(query.build().fetch_all(self.reader())).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more).map(|row| row.get::<i64, _>(0));
        Ok(Page {
            items: rows.iter().map(stored).collect::<Result<_, _>>()?,
            next: last.map(|seq| cursor(CURSOR, seq)),
        })
    }
}
