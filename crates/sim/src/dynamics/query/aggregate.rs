//! `$apply`: sums, counts and groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::super::address::split_outside;
use super::super::cell::{Cell, decimal_json, scale};
use super::super::error::{ApiError, Outcome};
use super::super::read::{List, Reader, Rows};
use super::super::schema::Table;
use super::super::security::Right;
use super::super::store::Row;
use super::bind::Place;
use super::expression::parse;
use super::options::Options;

/// Aggregates over more rows the service refuses.
const MAX_ROWS: usize = 50_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Sum,
    Average,
    Min,
    Max,
    CountDistinct,
    Count,
}

struct Aggregate {
    place: Option<Place>,
    method: Method,
    alias: String,
}

/// What `$apply` asks for.
#[derive(Default)]
struct Steps {
    filters: Vec<String>,
    groups: Vec<Place>,
    aggregates: Vec<Aggregate>,
}

/// Answers a query with `$apply`.
pub(crate) fn apply(
    reader: &Reader<'_>,
    table: &Arc<Table>,
    options: &Options,
    text: &str,
) -> Outcome<Map<String, Value>> {
    reader.caller.check(table, Right::Read)?;
    let steps = read(reader, table, text)?;
    let mut rows = rows(reader, table, options)?;
    for filter in &steps.filters {
        let inner = Options {
            filter: Some(parse(filter, &options.aliases)?),
            ..Options::default()
        };
        let filter = reader.filter(table, &inner)?;
        rows.retain(|row| {
            filter
                .as_ref()
                .is_none_or(|one| one.holds(reader.store, row))
        });
    }
    if rows.len() > MAX_ROWS {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "0x8004e023",
            "The maximum record limit is exceeded. Reduce the number of records.",
        ));
    }
    let mut groups: BTreeMap<Vec<String>, Vec<&Arc<Row>>> = BTreeMap::new();
    for row in &rows {
        let key = steps
            .groups
            .iter()
            .map(|place| place.get(reader.store, row).key_text().unwrap_or_default())
            .collect();
        groups.entry(key).or_default().push(row);
    }
    if groups.is_empty() && steps.groups.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    let value = groups
        .into_values()
        .map(|rows| Value::Object(summary(reader, &steps, &rows)))
        .collect();
    let mut answer = Map::new();
    reader.put_context(&mut answer, &table.set);
    answer.insert("value".to_owned(), Value::Array(value));
    Ok(answer)
}

fn rows(reader: &Reader<'_>, table: &Arc<Table>, options: &Options) -> Outcome<Vec<Arc<Row>>> {
    let list = List {
        table,
        rows: Rows::All,
        options,
        address: "",
    };
    let filter = reader.filter(table, options)?;
    Ok(reader.found(&list, filter.as_ref()).cloned().collect())
}

fn read(reader: &Reader<'_>, table: &Arc<Table>, text: &str) -> Outcome<Steps> {
    let mut steps = Steps::default();
    for part in split_outside(text, '/') {
        let (name, inner) = call(part)?;
        match name {
            "filter" => steps.filters.push(inner.to_owned()),
            "aggregate" => steps.aggregates = aggregates(reader, table, inner)?,
            "groupby" => {
                let parts = split_outside(inner, ',');
                let columns = parts.first().copied().unwrap_or_default().trim();
                let columns = columns
                    .strip_prefix('(')
                    .and_then(|rest| rest.strip_suffix(')'))
                    .ok_or_else(|| broken(part))?;
                for column in columns.split(',') {
                    let path: Vec<String> = column.trim().split('/').map(str::to_owned).collect();
                    steps
                        .groups
                        .push(Place::find(reader.store.schema(), table, &path)?);
                }
                for rest in parts.iter().skip(1) {
                    let (name, inner) = call(rest)?;
                    if name != "aggregate" {
                        return Err(broken(rest));
                    }
                    steps.aggregates = aggregates(reader, table, inner)?;
                }
            }
            other => {
                return Err(ApiError::not_simulated(&format!(
                    "The transformation '{other}' of $apply"
                )));
            }
        }
    }
    if steps.groups.iter().any(|place| !place.is_own()) {
        return Err(ApiError::not_simulated(
            "Grouping by a related record's column",
        ));
    }
    Ok(steps)
}

