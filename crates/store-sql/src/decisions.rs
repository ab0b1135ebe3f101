//! The record of decisions.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use crmgate_domain::{
    ConnectionName, Decision, DecisionId, HoldId, Judgement, Mode, Operation, OperationId,
    PayloadHash, Timestamp,
};
use crmgate_store::{
    Basis, DecisionFilter, DecisionLog, DecisionRecord, Outcome, Page, ReadBack, StoreError,
    StoredDecision,
};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, QueryBuilder, Row as _, Sqlite};

use crate::convert::{below, cursor, nanoseconds, read, write};
use crate::error::unavailable;
use crate::open::SqliteStore;
use crate::writer::{Command, Writer};

/// The kind of this listing's cursors.
const CURSOR: char = 'd';
/// Most rows of one `INSERT`.
const MOST_ROWS: usize = 32;

/// What a row holds beside its columns: the record without its read-back, which must not outlive
/// the outcome.
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    operation: Option<std::borrow::Cow<'a, Operation>>,
    connection: ConnectionName,
    id: DecisionId,
    operation_id: OperationId,
    at: Timestamp,
    mode: Mode,
    judgement: std::borrow::Cow<'a, Judgement>,
    input_hash: Option<PayloadHash>,
    payload_hash: Option<PayloadHash>,
    basis: Option<Basis>,
    changed: Vec<String>,
    hold: Option<HoldId>,
    opaque: Option<String>,
    round: u32,
}

/// A decision, ready to be inserted.
pub(crate) struct DecisionRow {
    id: [u8; 16],
    at: i64,
    connection: String,
    object: Option<String>,
    record_id: Option<String>,
    actor: Option<String>,
    effect: &'static str,
    packages: String,
    reasons: Vec<String>,
    body: String,
    read_back: Option<(String, String)>,
}

impl DecisionRow {
    pub(crate) fn new(record: &DecisionRecord) -> Result<Self, StoreError> {
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
        let read_back = record.read_back.as_ref().map(|read_back| {
            let key = read_back.join_key.to_hex();
            write("a read-back", read_back).map(|body| (key, body))
        });
        let operation = record.operation.as_ref();
        Ok(Self {
            id: *record.decision.id.uuid().as_bytes(),
            at: nanoseconds(record.decision.at),
            connection: record.connection.to_string(),
            object: operation.map(|op| op.object.clone()),
            record_id: operation.and_then(|op| op.record_id.clone()),
            actor: operation.map(|op| op.actor.id.clone()),
            effect: judgement.effect.as_str(),
            packages: write("packages", &packages)?,
            reasons,
            read_back: read_back.transpose()?,
            body: write("a decision", &Body::of(record))?,
        })
    }
}

impl<'a> Body<'a> {
    fn of(record: &'a DecisionRecord) -> Self {
        use std::borrow::Cow;
        Self {
            operation: record.operation.as_ref().map(Cow::Borrowed),
            connection: record.connection.clone(),
            id: record.decision.id,
            operation_id: record.decision.operation,
            at: record.decision.at,
            mode: record.decision.mode,
            judgement: Cow::Borrowed(&record.decision.judgement),
            input_hash: record.input_hash,
            payload_hash: record.payload_hash,
            basis: record.basis,
            changed: record.changed.clone(),
            hold: record.hold,
            opaque: record.opaque.clone(),
            round: record.round,
        }
    }

    fn into_record(self, read_back: Option<ReadBack>) -> DecisionRecord {
        DecisionRecord {
            operation: self.operation.map(std::borrow::Cow::into_owned),
            connection: self.connection,
            decision: Decision {
                id: self.id,
                operation: self.operation_id,
                at: self.at,
                mode: self.mode,
                judgement: self.judgement.into_owned(),
            },
            input_hash: self.input_hash,
            payload_hash: self.payload_hash,
            basis: self.basis,
            changed: self.changed,
            hold: self.hold,
            opaque: self.opaque,
            read_back,
            round: self.round,
            payload: crmgate_store::Payload::default(),
            trace: None,
            metrics: std::collections::BTreeMap::new(),
        }
    }
}

/// `INSERT` statements for 1, 2, 4, … rows: few texts, so that each stays prepared.
struct Insert(Vec<Arc<str>>);

