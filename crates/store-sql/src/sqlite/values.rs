//! Rows of values as they are, padded to powers of two with rows of nulls that are left out: there
//! are few texts, and each stays prepared.

use super::Statement;
use super::many::{Column, Value};

/// Statements as one: there would be too many texts to keep prepared.
pub(crate) const fn in_one(_texts: &[String]) -> Option<String> {
    None
}

/// The table `v` of the values.
pub(crate) fn from(columns: &[Column], rows: usize, _behind: usize) -> String {
    let names: Vec<String> = (1..)
        .zip(columns)
        .map(|(n, (name, _))| format!("column{n} AS {name}"))
        .collect();
    let row = format!("({})", vec!["?"; columns.len()].join(","));
    let rows = vec![row.as_str(); rows.next_power_of_two()].join(",");
    format!(
        "(SELECT {} FROM (VALUES {rows}) WHERE column1 IS NOT NULL) AS v",
        names.join(", ")
    )
}

/// The values.
pub(crate) fn bind<'q>(
    mut query: Statement<'q>,
    columns: &[Column],
    rows: Vec<Vec<Value>>,
) -> Statement<'q> {
    let pad = rows.len().next_power_of_two() - rows.len();
    for value in rows.into_iter().flatten() {
        query = match value {
            Value::Number(number) => query.bind(number),
            Value::Word(word) => query.bind(word),
            Value::Bytes(bytes) => query.bind(bytes),
        };
    }
    for _ in 0..pad * columns.len() {
        query = query.bind(None::<i64>);
    }
    query
}
