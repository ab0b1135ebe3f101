//! `GROUP BY` and the functions over groups.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::QueryError;
use super::ast::{Function, Item, Path, Query};
use super::bind::{Route, Scope};
use super::run::in_order;
use crate::salesforce::cell::{Cell, compare_text};
use crate::salesforce::schema::{Field, Kind, ObjectIx};
use crate::salesforce::store::Row;

/// One column of the answer.
struct Column {
    name: String,
    route: Route,
    function: Option<Function>,
}

/// A group's key, ordered as queries order values.
#[derive(PartialEq)]
struct Key(Vec<Cell>);

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let pairs = self.0.iter().zip(&other.0);
        pairs
            .map(|(a, b)| a.compare(b))
            .find(|order| *order != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
    }
}

/// Answers an aggregate query over the records that its filter left.
pub(super) fn run(
    scope: &Scope<'_>,
    query: &Query,
    object: ObjectIx,
    rows: &[&Row],
) -> Result<Vec<Value>, QueryError> {
    let alias = query.alias.as_deref();
    let mut keys = Vec::new();
    for path in &query.group_by {
        let (route, field) = scope.route(object, alias, path)?;
        if field.is_some_and(|field| !field.groupable()) {
            let message = format!(
                "field '{}' can not be grouped in a query call",
                path.dotted()
            );
            return Err(QueryError::malformed(message).at(path.at));
        }
        keys.push(route);
    }
    let columns = columns(scope, query, object, &keys)?;
    let order = order(scope, query, object, &columns)?;
    let mut groups: BTreeMap<Key, Vec<&Row>> = BTreeMap::new();
    if keys.is_empty() {
        groups.insert(Key(Vec::new()), rows.to_vec());
    } else {
        for row in rows {
            let key = keys
                .iter()
                .map(|route| scope.value(object, row, route).into_owned())
                .collect();
            groups.entry(Key(key)).or_default().push(row);
        }
    }
    let mut lines: Vec<(Vec<Cell>, Vec<Cell>)> = Vec::with_capacity(groups.len());
    for group in groups.values() {
        let cells = |columns: &[Column]| {
            columns
                .iter()
                .map(|column| column.value(scope, object, group))
                .collect()
        };
        lines.push((cells(&order.columns), cells(&columns)));
    }
    lines.sort_by(|(a, _), (b, _)| order.compare(a, b));
    let limit = query.limit.unwrap_or(usize::MAX);
    let shown = lines.into_iter().skip(query.offset).take(limit);
    Ok(shown.map(|(_, cells)| line(&columns, &cells)).collect())
}

fn line(columns: &[Column], cells: &[Cell]) -> Value {
    let mut line = Map::new();
    line.insert("attributes".to_owned(), json!({"type": "AggregateResult"}));
    for (column, cell) in columns.iter().zip(cells) {
        line.insert(column.name.clone(), cell.to_json());
    }
    Value::Object(line)
}

fn columns(
    scope: &Scope<'_>,
    query: &Query,
    object: ObjectIx,
    keys: &[Route],
) -> Result<Vec<Column>, QueryError> {
    let alias = query.alias.as_deref();
    let mut columns = Vec::new();
    let mut unnamed = 0;
    for item in &query.select {
        let column = match item {
            Item::Field { path, alias: name } => {
                let (route, field) = scope.route(object, alias, path)?;
                if !keys.contains(&route) {
                    let message = format!("Field must be grouped or aggregated: {}", path.dotted());
                    return Err(QueryError::malformed(message).at(path.at));
                }
                let own = field.map_or("Type", |field| field.name.as_str());
                Column {
                    name: name.clone().unwrap_or_else(|| own.to_owned()),
                    route,
                    function: None,
                }
            }
            Item::Aggregate {
                function,
                path,
                alias: name,
            } => {
                let route = aggregated(scope, object, alias, *function, path)?;
                let name = name.clone().unwrap_or_else(|| {
                    unnamed += 1;
                    format!("expr{}", unnamed - 1)
                });
                Column {
                    name,
                    route,
                    function: Some(*function),
                }
            }
            _ => {
                return Err(QueryError::malformed(
                    "Grouped query cannot use this expression",
                ));
            }
        };
        columns.push(column);
    }
    Ok(columns)
}

