//! The record of decisions.

use async_trait::async_trait;
use crmgate_domain::{Ambient, ConnectionName, DecisionId, Point};
use crmgate_store::chain::Draft;
use crmgate_store::{
    DecisionFilter, DecisionLog, DecisionRecord, Digest, EntryKind, Page, PayloadState,
    SealedPayload, StoreError, StoredDecision, envelope,
};
use sqlx::{QueryBuilder, Row as _};

use super::ledger::chained;
use super::writer::{Command, Writer};
use super::{Db, Row, Store, plain, scalar, sql, within};
use crate::convert::{below, cursor, nanoseconds, read, write};

/// The kind of this listing's cursors.
const CURSOR: char = 'd';
/// A decision with its payload, its newest outcome and its read-back.
const SELECT: &str = "SELECT l.seq, l.chain, l.link, l.hash, l.envelope, p.body, o.envelope, \
     r.body, l.seq <= (SELECT payloads FROM pruned) \
     FROM decisions d JOIN ledger l ON l.seq = d.seq LEFT JOIN payloads p ON p.seq = d.seq \
     LEFT JOIN ledger o ON o.seq = d.outcome_seq LEFT JOIN read_backs r ON r.seq = d.seq ";

/// A decision, ready to be inserted.
pub(crate) struct DecisionRow {
    pub(crate) draft: Draft,
    pub(crate) id: [u8; 16],
    pub(crate) at: i64,
    pub(crate) connection: String,
    pub(crate) object: Option<String>,
    pub(crate) record_id: Option<String>,
    pub(crate) actor: Option<String>,
    pub(crate) effect: &'static str,
    pub(crate) mode: &'static str,
    pub(crate) packages: String,
    pub(crate) reasons: Vec<String>,
    pub(crate) read_back: Option<ReadBackRow>,
}

/// How to find out later what came of it.
pub(crate) struct ReadBackRow {
    pub(crate) key: Vec<u8>,
    pub(crate) body: String,
    pub(crate) point: &'static str,
}

impl DecisionRow {
    pub(crate) fn new(record: &DecisionRecord, ambient: &dyn Ambient) -> Result<Self, StoreError> {
        let judgement = &record.decision.judgement;
        let mut packages: Vec<&str> = judgement
            .packages
            .iter()
            .map(|p| p.package.as_str())
            .collect();
        packages.sort_unstable();
        packages.dedup();
        let mut reasons: Vec<String> = judgement.reasons.iter().map(|r| r.code.clone()).collect();
        reasons.sort_unstable();
        reasons.dedup();
        let operation = record.operation.as_ref();
        let point = operation.map_or(Point::Gateway, |op| op.point).as_str();
        let read_back = record.read_back.as_ref().map(|read_back| {
            let key = read_back.join_key.bytes().to_vec();
            write("a read-back", read_back).map(|body| ReadBackRow { key, body, point })
        });
        Ok(Self {
            draft: draft(record, ambient)?,
            id: *record.decision.id.uuid().as_bytes(),
            at: nanoseconds(record.decision.at),
            connection: record.connection.to_string(),
            object: operation.map(|op| op.object.clone()),
            record_id: operation.and_then(|op| op.record_id.clone()),
            actor: operation
                .map(|op| op.actor.id.clone())
                .or_else(|| record.asked_by.clone()),
            effect: judgement.effect.as_str(),
            mode: record.decision.mode.as_str(),
            packages: write("packages", &packages)?,
            reasons,
            read_back: read_back.transpose()?,
        })
    }
}

fn draft(record: &DecisionRecord, ambient: &dyn Ambient) -> Result<Draft, StoreError> {
    let (envelope, body) = envelope::split(record)?;
    let mut key = Digest::default();
    let (head, tail) = key.0.split_at_mut(16);
    head.copy_from_slice(&ambient.random());
    tail.copy_from_slice(&ambient.random());
    let payload = SealedPayload { key, body };
    let at = record.decision.at;
    Ok(Draft::new(EntryKind::Decision, at, envelope, Some(payload)))
}

/// The number of a set of packages, inside a transaction.
pub(crate) async fn package_set(writer: &mut Writer, names: &str) -> Result<i64, sqlx::Error> {
    if let Some(known) = writer.sets.get(names) {
        return Ok(*known);
    }
    let found: Option<i64> = scalar("SELECT id FROM package_sets WHERE names = ?")
        .bind(names)
        .fetch_optional(&mut writer.connection)
        .await?;
    let id = if let Some(id) = found {
        id
    } else {
        new_package_set(writer, names).await?
    };
    writer.sets.insert(names.to_owned(), id);
    Ok(id)
}