impl Insert {
    fn new(head: &str, columns: usize) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        let sizes = std::iter::successors(Some(1), |size| Some(size * 2));
        let texts = sizes
            .take_while(|size| *size <= MOST_ROWS)
            .map(|size| format!("{head} VALUES {}", vec![row.as_str(); size].join(",")).into());
        Self(texts.collect())
    }

    /// The largest statement for at most that many rows, and its rows.
    fn fitting(&self, rows: usize) -> Option<(usize, Arc<str>)> {
        let power = usize::try_from(rows.checked_ilog2()?).ok()?;
        let power = power.min(self.0.len().saturating_sub(1));
        Some((1 << power, Arc::clone(self.0.get(power)?)))
    }
}

static DECISIONS: LazyLock<Insert> = LazyLock::new(|| {
    let head = "INSERT INTO decisions (seq, id, at, connection, object, record_id, actor, effect, \
                package_set, body)";
    Insert::new(head, 10)
});
static READ_BACKS: LazyLock<Insert> = LazyLock::new(|| {
    let head = "INSERT INTO read_backs (decision, at, connection, join_key, body)";
    Insert::new(head, 5)
});

/// Inserts decisions; numbers go up by one from the writer's last.
pub(crate) async fn insert(writer: &mut Writer, rows: &[&DecisionRow]) -> Result<(), sqlx::Error> {
    let mut numbered = Vec::with_capacity(rows.len());
    for row in rows {
        writer.last_decision += 1;
        numbered.push((
            writer.last_decision,
            package_set(writer, &row.packages).await?,
            *row,
        ));
    }
    let mut left = numbered.as_slice();
    while let Some((size, sql)) = DECISIONS.fitting(left.len()) {
        let (now, later) = left.split_at(size);
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (seq, set, row) in now {
            query = query
                .bind(*seq)
                .bind(row.id.as_slice())
                .bind(row.at)
                .bind(row.connection.as_str())
                .bind(row.object.as_deref())
                .bind(row.record_id.as_deref())
                .bind(row.actor.as_deref())
                .bind(row.effect)
                .bind(*set)
                .bind(row.body.as_str());
        }
        query.execute(&mut writer.connection).await?;
        left = later;
    }
    for (seq, _, row) in &numbered {
        for code in &row.reasons {
            sqlx::query("INSERT INTO decision_reasons (code, decision) VALUES (?, ?)")
                .bind(code)
                .bind(*seq)
                .execute(&mut writer.connection)
                .await?;
        }
    }
    insert_read_backs(writer, rows).await
}

async fn insert_read_backs(writer: &mut Writer, rows: &[&DecisionRow]) -> Result<(), sqlx::Error> {
    let found: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row, row.read_back.as_ref()?)))
        .collect();
    let mut left = found.as_slice();
    while let Some((size, sql)) = READ_BACKS.fitting(left.len()) {
        let (now, later) = left.split_at(size);
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (row, (key, body)) in now {
            query = query
                .bind(row.id.as_slice())
                .bind(row.at)
                .bind(row.connection.as_str())
                .bind(key.as_str())
                .bind(body.as_str());
        }
        query.execute(&mut writer.connection).await?;
        left = later;
    }
    Ok(())
}

async fn package_set(writer: &mut Writer, names: &str) -> Result<i64, sqlx::Error> {
    if let Some(known) = writer.sets.get(names) {
        return Ok(*known);
    }
    let found: Option<i64> = sqlx::query_scalar("SELECT id FROM package_sets WHERE names = ?")
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
    let id = sqlx::query("INSERT INTO package_sets (names) VALUES (?)")
        .bind(names)
        .execute(&mut writer.connection)
        .await?
        .last_insert_rowid();
    sqlx::query(
        "INSERT INTO package_set_members (package, package_set) SELECT value, ? FROM json_each(?)",
    )
    .bind(id)
    .bind(names)
    .execute(&mut writer.connection)
    .await?;
    Ok(id)
}

#[async_trait]
impl DecisionLog for SqliteStore {
    async fn append_decision(&self, record: DecisionRecord) -> Result<u64, StoreError> {
        let row = Box::new(DecisionRow::new(&record)?);
        self.queue()
            .ask(|reply| Command::Decision(row, reply))
            .await
    }

