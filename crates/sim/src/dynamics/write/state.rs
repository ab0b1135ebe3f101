//! States and statuses: which goes with which, and who may set them.

use std::collections::BTreeMap;

use super::super::cell::Cell;
use super::super::error::{ApiError, Outcome};
use super::super::schema::{Kind, StatusOption, Table};
use super::super::store::Row;
use super::Work;

impl Work<'_> {
    /// A new record begins in the table's first state; only a status of that state may be given.
    pub(super) fn start_state(
        &self,
        table: &Table,
        row: &mut Row,
        touched: &[String],
    ) -> Outcome<()> {
        if !table.has_state() {
            return Ok(());
        }
        let first = table
            .column("statecode")
            .and_then(|column| column.default.as_ref())
            .and_then(serde_json::Value::as_i64)
            .unwrap_or(0);
        let state = row.get(table, "statecode").as_int().unwrap_or(first);
        let closes =
            has(touched, "statecode") && state != first && closed_by(table, state).is_some();
        if closes {
            return Err(wrong_message(table, state));
        }
        row.set(table, "statecode", Cell::Int(state));
        settle(table, row, state, touched)
    }

    /// A change of state must bring a status that goes with it, or gets the state's usual one.
    pub(super) fn change_state(
        &self,
        table: &Table,
        old: &Row,
        row: &mut Row,
        touched: &[String],
    ) -> Outcome<()> {
        if !table.has_state() || !(has(touched, "statecode") || has(touched, "statuscode")) {
            return Ok(());
        }
        let before = old.get(table, "statecode").as_int().unwrap_or(0);
        let Some(state) = row.get(table, "statecode").as_int() else {
            return Err(ApiError::bad_request(
                "0x80040200",
                "Attribute 'statecode' cannot be NULL",
            ));
        };
        if state != before && closed_by(table, state).is_some() {
            return Err(wrong_message(table, state));
        }
        if state == before && !has(touched, "statuscode") {
            return Ok(());
        }
        settle(table, row, state, touched)
    }
}

/// Closes a record, as only the messages made for it can.
pub(crate) fn close(table: &Table, row: &mut Row, state: i64, status: Option<i64>) -> Outcome<()> {
    row.set(table, "statecode", Cell::Int(state));
    let mut touched = Vec::new();
    if let Some(status) = status.filter(|status| *status != -1) {
        row.set(table, "statuscode", Cell::Int(status));
        touched.push("statuscode".to_owned());
    }
    settle(table, row, state, &touched)
}

fn settle(table: &Table, row: &mut Row, state: i64, touched: &[String]) -> Outcome<()> {
    let statuses = statuses(table);
    let given = if has(touched, "statuscode") {
        row.get(table, "statuscode").as_int()
    } else {
        None
    };
    let status = match given {
        Some(status) => status,
        None => statuses
            .iter()
            .find(|(_, option)| option.state == state)
            .map_or(-1, |(status, _)| *status),
    };
    let fits = statuses
        .get(&status)
        .is_some_and(|option| option.state == state);
    if !fits {
        let label = table
            .column("statecode")
            .and_then(|column| column.label_of(state))
            .unwrap_or_default();
        return Err(ApiError::bad_request(
            "0x80048408",
            format!(
                "{status} is not a valid status code for state code {}State.{label} on {} with Id {}.",
                table.schema, table.name, row.id
            ),
        ));
    }
    row.set(table, "statuscode", Cell::Int(status));
    Ok(())
}

fn statuses(table: &Table) -> &BTreeMap<i64, StatusOption> {
    static NONE: BTreeMap<i64, StatusOption> = BTreeMap::new();
    match table.column("statuscode").map(|column| &column.kind) {
        Some(Kind::Status { options }) => options,
        _ => &NONE,
    }
}

fn has(touched: &[String], column: &str) -> bool {
    touched.iter().any(|name| name == column)
}

/// The message that sets this state, where an update may not.
fn closed_by(table: &Table, state: i64) -> Option<&'static str> {
    match (&*table.name, state) {
        ("opportunity", 1) => Some("Won"),
        ("opportunity", 2) => Some("Lost"),
        ("incident", 1) => Some("Close"),
        _ => None,
    }
}

fn wrong_message(table: &Table, state: i64) -> ApiError {
    let label = table
        .column("statecode")
        .and_then(|column| column.label_of(state))
        .unwrap_or_default();
    let message = closed_by(table, state).unwrap_or_default();
    ApiError::bad_request(
        "0x80048408",
        format!(
            "This message can not be used to set the state of {} to {label}. In order to set state of {} to {label}, use the {message} message instead.",
            table.name, table.name
        ),
    )
}
