//! Opportunities won and lost, cases closed.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::api::Reply;
use super::super::cell::Cell;
use super::super::error::{ApiError, Outcome};
use super::super::schema::Table;
use super::super::security::Right;
use super::super::store::Row;
use super::super::write::{Payload, Work, close};
use super::{number, only, record};

/// Closes an opportunity as won (state 1) or lost (state 2), with an activity that says so.
pub(super) fn opportunity(
    work: &mut Work<'_>,
    action: &str,
    body: &Map<String, Value>,
    state: i64,
) -> Outcome<Reply> {
    only(action, body, &["OpportunityClose", "Status"])?;
    let status = number(action, body, "Status")?;
    let activity = record(action, body, "OpportunityClose")?;
    let closing = begin(work, "opportunityclose", activity, "opportunityid")?;
    let value = closing.row.get(&closing.table, "actualrevenue").clone();
    let today = Cell::Date(work.terms.now.to_zoned(TimeZone::UTC).date());
    let ended = match closing.row.get(&closing.table, "actualend") {
        Cell::Time(at) => Cell::Date(at.to_zoned(TimeZone::UTC).date()),
        _ => today,
    };
    finish(work, "opportunity", closing.about, |table, row| {
        row.set(table, "actualclosedate", ended);
        let value = if value.is_null() && state == 1 {
            row.get(table, "estimatedvalue").clone()
        } else {
            value
        };
        row.set(table, "actualvalue", value);
        row.set(
            table,
            "closeprobability",
            Cell::Int(if state == 1 { 100 } else { 0 }),
        );
        let forecast = if state == 1 { 100_000_005 } else { 100_000_006 };
        row.set(table, "msdyn_forecastcategory", Cell::Int(forecast));
        close(table, row, state, Some(status))
    })?;
    complete_activity(work, &closing)?;
    Ok(Reply::nothing())
}

/// Closes a case, with an activity that says how.
pub(super) fn incident(
    work: &mut Work<'_>,
    action: &str,
    body: &Map<String, Value>,
) -> Outcome<Reply> {
    only(action, body, &["IncidentResolution", "Status"])?;
    let status = number(action, body, "Status")?;
    let activity = record(action, body, "IncidentResolution")?;
    let closing = begin(work, "incidentresolution", activity, "incidentid")?;
    finish(work, "incident", closing.about, |table, row| {
        close(table, row, 1, Some(status))
    })?;
    complete_activity(work, &closing)?;
    Ok(Reply::nothing())
}

/// The activity that closes something, and what it closes.
struct Closing {
    table: Arc<Table>,
    row: Arc<Row>,
    about: Uuid,
}

fn begin(
    work: &mut Work<'_>,
    activity: &str,
    record: &Map<String, Value>,
    lookup: &str,
) -> Outcome<Closing> {
    let table = Arc::clone(work.store.table(activity)?);
    let payload = Payload::read(&table, record.clone())?;
    let row = work.create(&table, payload)?;
    let about = row.get(&table, lookup).as_id().ok_or_else(|| {
        ApiError::invalid_argument(format!(
            "The {activity} names no record: set '{lookup}@odata.bind'."
        ))
    })?;
    Ok(Closing { table, row, about })
}

/// Changes the closed record.
fn finish(
    work: &mut Work<'_>,
    table: &str,
    id: Uuid,
    edit: impl FnOnce(&Table, &mut Row) -> Outcome<()>,
) -> Outcome<()> {
    let table = Arc::clone(work.store.table(table)?);
    let row = work.store.existing(&table.name, id)?;
    work.caller.check_row(&table, row, Right::Write)?;
    if row.get(&table, "statecode").as_int() != Some(0) {
        return Err(ApiError::bad_request(
            "0x80048408",
            format!(
                "This {} is closed already; it must be open for this message.",
                table.label.to_lowercase()
            ),
        ));
    }
    let mut row = Row::clone(row);
    edit(&table, &mut row)?;
    work.save(&table, row)
}

fn complete_activity(work: &mut Work<'_>, closing: &Closing) -> Outcome<()> {
    let mut row = Row::clone(&closing.row);
    close(&closing.table, &mut row, 1, None)?;
    work.save(&closing.table, row)
}