fn call(text: &str) -> Outcome<(&str, &str)> {
    let text = text.trim();
    let (name, rest) = text.split_once('(').ok_or_else(|| broken(text))?;
    let inner = rest.strip_suffix(')').ok_or_else(|| broken(text))?;
    Ok((name, inner))
}

fn broken(text: &str) -> ApiError {
    ApiError::query(format!("Syntax error at '{text}' in $apply."))
}

fn aggregates(reader: &Reader<'_>, table: &Arc<Table>, text: &str) -> Outcome<Vec<Aggregate>> {
    split_outside(text, ',')
        .into_iter()
        .map(|term| {
            let words: Vec<&str> = term.split_whitespace().collect();
            match words.as_slice() {
                ["$count", "as", alias] => Ok(Aggregate {
                    place: None,
                    method: Method::Count,
                    alias: (*alias).to_owned(),
                }),
                [path, "with", method, "as", alias] => {
                    let path: Vec<String> = path.split('/').map(str::to_owned).collect();
                    Ok(Aggregate {
                        place: Some(Place::find(reader.store.schema(), table, &path)?),
                        method: match *method {
                            "sum" => Method::Sum,
                            "average" => Method::Average,
                            "min" => Method::Min,
                            "max" => Method::Max,
                            "countdistinct" => Method::CountDistinct,
                            _ => return Err(broken(term)),
                        },
                        alias: (*alias).to_owned(),
                    })
                }
                _ => Err(broken(term)),
            }
        })
        .collect()
}

fn summary(reader: &Reader<'_>, steps: &Steps, rows: &[&Arc<Row>]) -> Map<String, Value> {
    let mut out = Map::new();
    for place in &steps.groups {
        if let (Some(column), Some(row)) = (place.column(), rows.first()) {
            let cell = place.get(reader.store, row);
            out.insert(column.property(), cell.to_json(column));
        }
    }
    for aggregate in &steps.aggregates {
        let value = match &aggregate.place {
            None => Value::from(rows.len()),
            Some(place) => {
                let cells: Vec<&Cell> = rows
                    .iter()
                    .map(|row| place.get(reader.store, row))
                    .filter(|cell| !cell.is_null())
                    .collect();
                total(place, aggregate.method, &cells)
            }
        };
        out.insert(aggregate.alias.clone(), value);
    }
    out
}

fn total(place: &Place, method: Method, cells: &[&Cell]) -> Value {
    let Some(column) = place.column() else {
        return Value::Null;
    };
    let shown = |cell: Option<&&Cell>| cell.map_or(Value::Null, |cell| cell.to_json(column));
    let sum = || {
        cells
            .iter()
            .filter_map(|cell| cell.as_decimal())
            .fold(Decimal::ZERO, Decimal::saturating_add)
    };
    match method {
        Method::Min => shown(cells.iter().min_by(|one, two| one.order(two))),
        Method::Max => shown(cells.iter().max_by(|one, two| one.order(two))),
        Method::Sum if cells.is_empty() => Value::Null,
        Method::Sum => decimal_json(sum(), scale(column)),
        Method::Average => Decimal::from(cells.len())
            .checked_recip()
            .map_or(Value::Null, |share| decimal_json(sum() * share, 4)),
        Method::CountDistinct => {
            let mut texts: Vec<_> = cells.iter().filter_map(|cell| cell.key_text()).collect();
            texts.sort_unstable();
            texts.dedup();
            Value::from(texts.len())
        }
        Method::Count => Value::from(cells.len()),
    }
}

trait Reciprocal {
    fn checked_recip(self) -> Option<Decimal>;
}

impl Reciprocal for Decimal {
    fn checked_recip(self) -> Option<Decimal> {
        Self::ONE.checked_div(self)
    }
}
