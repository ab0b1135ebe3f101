//! The statements that append: one text per shape of a batch, all of it one call to the database.
//!
//! Batches are padded to powers of two with rows of nulls, which the statements leave out, so that
//! there are few texts and each stays prepared. Every call crosses to the database's thread and
//! back; that cost more than the statements themselves.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crmgate_domain::ProcessId;
use crmgate_store::SealedPayload;
use sqlx::AssertSqlSafe;

use super::places::{Part, PlacedDecision, PlacedOutcome, entry};
use super::writer::Writer;

/// Most decisions, and most outcomes, of one call.
const MOST: usize = 64;

/// Whether [`Part::run`] can be a whole transaction.
pub(crate) const BEGINS_AND_COMMITS: bool = true;

type Statement = super::Statement<'static>;

/// How many rows of each kind a text takes, and whether it is a whole transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Shape {
    decisions: usize,
    outcomes: usize,
    begins: bool,
    commits: bool,
}

/// The texts that were needed so far.
static TEXTS: LazyLock<Mutex<HashMap<Shape, Arc<str>>>> = LazyLock::new(Mutex::default);

impl Part<'_> {
    /// Appends all; with `alone`, in a transaction of its own.
    pub(crate) async fn run(&self, writer: &mut Writer, alone: bool) -> Result<(), sqlx::Error> {
        // An outcome may be of a decision in the same part: that one comes first.
        let before = self.decisions.len().div_ceil(MOST).saturating_sub(1);
        let calls = (before + self.outcomes.len().div_ceil(MOST)).max(before + 1);
        let mut decisions = self.decisions.chunks(MOST);
        let mut outcomes = self.outcomes.chunks(MOST);
        for call in 0..calls {
            let decisions = decisions.next().unwrap_or_default();
            let outcomes = if call < before {
                &[]
            } else {
                outcomes.next().unwrap_or_default()
            };
            let shape = Shape {
                decisions: padded(decisions.len()),
                outcomes: padded(outcomes.len()),
                begins: alone && call == 0,
                commits: alone && call + 1 == calls,
            };
            let text = shape.known();
            if text.is_empty() {
                continue;
            }
            let query = sqlx::query(AssertSqlSafe(text));
            let query = bind(query, shape, (decisions, outcomes), writer.owner);
            query.execute(&mut writer.connection).await?;
        }
        Ok(())
    }
}

const fn padded(rows: usize) -> usize {
    if rows == 0 {
        0
    } else {
        rows.next_power_of_two()
    }
}

impl Shape {
    /// The text, made once.
    fn known(self) -> Arc<str> {
        let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        let text = texts.entry(self).or_insert_with(|| self.text().into());
        Arc::clone(text)
    }

    fn text(self) -> String {
        let mut text = String::new();
        if self.begins {
            text.push_str("BEGIN IMMEDIATE;");
        }
        let entries = self.decisions + self.outcomes;
        insert(
            &mut text,
            "ledger (seq, chain, link, kind, at, envelope, commitment, hash)",
            8,
            entries,
        );
        insert(&mut text, "payloads (seq, key, body)", 3, self.decisions);
        let columns = "decisions (seq, id, at, connection, object, record_id, actor, effect, mode, \
                       package_set)";
        insert(&mut text, columns, 10, self.decisions);
        let columns = "read_backs (seq, at, connection, join_key, body, owner, point)";
        insert(&mut text, columns, 7, self.decisions);
        if self.decisions > 0 {
            text.push_str(
                "INSERT INTO decision_reasons (code, decision) \
                 SELECT value ->> 0, value ->> 1 FROM json_each(?);",
            );
        }
        if self.outcomes > 0 {
            text.push_str(&format!(
                "UPDATE decisions SET outcome = new.column2, outcome_seq = new.column3, \
                 record_id = coalesce(record_id, new.column4) \
                 FROM (VALUES {}) AS new WHERE decisions.id = new.column1;",
                rows(4, self.outcomes)
            ));
            text.push_str(&format!(
                "DELETE FROM read_backs WHERE seq IN (SELECT decisions.seq \
                 FROM (VALUES {}) AS ended CROSS JOIN decisions ON decisions.id = ended.column1);",
                rows(1, self.outcomes)
            ));
        }
        if self.commits {
            text.push_str("COMMIT;");
        }
        text
    }
}

