//! What rows are found by: the values of their keys, and where they point.

use uuid::Uuid;

use super::super::cell::Reference;
use super::super::schema::{Key, Table};
use super::{Referrer, Row, UNTRACKED};
use std::sync::Arc;

/// Between the values of a composite key.
const SEPARATOR: char = '\u{1f}';

/// A row's entry for a key, if it has all its values.
pub(super) fn key_of(table: &Table, key: &Key, row: &Row) -> Option<String> {
    let values: Option<Vec<String>> = key
        .columns
        .iter()
        .map(|column| row.get(table, column).key_text())
        .collect();
    values.map(|values| join(&values))
}

/// The values of a key as one text.
pub(super) fn join(values: &[String]) -> String {
    let mut text = String::new();
    for value in values {
        text.push_str(value);
        text.push(SEPARATOR);
    }
    text
}

/// The tracked lookups of a row.
pub(super) fn pointers(table: &Table, row: &Row) -> Vec<(Uuid, Referrer)> {
    row.cells
        .iter()
        .enumerate()
        .filter_map(|(position, cell)| {
            let Reference { table: to, id } = cell.as_lookup()?;
            if UNTRACKED.contains(&&**to) {
                return None;
            }
            let referrer = Referrer {
                table: Arc::clone(&table.name),
                position,
                seq: row.seq,
                id: row.id,
            };
            Some((*id, referrer))
        })
        .collect()
}