    async fn decision(&self, id: DecisionId) -> Result<Option<StoredDecision>, StoreError> {
        let row = sqlx::query("SELECT seq, id, body FROM decisions WHERE id = ?")
            .bind(id.uuid().as_bytes().as_slice())
            .fetch_optional(self.reader())
            .await
            .map_err(|error| unavailable(&error))?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(self.complete(&[row]).await?.pop())
    }

    async fn decisions(
        &self,
        filter: &DecisionFilter,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<StoredDecision>, StoreError> {
        let mut query = select(filter, below(CURSOR, from)?, limit);
        let mut rows = query
            .build()
            .fetch_all(self.reader())
            .await
            .map_err(|error| unavailable(&error))?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more).map(|row| row.get::<i64, _>(0));
        Ok(Page {
            items: self.complete(&rows).await?,
            next: last.map(|seq| cursor(CURSOR, seq)),
        })
    }
}

fn select(filter: &DecisionFilter, below: i64, limit: usize) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT seq, id, body FROM decisions WHERE seq < ");
    query.push_bind(below);
    let connection = filter.connection.as_ref().map(ToString::to_string);
    let effect = filter.effect.map(|effect| effect.as_str().to_owned());
    for (column, value) in [
        (" AND connection = ", connection),
        (" AND object = ", filter.object.clone()),
        (" AND record_id = ", filter.record_id.clone()),
        (" AND actor = ", filter.actor.clone()),
        (" AND effect = ", effect),
    ] {
        if let Some(value) = value {
            query.push(column).push_bind(value);
        }
    }
    if let Some(package) = &filter.package {
        query
            .push(
                " AND package_set IN (SELECT package_set FROM package_set_members WHERE package = ",
            )
            .push_bind(package.clone())
            .push(")");
    }
    if let Some(code) = &filter.reason {
        query
            .push(" AND seq IN (SELECT decision FROM decision_reasons WHERE code = ")
            .push_bind(code.clone())
            .push(")");
    }
    if let Some(since) = filter.since {
        query.push(" AND at >= ").push_bind(nanoseconds(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND at < ").push_bind(nanoseconds(until));
    }
    if let Some(names) = &filter.visible {
        in_list(&mut query, " AND connection IN (", names);
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    query.push(" ORDER BY seq DESC LIMIT ").push_bind(limit);
    query
}

/// An `IN` list of names; an empty one matches nothing.
pub(crate) fn in_list(
    query: &mut QueryBuilder<Sqlite>,
    head: &'static str,
    names: &[ConnectionName],
) {
    query.push(head);
    let mut list = query.separated(",");
    for name in names {
        list.push_bind(name.to_string());
    }
    query.push(")");
}

impl SqliteStore {
    /// Puts outcomes and read-backs beside the decisions of some rows.
    async fn complete(&self, rows: &[SqliteRow]) -> Result<Vec<StoredDecision>, StoreError> {
        let mut outcomes: HashMap<Vec<u8>, Outcome> = HashMap::new();
        for (id, body) in self
            .beside("SELECT decision, body FROM outcomes", rows)
            .await?
        {
            outcomes.insert(id, read("an outcome", &body)?);
        }
        let mut read_backs: HashMap<Vec<u8>, ReadBack> = HashMap::new();
        for (id, body) in self
            .beside("SELECT decision, body FROM read_backs", rows)
            .await?
        {
            read_backs.insert(id, read("a read-back", &body)?);
        }
        rows.iter()
            .map(|row| {
                let id: Vec<u8> = row.get(1);
                let body: Body<'_> = read("a decision", row.get(2))?;
                Ok(StoredDecision {
                    sequence: row.get::<i64, _>(0).unsigned_abs(),
                    record: body.into_record(read_backs.remove(&id)),
                    outcome: outcomes.remove(&id),
                    chained: None,
                })
            })
            .collect()
    }

    /// Rows of another table for the decisions of some rows, oldest first.
    async fn beside(
        &self,
        head: &'static str,
        rows: &[SqliteRow],
    ) -> Result<Vec<(Vec<u8>, String)>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(head);
        query.push(" WHERE decision IN (");
        let mut list = query.separated(",");
        for row in rows {
            list.push_bind(row.get::<Vec<u8>, _>(1));
        }
        query.push(")");
        if head.ends_with("outcomes") {
            query.push(" ORDER BY seq");
        }
        let found = query.build().fetch_all(self.reader()).await;
        let found = found.map_err(|error| unavailable(&error))?;
        Ok(found.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}
