//! `/updated` and `/deleted`: which records changed in a span of time.

use serde_json::{Value, json};

use crate::salesforce::cell::{Cell, moment_text, parse_moment};
use crate::salesforce::error::ApiError;
use crate::salesforce::reply::Reply;
use crate::salesforce::rest::Rest;
use crate::salesforce::schema::{ObjectIx, ObjectType};
use crate::salesforce::store::Row;

const DAY: i64 = 86_400;

pub(super) fn updated(
    rest: &Rest<'_>,
    object: ObjectIx,
    kind: &ObjectType,
) -> Result<Reply, ApiError> {
    let (start, end) = span(rest, 30)?;
    let store = rest.org.read();
    let ids: Vec<Value> = within(store.rows(object), kind, start, end)
        .filter(|(row, _)| !row.deleted)
        .map(|(row, _)| Value::String(row.id.to_string()))
        .collect();
    Ok(Reply::ok(
        json!({"ids": ids, "latestDateCovered": moment_text(covered(rest, end))}),
    ))
}

pub(super) fn deleted(
    rest: &Rest<'_>,
    object: ObjectIx,
    kind: &ObjectType,
) -> Result<Reply, ApiError> {
    let (start, end) = span(rest, 15)?;
    let store = rest.org.read();
    let records: Vec<Value> = within(store.rows(object), kind, start, end)
        .filter(|(row, _)| row.deleted)
        .map(|(row, at)| json!({"id": row.id.to_string(), "deletedDate": moment_text(at)}))
        .collect();
    Ok(Reply::ok(json!({
        "deletedRecords": records,
        "earliestDateAvailable": moment_text(rest.org.started - 15 * DAY),
        "latestDateCovered": moment_text(covered(rest, end)),
    })))
}

fn within<'a>(
    rows: impl Iterator<Item = &'a Row>,
    kind: &'a ObjectType,
    start: i64,
    end: i64,
) -> impl Iterator<Item = (&'a Row, i64)> {
    rows.filter_map(move |row| match row.named(kind, "SystemModstamp") {
        Cell::Moment(at) if (start..end).contains(at) => Some((row, *at)),
        _ => None,
    })
}

fn covered(rest: &Rest<'_>, end: i64) -> i64 {
    end.min(rest.call.at.as_second())
}

fn span(rest: &Rest<'_>, days_back: i64) -> Result<(i64, i64), ApiError> {
    let moment = |name: &str| {
        let text = rest.parameter(name).unwrap_or_default();
        parse_moment(&text).ok_or_else(|| {
            ApiError::bad(
                "INVALID_REPLICATION_DATE",
                format!("`{name}` must be a date and time, not `{text}`"),
            )
        })
    };
    let (start, end) = (moment("start")?, moment("end")?);
    // Seconds are cut off, as documented.
    let (start, end) = (start.div_euclid(60) * 60, end.div_euclid(60) * 60);
    if end <= start {
        return Err(ApiError::bad(
            "INVALID_REPLICATION_DATE",
            "startDate must be at least one minute before endDate",
        ));
    }
    if start < rest.call.at.as_second() - days_back * DAY {
        let message = format!("startDate cannot be more than {days_back} days ago");
        return Err(ApiError::bad("INVALID_REPLICATION_DATE", message));
    }
    Ok((start, end))
}
