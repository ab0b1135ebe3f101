//! What came of writes.

use async_trait::async_trait;
use crmgate_domain::{ConnectionName, PayloadHash, Point, Timestamp};
use crmgate_store::chain::Draft;
use crmgate_store::{AttemptLog, EntryKind, GONE_AFTER, Outcome, StoreError, Unfinished};
use sqlx::{QueryBuilder, Row as _};

use super::writer::Command;
use super::{ALONE, Db, Row, Store, within};
use crate::convert::{nanoseconds, read, timestamp, write};
use crate::error::corrupt;

/// An outcome, ready to be inserted.
pub(crate) struct OutcomeRow {
    pub(crate) draft: Draft,
    pub(crate) decision: [u8; 16],
    pub(crate) kind: &'static str,
    /// The written record, where it is known.
    pub(crate) record_id: Option<String>,
    pub(crate) ends: bool,
}

impl OutcomeRow {
    pub(crate) fn new(outcome: &Outcome) -> Result<Self, StoreError> {
        let body = write("an outcome", outcome)?;
        Ok(Self {
            draft: Draft::new(EntryKind::Outcome, outcome.at, body, None),
            decision: *outcome.decision.uuid().as_bytes(),
            kind: outcome.kind.as_str(),
            record_id: outcome.record_id.clone(),
            ends: outcome.kind.is_final(),
        })
    }
}

/// An open write with the id of its decision.
const SELECT: &str = "SELECT d.id, r.at, r.connection, r.body \
                      FROM read_backs r JOIN decisions d ON d.seq = r.seq ";

fn unfinished(row: &Row) -> Result<Unfinished, StoreError> {
    let id: Vec<u8> = row.get(0);
    let uuid = uuid::Uuid::from_slice(&id).map_err(|error| corrupt("a decision's id", error))?;
    let decision = uuid.to_string().parse();
    let connection: String = row.get(2);
    Ok(Unfinished {
        decision: decision.map_err(|error| corrupt("a decision's id", error))?,
        connection: connection
            .parse()
            .map_err(|error| corrupt("a connection", error))?,
        at: timestamp(row.get(1))?,
        read_back: read("a read-back", row.get(3))?,
    })
}

#[async_trait]
impl AttemptLog for Store {
    async fn append_outcome(&self, outcome: Outcome) -> Result<(), StoreError> {
        let row = Box::new(OutcomeRow::new(&outcome)?);
        let ends = row.ends.then_some(row.decision);
        self.queue()
            .ask(|reply| Command::Outcome(row, reply))
            .await?;
        if let Some(decision) = ends {
            self.open_writes().end(&decision);
        }
        Ok(())
    }

    async fn unfinished(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Unfinished>, StoreError> {
        let mut query = QueryBuilder::<Db>::new(SELECT);
        query.push("WHERE r.at < ").push_bind(nanoseconds(before));
        query
            .push(" AND r.point <> ")
            .push_bind(Point::Queue.as_str());
        if !ALONE {
            query
                .push(" AND (r.owner = ")
                .push_bind(self.owner().uuid().as_bytes().to_vec())
                .push(
                    " OR NOT EXISTS (SELECT 1 FROM processes p WHERE p.id = r.owner \
                     AND p.beat_at >= ",
                )
                .push_bind(nanoseconds(before - GONE_AFTER))
                .push("))");
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        query.push(" ORDER BY r.seq LIMIT ").push_bind(limit);
        let rows = within(query.build().fetch_all(self.reader())).await?;
        rows.iter().map(unfinished).collect()
    }

    async fn unfinished_twin(
        &self,
        connection: &ConnectionName,
        join_key: PayloadHash,
        since: Timestamp,
    ) -> Result<Option<Unfinished>, StoreError> {
        if !self.open_writes().may_hold(join_key.bytes()) {
            return Ok(None);
        }
        let mut query = QueryBuilder::<Db>::new(SELECT);
        query
            .push("WHERE r.join_key = ")
            .push_bind(join_key.bytes().to_vec())
            .push(" AND r.at >= ")
            .push_bind(nanoseconds(since))
            .push(" AND r.connection = ")
            .push_bind(connection.to_string())
            .push(" ORDER BY r.at DESC LIMIT 1");
        let row = within(query.build().fetch_optional(self.reader())).await?;
        row.as_ref().map(unfinished).transpose()
    }
}
