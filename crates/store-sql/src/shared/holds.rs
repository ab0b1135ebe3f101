//! Held operations.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use crmgate_domain::{Ambient, ConnectionName, HoldId, PayloadHash, Timestamp};
use crmgate_store::{DecisionRecord, Hold, HoldFilter, HoldLog, HoldStatus, Page, StoreError};
use sqlx::{QueryBuilder, Row as _};

use super::batch;
use super::decisions::{DecisionRow, in_list};
use super::writer::{Command, Reply, Step, Writer};
use super::{Db, Row, Store, plain, sql, within};
use crate::convert::{below, cursor, nanoseconds, read, write};

/// The kind of this listing's cursors.
const CURSOR: char = 'h';
const COLUMNS: &str = "SELECT seq, status, requests, body FROM holds";

/// A hold to store or join, with the decision that made it.
struct Take {
    hold: Hold,
    request: String,
    ambient: Arc<dyn Ambient>,
    record: Option<DecisionRecord>,
    in_force: Option<Result<Hold, StoreError>>,
    reply: Reply<Hold>,
}

/// Connection, actor, object, record and payload: what makes requests equal.
fn request(hold: &Hold) -> String {
    let operation = &hold.operation;
    PayloadHash::of(&[
        hold.connection.as_str().as_bytes(),
        operation.actor.id.as_bytes(),
        operation.native_object.as_bytes(),
        operation
            .record_id
            .as_deref()
            .unwrap_or_default()
            .as_bytes(),
        hold.payload_hash.to_hex().as_bytes(),
    ])
    .to_hex()
}

fn stored(row: &Row) -> Result<Hold, StoreError> {
    let hold: Hold = read("a hold", row.get(3))?;
    let status = match row.get::<&str, _>(1) {
        "waiting" => HoldStatus::Waiting,
        _ => HoldStatus::Expired,
    };
    Ok(Hold {
        status,
        requests: row.get::<i64, _>(2).unsigned_abs(),
        ..hold
    })
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
        let now = nanoseconds(self.hold.created_at);
        sql("UPDATE holds SET status = 'expired' \
             WHERE request = ? AND status = 'waiting' AND expires_at <= ?")
        .bind(self.request.as_str())
        .bind(now)
        .execute(&mut writer.connection)
        .await?;
        let joined = sql(
            "UPDATE holds SET requests = requests + 1 WHERE request = ? AND status = 'waiting' \
             RETURNING seq, status, requests, body",
        )
        .bind(self.request.as_str())
        .fetch_optional(&mut writer.connection)
        .await?;
        if let Some(row) = joined {
            return Ok(stored(&row));
        }
        let body = match write("a hold", &self.hold) {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        sql(
            "INSERT INTO holds (id, connection, actor, record_id, decision, request, status, \
             created_at, expires_at, requests, body) \
             VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?, ?, ?, ?)",
        )
        .bind(self.hold.id.uuid().as_bytes().as_slice())
        .bind(self.hold.connection.as_str())
        .bind(plain(&self.hold.operation.actor.id))
        .bind(self.hold.operation.record_id.as_deref().map(plain))
        .bind(self.hold.decision.uuid().as_bytes().as_slice())
        .bind(self.request.as_str())
        .bind(now)
        .bind(nanoseconds(self.hold.expires_at))
        .bind(i64::try_from(self.hold.requests).unwrap_or(i64::MAX))
        .bind(body)
        .execute(&mut writer.connection)
        .await?;
        Ok(Ok(self.hold.clone()))
    }
}

impl Store {
    async fn take(&self, hold: Hold, record: Option<DecisionRecord>) -> Result<Hold, StoreError> {
        if let Some(record) = &record {
            // What cannot be written must not leave a hold behind.
            DecisionRow::new(record, self.ambient())?;
        }
        let step = |reply| Take {
            request: request(&hold),
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
            sql("SELECT seq, status, requests, body FROM holds WHERE id = ?")
                .bind(id.uuid().as_bytes().as_slice())
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
        if let Some(names) = &filter.visible {
            in_list(&mut query, " AND connection IN (", names);
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
