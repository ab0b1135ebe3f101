//! Rows of values as arrays, one for each column: any number of them is the same statement.

use super::Statement;
use super::many::{Column, Kind, Value};

/// Statements as one.
pub(crate) fn in_one(texts: &[String]) -> Option<String> {
    let (last, others) = texts.split_last()?;
    let others = (1..).zip(others);
    let others: Vec<String> = others
        .map(|(n, text)| format!("s{n} AS ({text})"))
        .collect();
    Some(format!("WITH {} {last}", others.join(", ")))
}

/// The table `v` of the values, behind so many others.
pub(crate) fn from(columns: &[Column], _rows: usize, behind: usize) -> String {
    let arrays: Vec<String> = (behind + 1..)
        .zip(columns)
        .map(|(n, (_, kind))| match kind {
            Kind::Number => format!("${n}::bigint[]"),
            Kind::Word => format!("${n}::text[]"),
            Kind::Bytes => format!("${n}::bytea[]"),
        })
        .collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    format!("unnest({}) AS v ({})", arrays.join(", "), names.join(", "))
}

/// The values.
pub(crate) fn bind<'q>(
    mut query: Statement<'q>,
    columns: &[Column],
    rows: Vec<Vec<Value>>,
) -> Statement<'q> {
    let mut rows: Vec<_> = rows.into_iter().map(Vec::into_iter).collect();
    for (_, kind) in columns {
        let values = rows.iter_mut().map(Iterator::next);
        query = match kind {
            Kind::Number => query.bind(
                values
                    .map(|value| match value {
                        Some(Value::Number(number)) => number,
                        _ => None,
                    })
                    .collect::<Vec<Option<i64>>>(),
            ),
            Kind::Word => query.bind(
                values
                    .map(|value| match value {
                        Some(Value::Word(word)) => word,
                        _ => None,
                    })
                    .collect::<Vec<Option<String>>>(),
            ),
            Kind::Bytes => query.bind(
                values
                    .map(|value| match value {
                        Some(Value::Bytes(bytes)) => bytes,
                        _ => None,
                    })
                    .collect::<Vec<Option<Vec<u8>>>>(),
            ),
        };
    }
    query
}
