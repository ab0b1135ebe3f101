//! Whether decisions are filed as what they are.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use crmgate_store::StoreError;
use serde::Deserialize;
use sqlx::Row as _;

use super::{Pool, Row, plain, session, sql, within};

/// Most entries of one look.
const PAGE: i64 = 1_000;

/// What listings find a decision by, as its entry has it.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    connection: Cow<'a, str>,
    #[serde(borrow)]
    effect: Cow<'a, str>,
    #[serde(borrow)]
    mode: Cow<'a, str>,
    #[serde(borrow)]
    operation: Option<Asked<'a>>,
    #[serde(borrow, default)]
    asked_by: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    packages: Vec<Spoke<'a>>,
    #[serde(borrow, default)]
    reasons: Vec<Said<'a>>,
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    #[serde(borrow)]
    record_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Spoke<'a> {
    #[serde(borrow)]
    package: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
}

/// What stands beside the decisions, by the number they name it with.
type Words = HashMap<i64, BTreeSet<String>>;

/// Decisions after a position and up to another that listings would not find by what they are, or
/// show as others.
pub(crate) async fn misfiled(
    reader: &Pool,
    after: u64,
    up_to: u64,
) -> Result<Vec<u64>, StoreError> {
    let mut found = Vec::new();
    let mut from = after.cast_signed();
    loop {
        let looked = within(page(reader, from, up_to.cast_signed())).await?;
        let Some(last) = looked.rows.last().map(|row| row.get::<i64, _>(0)) else {
            return Ok(found);
        };
        let wrong = looked.rows.iter().filter(|row| !looked.fits(row));
        found.extend(wrong.map(|row| row.get::<i64, _>(0).unsigned_abs()));
        from = last;
    }
}

/// Some decisions with what they are found by.
struct Looked {
    rows: Vec<Row>,
    members: Words,
    reasons: Words,
}

/// All of one moment: meanwhile others are filed, and old ones go.
async fn page(reader: &Pool, from: i64, up_to: i64) -> Result<Looked, sqlx::Error> {
    let mut moment = session::moment(reader).await?;
    let rows = sql(
        "SELECT l.seq, l.at, l.envelope, d.id, d.at, d.connection, d.object, d.record_id, \
         d.actor, d.effect, d.mode, d.package_set, s.names FROM ledger l \
         LEFT JOIN decisions d ON d.seq = l.seq LEFT JOIN package_sets s ON s.id = d.package_set \
         WHERE l.seq > ? AND l.seq <= ? AND l.kind = 'decision' ORDER BY l.seq LIMIT ?",
    )
    .bind(from)
    .bind(up_to)
    .bind(PAGE)
    .fetch_all(&mut *moment)
    .await?;
    let last = rows.last().map_or(from, |row| row.get(0));
    let reasons =
        sql("SELECT decision, code FROM decision_reasons WHERE decision > ? AND decision <= ?")
            .bind(from)
            .bind(last)
            .fetch_all(&mut *moment)
            .await?;
    let members = sql("SELECT package_set, package FROM package_set_members")
        .fetch_all(&mut *moment)
        .await?;
    moment.rollback().await?;
    Ok(Looked {
        rows,
        members: words(&members),
        reasons: words(&reasons),
    })
}

fn words(rows: &[Row]) -> Words {
    let mut words = Words::new();
    for row in rows {
        words.entry(row.get(0)).or_default().insert(row.get(1));
    }
    words
}

impl Looked {
    fn fits(&self, row: &Row) -> bool {
        let (Ok(envelope), Some(id)) = (
            serde_json::from_str::<Envelope<'_>>(row.get(2)),
            row.get::<Option<&[u8]>, _>(3),
        ) else {
            return false;
        };
        // As far as the database can keep what somebody else chose.
        let operation = envelope.operation.as_ref();
        let object = operation.map(|operation| plain(&operation.object));
        let actor = operation.map(|operation| &operation.actor);
        let actor = actor.or(envelope.asked_by.as_ref()).map(|id| plain(id));
        let record = operation.and_then(|operation| operation.record_id.as_deref());
        let record = record.map(plain);
        // The record of a create is filed by its outcome: only one that the entry names must fit.
        let known = uuid::Uuid::parse_str(&envelope.id).is_ok_and(|told| told.as_bytes() == id)
            && row.get::<i64, _>(1) == row.get::<i64, _>(4)
            && row.get::<&str, _>(5) == envelope.connection
            && row.get::<Option<&str>, _>(6) == object.as_deref()
            && (record.is_none() || row.get::<Option<&str>, _>(7) == record.as_deref())
            && row.get::<Option<&str>, _>(8) == actor.as_deref()
            && row.get::<&str, _>(9) == envelope.effect
            && row.get::<&str, _>(10) == envelope.mode;
        let said: BTreeSet<_> = envelope.reasons.iter().map(|r| plain(&r.code)).collect();
        let spoke: BTreeSet<_> = envelope
            .packages
            .iter()
            .map(|p| plain(&p.package))
            .collect();
        let names = row.get::<Option<&str>, _>(12);
        known
            && same(self.reasons.get(&row.get(0)), &said)
            && same(self.members.get(&row.get(11)), &spoke)
            && names.is_some_and(|names| {
                serde_json::from_str(names)
                    .is_ok_and(|names: BTreeSet<Cow<'_, str>>| names == spoke)
            })
    }
}

fn same(filed: Option<&BTreeSet<String>>, told: &BTreeSet<Cow<'_, str>>) -> bool {
    match filed {
        None => told.is_empty(),
        Some(filed) => filed
            .iter()
            .map(String::as_str)
            .eq(told.iter().map(AsRef::as_ref)),
    }
}