fn aggregated(
    scope: &Scope<'_>,
    object: ObjectIx,
    alias: Option<&str>,
    function: Function,
    path: &Path,
) -> Result<Route, QueryError> {
    let (route, field) = scope.route(object, alias, path)?;
    let number = |field: &Field| {
        matches!(
            field.kind,
            Kind::Int | Kind::Double | Kind::Currency | Kind::Percent
        )
    };
    let fits = match function {
        Function::Sum | Function::Avg => field.is_some_and(number),
        _ => field.is_some_and(|field| field.filterable() && field.kind != Kind::MultiPicklist),
    };
    if fits {
        return Ok(route);
    }
    let message = format!(
        "field {} does not support aggregate operator {function:?}",
        path.dotted()
    );
    Err(QueryError::malformed(message).at(path.at))
}

struct Sorting {
    columns: Vec<Column>,
    ways: Vec<(bool, bool)>,
}

impl Sorting {
    fn compare(&self, a: &[Cell], b: &[Cell]) -> Ordering {
        let pairs = a.iter().zip(b).zip(&self.ways);
        let mut orders = pairs
            .map(|((a, b), (descending, nulls_last))| in_order(a, b, *descending, *nulls_last));
        orders
            .find(|order| *order != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
    }
}

/// What the lines are sorted by: grouped fields, aggregates, or aliases of either.
fn order(
    scope: &Scope<'_>,
    query: &Query,
    object: ObjectIx,
    shown: &[Column],
) -> Result<Sorting, QueryError> {
    let mut sorting = Sorting {
        columns: Vec::new(),
        ways: Vec::new(),
    };
    for key in &query.order {
        let name = key.path.dotted();
        let aliased = shown
            .iter()
            .find(|column| compare_text(&column.name, &name) == Ordering::Equal);
        let (route, function) = match (key.function, aliased) {
            (Some(function), _) => (
                aggregated(scope, object, query.alias.as_deref(), function, &key.path)?,
                Some(function),
            ),
            (None, Some(column)) => (column.route.clone(), column.function),
            (None, None) => (
                scope.route(object, query.alias.as_deref(), &key.path)?.0,
                None,
            ),
        };
        sorting.columns.push(Column {
            name,
            route,
            function,
        });
        sorting.ways.push((key.descending, key.nulls_last));
    }
    Ok(sorting)
}

impl Column {
    fn value(&self, scope: &Scope<'_>, object: ObjectIx, group: &[&Row]) -> Cell {
        let value = |row: &&Row| scope.value(object, row, &self.route).into_owned();
        let Some(function) = self.function else {
            return group.first().map(value).unwrap_or_default();
        };
        let mut cells: Vec<Cell> = group
            .iter()
            .map(value)
            .filter(|cell| !cell.is_null())
            .collect();
        let count = |cells: &[Cell]| Cell::Int(i64::try_from(cells.len()).unwrap_or(i64::MAX));
        let sum = |cells: &[Cell]| cells.iter().filter_map(Cell::as_number).sum::<f64>();
        match function {
            Function::Count => count(&cells),
            Function::CountDistinct => {
                cells.sort_by(Cell::compare);
                cells.dedup_by(|a, b| a.compare(b) == Ordering::Equal);
                count(&cells)
            }
            Function::Min => cells.into_iter().min_by(Cell::compare).unwrap_or_default(),
            Function::Max => cells.into_iter().max_by(Cell::compare).unwrap_or_default(),
            Function::Sum | Function::Avg if cells.is_empty() => Cell::Null,
            Function::Sum => Cell::Number(sum(&cells)),
            #[expect(clippy::cast_precision_loss, reason = "no table holds 2^52 records")]
            Function::Avg => Cell::Number(sum(&cells) / cells.len() as f64),
        }
    }
}
