//! Removing what was kept long enough, and what a person asked to have removed.

use crmgate_domain::{Actor, State, Timestamp};
use crmgate_store::{By, EraseFilter};
use sqlx::{QueryBuilder, Row as _};

use super::super::many::{Kind, Many};
use super::effects::Effects;
use super::follow::follow;
use super::make::{Wanted, make};
use super::moves::{because, firsts};
use super::rows::{Body, SEEN, seen};
use super::{Connection, Db, among, nanoseconds, plain, sql};

/// Most rows of one transaction.
const PART: i64 = 500;

/// Removes requests, and whole operations, that ended before these times. Whether there is more.
pub(super) async fn prune(
    connection: &mut Connection,
    payloads: Option<Timestamp>,
    rows: Option<Timestamp>,
) -> Result<bool, sqlx::Error> {
    let mut more = false;
    if let Some(before) = payloads {
        let found =
            sql("SELECT nr FROM operations WHERE keeps_since < ? ORDER BY keeps_since LIMIT ?")
                .bind(nanoseconds(before))
                .bind(PART)
                .fetch_all(&mut *connection)
                .await?;
        let found = firsts(&found);
        more |= found.len() as u64 == PART.unsigned_abs();
        forget_requests(connection, &found).await?;
    }
    if let Some(before) = rows {
        let found = sql("SELECT nr FROM operations WHERE ended_at < ? ORDER BY ended_at LIMIT ?")
            .bind(nanoseconds(before))
            .bind(PART)
            .fetch_all(&mut *connection)
            .await?;
        let found = firsts(&found);
        more |= found.len() as u64 == PART.unsigned_abs();
        delete(connection, &found).await?;
        more |= delete_submissions(connection, before).await?;
    }
    Ok(more)
}

async fn forget_requests(connection: &mut Connection, numbers: &[i64]) -> Result<(), sqlx::Error> {
    if numbers.is_empty() {
        return Ok(());
    }
    for head in [
        "UPDATE operation_bodies SET request = NULL WHERE ",
        "UPDATE operations SET keeps_since = NULL WHERE ",
    ] {
        let mut query = QueryBuilder::<Db>::new(head);
        among(&mut query, "nr", numbers);
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

async fn delete(connection: &mut Connection, numbers: &[i64]) -> Result<(), sqlx::Error> {
    if numbers.is_empty() {
        return Ok(());
    }
    for (table, column) in [
        ("operation_history", "operation"),
        ("operation_bodies", "nr"),
        ("operation_dependencies", "dependant"),
        ("operations", "nr"),
    ] {
        let mut query = QueryBuilder::<Db>::new(format!("DELETE FROM {table} WHERE "));
        among(&mut query, column, numbers);
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Submissions that were accepted before the time and have no operations any more; the callers'
/// keys are forgotten with them.
async fn delete_submissions(
    connection: &mut Connection,
    before: Timestamp,
) -> Result<bool, sqlx::Error> {
    let found = sql(
        "SELECT nr FROM submissions s WHERE s.accepted_at < ? AND s.unfolded IS NULL \
         AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.submission = s.nr) LIMIT ?",
    )
    .bind(nanoseconds(before))
    .bind(PART)
    .fetch_all(&mut *connection)
    .await?;
    let found = firsts(&found);
    if found.is_empty() {
        return Ok(false);
    }
    let mut query = QueryBuilder::<Db>::new("DELETE FROM submissions WHERE ");
    among(&mut query, "nr", &found);
    query.build().execute(connection).await?;
    Ok(found.len() as u64 == PART.unsigned_abs())
}

/// Narrows to operations of which something is left to erase.
pub(crate) fn erasable(select: &str, wanted: &EraseFilter) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new(select);
    query.push(
        " FROM operations o JOIN operation_bodies b ON b.nr = o.nr WHERE b.request IS NOT NULL",
    );
    if let Some(id) = wanted.decision {
        query
            .push(" AND o.decision = ")
            .push_bind(id.uuid().as_bytes().to_vec());
    }
    let connection = wanted.connection.as_ref().map(ToString::to_string);
    for (head, value) in [
        (" AND o.connection = ", connection.as_deref()),
        (" AND o.record_id = ", wanted.record_id.as_deref()),
        (" AND o.actor = ", wanted.actor.as_deref()),
    ] {
        if let Some(value) = value {
            query.push(head).push_bind(plain(value).into_owned());
        }
    }
    if let Some(before) = wanted.before {
        query
            .push(" AND o.created_at < ")
            .push_bind(nanoseconds(before));
    }
    query
}

const EMPTY: Many = Many {
    head: "UPDATE operation_bodies SET request = NULL, body = v.emptied FROM",
    columns: &[("row_nr", Kind::Number), ("emptied", Kind::Word)],
    tail: " WHERE operation_bodies.nr = v.row_nr",
};

/// Takes what is asked from operations, and what is known of who asks but the id. What has not
/// been sent is cancelled; of what may have been sent, nobody can find out any more.
pub(crate) async fn erase(
    connection: &mut Connection,
    wanted: &EraseFilter,
    (at, by): (Timestamp, &By),
    effects: &mut Effects,
) -> Result<u64, sqlx::Error> {
    let mut query = erasable(&format!("SELECT {SEEN}, b.body"), wanted);
    query.push(" ORDER BY o.nr LIMIT ").push_bind(PART);
    let rows = query.build().fetch_all(&mut *connection).await?;
    let (mut bodies, mut moves) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in &rows {
        let body = emptied(row.get("body"))?;
        let row = seen(row)?;
        let to = match row.state {
            State::Writing => Some(State::Uncertain),
            // What a backup brought back may have been written.
            State::Received if row.restored => Some(State::Uncertain),
            State::Uncertain | State::Staged => None,
            state if state.is_final() => None,
            _ => Some(State::Cancelled),
        };
        bodies.push(vec![row.nr.into(), Some(body).into()]);
        if let Some(to) = to {
            let why = because("erased", "what was asked was erased on request");
            moves.push(Wanted::plain(row, to, (at, by), why));
        }
    }
    EMPTY.run(connection, bodies).await?;
    let made = make(connection, moves, effects).await?;
    let numbers: Vec<i64> = firsts(&rows);
    if !numbers.is_empty() {
        // Behind the moves: what they ended would be kept for its request.
        let mut query = QueryBuilder::<Db>::new("UPDATE operations SET keeps_since = NULL WHERE ");
        among(&mut query, "nr", &numbers);
        query.build().execute(&mut *connection).await?;
    }
    follow(connection, made.into_iter().flatten().collect(), effects).await?;
    Ok(rows.len() as u64)
}

fn emptied(body: &str) -> Result<String, sqlx::Error> {
    let body: Body =
        serde_json::from_str(body).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let emptied = Body {
        actor: Actor {
            id: body.actor.id,
            client: body.actor.client,
            ..Actor::default()
        },
        purpose: None,
        callback: body.callback,
        trace: body.trace,
    };
    serde_json::to_string(&emptied).map_err(|error| sqlx::Error::Encode(error.into()))
}
