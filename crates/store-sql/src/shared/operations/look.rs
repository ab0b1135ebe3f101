//! Looking at operations.

use std::collections::BTreeMap;

use crmgate_domain::{ConnectionName, OperationId, State};
use crmgate_store::{
    HistoryEntry, OperationFilter, Page, Standing, StoreError, StoredOperation, Tally,
};
use sqlx::{QueryBuilder, Row as _};

use super::super::decisions::in_list;
use super::rows::{COLUMNS, entry, id, state, stored};
use super::{Db, Row, Store, nanoseconds, plain, scalar, sql, within};
use crate::convert::{below, cursor, timestamp};
use crate::error::corrupt;

/// The kind of this listing's cursors.
const CURSOR: char = 'o';

pub(super) async fn one(
    store: &Store,
    id: OperationId,
) -> Result<Option<StoredOperation>, StoreError> {
    let mut query = QueryBuilder::<Db>::new(COLUMNS);
    query
        .push(" WHERE o.id = ")
        .push_bind(id.uuid().as_bytes().to_vec());
    let row = within(query.build().fetch_optional(store.reader())).await?;
    row.as_ref().map(stored).transpose()
}

pub(super) async fn version(store: &Store, id: OperationId) -> Result<Option<u64>, StoreError> {
    let version: Option<i64> = within(
        scalar("SELECT version FROM operations WHERE id = ?")
            .bind(id.uuid().as_bytes().to_vec())
            .fetch_optional(store.reader()),
    )
    .await?;
    Ok(version.map(i64::unsigned_abs))
}

pub(super) async fn list(
    store: &Store,
    filter: &OperationFilter,
    from: Option<&str>,
    limit: usize,
) -> Result<Page<StoredOperation>, StoreError> {
    let mut query = QueryBuilder::<Db>::new(COLUMNS);
    query
        .push(" WHERE o.seq < ")
        .push_bind(below(CURSOR, from)?);
    narrow(&mut query, filter);
    let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    query.push(" ORDER BY o.seq DESC LIMIT ").push_bind(most);
    let mut rows = within(query.build().fetch_all(store.reader())).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| more);
    let last = last.and_then(|row| row.get::<Option<i64>, _>("seq"));
    Ok(Page {
        items: rows.iter().map(stored).collect::<Result<_, _>>()?,
        next: last.map(|seq| cursor(CURSOR, seq)),
    })
}

fn narrow(query: &mut QueryBuilder<Db>, filter: &OperationFilter) {
    let connection = filter.connection.as_ref().map(ToString::to_string);
    for (head, value) in [
        (" AND o.connection = ", connection.as_deref()),
        (" AND o.object = ", filter.object.as_deref()),
        (" AND o.record_id = ", filter.record_id.as_deref()),
        (" AND o.actor = ", filter.actor.as_deref()),
        (" AND o.owner = ", filter.owner.as_deref()),
        (" AND o.client_id = ", filter.client_id.as_deref()),
        (" AND o.why_code = ", filter.reason.as_deref()),
    ] {
        if let Some(value) = value {
            query.push(head).push_bind(plain(value).into_owned());
        }
    }
    for (head, bound) in [
        (" AND o.created_at >= ", filter.since.map(nanoseconds)),
        (" AND o.created_at < ", filter.until.map(nanoseconds)),
    ] {
        if let Some(bound) = bound {
            query.push(head).push_bind(bound);
        }
    }
    if let Some(submission) = filter.submission {
        query
            .push(" AND o.submission = (SELECT nr FROM submissions WHERE id = ")
            .push_bind(submission.uuid().as_bytes().to_vec())
            .push(")");
    }
    if let Some(group) = filter.group {
        query
            .push(" AND o.grp = ")
            .push_bind(group.uuid().as_bytes().to_vec());
    }
    among_states(query, &filter.states);
    if let Some(names) = &filter.visible {
        in_list(query, " AND o.connection", names);
    }
}

fn among_states(query: &mut QueryBuilder<Db>, states: &[State]) {
    if states.is_empty() {
        return;
    }
    // Those that people look for have an index of their own.
    let trouble = |state: &State| state.came_to_nothing() || *state == State::Uncertain;
    let column = if states.iter().all(trouble) {
        " AND o.trouble IN ("
    } else {
        " AND o.state IN ("
    };
    query.push(column);
    let mut list = query.separated(",");
    for state in states {
        list.push_bind(state.as_str());
    }
    query.push(")");
}