async fn new_package_set(writer: &mut Writer, names: &str) -> Result<i64, sqlx::Error> {
    let id: i64 = scalar("INSERT INTO package_sets (names) VALUES (?) RETURNING id")
        .bind(names)
        .fetch_one(&mut writer.connection)
        .await?;
    let members: Vec<String> =
        serde_json::from_str(names).map_err(|error| sqlx::Error::Decode(error.into()))?;
    for member in members {
        sql("INSERT INTO package_set_members (package, package_set) VALUES (?, ?)")
            .bind(member)
            .bind(id)
            .execute(&mut writer.connection)
            .await?;
    }
    Ok(id)
}

#[async_trait]
impl DecisionLog for Store {
    async fn append_decision(&self, record: DecisionRecord) -> Result<u64, StoreError> {
        let row = Box::new(DecisionRow::new(&record, self.ambient())?);
        if let Some(read_back) = &record.read_back {
            let id = *record.decision.id.uuid().as_bytes();
            self.open_writes().begin(id, *read_back.join_key.bytes());
        }
        self.queue()
            .ask(|reply| Command::Decision(row, reply))
            .await
    }

    async fn decision(&self, id: DecisionId) -> Result<Option<StoredDecision>, StoreError> {
        let mut query = QueryBuilder::<Db>::new(SELECT);
        query
            .push("WHERE d.id = ")
            .push_bind(id.uuid().as_bytes().to_vec());
        let row = within(query.build().fetch_optional(self.reader())).await?;
        row.as_ref().map(stored).transpose()
    }

    async fn decisions(
        &self,
        filter: &DecisionFilter,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<StoredDecision>, StoreError> {
        let mut query = select(filter, below(CURSOR, from)?, limit);
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

fn stored(row: &Row) -> Result<StoredDecision, StoreError> {
    let outcome: Option<&str> = row.get(6);
    let read_back: Option<&str> = row.get(7);
    let record = record(row.get(4), row.get(5), row.get(8))?;
    Ok(StoredDecision {
        sequence: row.get::<i64, _>(0).unsigned_abs(),
        record: DecisionRecord {
            read_back: read_back
                .map(|text| read("a read-back", text))
                .transpose()?,
            ..record
        },
        outcome: outcome.map(|text| read("an outcome", text)).transpose()?,
        chained: Some(chained(row)?),
    })
}

/// A decision without its read-back.
pub(crate) fn record(
    envelope: &str,
    payload: Option<&str>,
    pruned: bool,
) -> Result<DecisionRecord, StoreError> {
    let gone = if pruned {
        PayloadState::Expired
    } else {
        PayloadState::Erased
    };
    envelope::join(envelope, payload, gone)
}

fn select(filter: &DecisionFilter, below: i64, limit: usize) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new(SELECT);
    query.push("WHERE d.seq < ").push_bind(below);
    narrow(&mut query, filter);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    query.push(" ORDER BY d.seq DESC LIMIT ").push_bind(limit);
    query
}

fn narrow(query: &mut QueryBuilder<Db>, filter: &DecisionFilter) {
    let word = |word: &str| Some(word.to_owned());
    for (column, value) in [
        (
            " AND d.connection = ",
            filter.connection.as_ref().map(ToString::to_string),
        ),
        (" AND d.object = ", filter.object.clone()),
        (" AND d.record_id = ", filter.record_id.clone()),
        (" AND d.actor = ", filter.actor.clone()),
        (
            " AND d.effect = ",
            filter.effect.and_then(|effect| word(effect.as_str())),
        ),
        (
            " AND d.mode = ",
            filter.mode.and_then(|mode| word(mode.as_str())),
        ),
        (
            " AND d.outcome = ",
            filter.outcome.and_then(|kind| word(kind.as_str())),
        ),
    ] {
        if let Some(value) = value {
            query.push(column).push_bind(plain(&value).into_owned());
        }
    }
    for (head, value) in [
        (
            " AND d.package_set IN (SELECT package_set FROM package_set_members WHERE package = ",
            &filter.package,
        ),
        (
            " AND d.seq IN (SELECT decision FROM decision_reasons WHERE code = ",
            &filter.reason,
        ),
    ] {
        if let Some(value) = value {
            query.push(head).push_bind(value.clone()).push(")");
        }
    }
    for (head, bound) in [
        (" AND d.at >= ", filter.since.map(nanoseconds)),
        (" AND d.at < ", filter.until.map(nanoseconds)),
        (" AND d.seq > ", filter.after.map(u64::cast_signed)),
        (" AND d.seq < ", filter.before.map(u64::cast_signed)),
    ] {
        if let Some(bound) = bound {
            query.push(head).push_bind(bound);
        }
    }
    if let Some(names) = &filter.visible {
        in_list(query, " AND d.connection", names);
    }
}

/// A list of names that a column must be in; an empty one matches nothing.
pub(crate) fn in_list(query: &mut QueryBuilder<Db>, column: &str, names: &[ConnectionName]) {
    query.push(column).push(" IN (");
    let mut list = query.separated(",");
    for name in names {
        list.push_bind(name.to_string());
    }
    if names.is_empty() {
        list.push("NULL");
    }
    query.push(")");
}