fn rows(columns: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    vec![row.as_str(); rows].join(",")
}

fn insert(text: &mut String, into: &str, columns: usize, count: usize) {
    if count > 0 {
        text.push_str(&format!(
            "INSERT INTO {into} SELECT * FROM (VALUES {}) WHERE column1 IS NOT NULL;",
            rows(columns, count)
        ));
    }
}

fn bind(
    mut query: Statement,
    shape: Shape,
    (decisions, outcomes): (&[PlacedDecision<'_>], &[PlacedOutcome<'_>]),
    owner: ProcessId,
) -> Statement {
    let pad = shape.decisions - decisions.len();
    for decision in decisions {
        query = entry(query, decision.seq, decision.place, &decision.row.draft);
    }
    for outcome in outcomes {
        query = entry(query, outcome.seq, outcome.place, &outcome.row.draft);
    }
    query = nulls(query, 8 * (pad + shape.outcomes - outcomes.len()));
    for decision in decisions {
        query = payload(query, decision.seq, decision.row.draft.payload());
    }
    query = nulls(query, 3 * pad);
    for decision in decisions {
        query = decision.bind(query);
    }
    query = nulls(query, 10 * pad);
    for decision in decisions {
        query = decision.bind_read_back(query, owner);
    }
    query = nulls(query, 7 * pad);
    if shape.decisions > 0 {
        query = query.bind(reasons(decisions));
    }
    bind_outcomes(query, shape, outcomes)
}

fn bind_outcomes(mut query: Statement, shape: Shape, outcomes: &[PlacedOutcome<'_>]) -> Statement {
    // Of several outcomes of one decision, the last one holds.
    let newest: HashMap<[u8; 16], i64> = outcomes.iter().map(|o| (o.row.decision, o.seq)).collect();
    let holds =
        |outcome: &&PlacedOutcome<'_>| newest.get(&outcome.row.decision) == Some(&outcome.seq);
    let mut pad = shape.outcomes;
    for outcome in outcomes.iter().filter(holds) {
        pad -= 1;
        query = query
            .bind(outcome.row.decision.to_vec())
            .bind(outcome.row.kind)
            .bind(outcome.seq)
            .bind(outcome.row.record_id.clone());
    }
    query = nulls(query, 4 * pad);
    let mut pad = shape.outcomes;
    for outcome in outcomes.iter().filter(|outcome| outcome.row.ends) {
        pad -= 1;
        query = query.bind(outcome.row.decision.to_vec());
    }
    nulls(query, pad)
}

fn payload(query: Statement, seq: i64, payload: Option<&SealedPayload>) -> Statement {
    match payload {
        Some(payload) => query
            .bind(seq)
            .bind(payload.key.0.to_vec())
            .bind(payload.body.clone()),
        None => nulls(query, 3),
    }
}

fn nulls(mut query: Statement, count: usize) -> Statement {
    for _ in 0..count {
        query = query.bind(None::<i64>);
    }
    query
}

fn reasons(decisions: &[PlacedDecision<'_>]) -> String {
    let all: Vec<(&str, i64)> = decisions
        .iter()
        .flat_map(|d| d.row.reasons.iter().map(|code| (code.as_str(), d.seq)))
        .collect();
    serde_json::json!(all).to_string()
}

impl PlacedDecision<'_> {
    fn bind(&self, query: Statement) -> Statement {
        let row = self.row;
        query
            .bind(self.seq)
            .bind(row.id.to_vec())
            .bind(row.at)
            .bind(row.connection.clone())
            .bind(row.object.clone())
            .bind(row.record_id.clone())
            .bind(row.actor.clone())
            .bind(row.effect)
            .bind(row.mode)
            .bind(self.packages)
    }

    fn bind_read_back(&self, query: Statement, owner: ProcessId) -> Statement {
        match &self.row.read_back {
            Some(read_back) => query
                .bind(self.seq)
                .bind(self.row.at)
                .bind(self.row.connection.clone())
                .bind(read_back.key.clone())
                .bind(read_back.body.clone())
                .bind(owner.uuid().as_bytes().to_vec())
                .bind(read_back.point),
            None => nulls(query, 7),
        }
    }
}