pub(super) async fn history(
    store: &Store,
    id: OperationId,
) -> Result<Vec<HistoryEntry>, StoreError> {
    let rows = within(
        sql(
            "SELECT h.version, h.at, h.was, h.state, h.who, h.why_code, h.why_message, \
             h.decision, h.hold FROM operation_history h \
             JOIN operations o ON o.nr = h.operation WHERE o.id = ? ORDER BY h.version",
        )
        .bind(id.uuid().as_bytes().to_vec())
        .fetch_all(store.reader()),
    )
    .await?;
    rows.iter().map(entry).collect()
}

pub(super) async fn related(
    store: &Store,
    of: OperationId,
) -> Result<(Vec<OperationId>, Vec<OperationId>), StoreError> {
    let before = sql("SELECT DISTINCT d.target FROM operation_dependencies d \
         JOIN operations o ON o.nr = d.dependant WHERE o.id = ? AND d.target IS NOT NULL \
         ORDER BY d.target")
    .bind(of.uuid().as_bytes().to_vec());
    let before = within(before.fetch_all(store.reader())).await?;
    let after = sql("SELECT DISTINCT o.id FROM operation_dependencies d \
         JOIN operations o ON o.nr = d.dependant WHERE d.target = ? AND o.seq IS NOT NULL \
         ORDER BY o.id LIMIT 1000")
    .bind(of.uuid().as_bytes().to_vec());
    let after = within(after.fetch_all(store.reader())).await?;
    Ok((ids(&before)?, ids(&after)?))
}

fn ids(rows: &[Row]) -> Result<Vec<OperationId>, StoreError> {
    rows.iter()
        .map(|row| id(row.get(0)).map_err(|error| corrupt("an id", error)))
        .collect()
}

pub(super) async fn tally(
    store: &Store,
    filter: &OperationFilter,
) -> Result<Vec<Tally>, StoreError> {
    let mut query = QueryBuilder::<Db>::new(
        "SELECT o.state, o.why_code, count(*) FROM operations o WHERE 1 = 1",
    );
    narrow(&mut query, filter);
    query.push(" GROUP BY o.state, o.why_code");
    let rows = within(query.build().fetch_all(store.reader())).await?;
    let mut tallies: Vec<Tally> = rows
        .iter()
        .map(|row| {
            Ok(Tally {
                state: state(row.get(0)).map_err(|error| corrupt("a state", error))?,
                code: row.get(1),
                count: row.get::<i64, _>(2).unsigned_abs(),
            })
        })
        .collect::<Result<_, StoreError>>()?;
    tallies.sort_by(|a, b| (a.state, &a.code).cmp(&(b.state, &b.code)));
    Ok(tallies)
}

pub(super) async fn standing(
    store: &Store,
) -> Result<BTreeMap<(ConnectionName, State), Standing>, StoreError> {
    let rows = within(
        sql(
            "SELECT c.connection, c.state, c.count, CASE WHEN c.state = 'staged' \
             THEN (SELECT min(s.at) FROM submissions s \
             WHERE s.accepted_at IS NULL OR s.unfolded IS NOT NULL) \
             ELSE (SELECT min(o.live_since) FROM operations o \
             WHERE o.connection = c.connection AND o.state = c.state \
             AND o.live_since IS NOT NULL) END \
             FROM operation_counts c WHERE c.count > 0",
        )
        .fetch_all(store.reader()),
    )
    .await?;
    let mut standing = BTreeMap::new();
    for row in &rows {
        let name: &str = row.get(0);
        let oldest: Option<i64> = row.get(3);
        let connection = name
            .parse()
            .map_err(|error| corrupt("a connection", error))?;
        let state = state(row.get(1)).map_err(|error| corrupt("a state", error))?;
        let counted = Standing {
            count: row.get::<i64, _>(2).unsigned_abs(),
            oldest: timestamp(oldest.unwrap_or_default())?,
        };
        standing.insert((connection, state), counted);
    }
    Ok(standing)
}
