//! FetchXML: the service's own query language, as far as it asks for one table.

mod xml;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::error::{ApiError, Outcome};
use super::super::read::{List, Reader, Rows};
use super::super::schema::Table;
use super::super::security::Right;
use super::super::store::Row;
use super::bind::{Binder, Filter, Place};
use super::expression::{Compare, Literal};
use super::options::{Options, Order};
use super::page::{Cookie, MAX_PAGE};
use super::test_value::{self, Wildcard};
use xml::{Element, read};

fn invalid(detail: &str) -> ApiError {
    ApiError::bad_request("0x80041102", format!("Invalid FetchXml: {detail}."))
}

/// Answers a query in FetchXML. Rows leave out what they don't hold.
pub(crate) fn fetch(
    reader: &Reader<'_>,
    table: &Arc<Table>,
    xml: &str,
) -> Outcome<Map<String, Value>> {
    reader.caller.check(table, Right::Read)?;
    let root = read(xml)?;
    let mut entities = root.children("entity");
    let (Some(entity), "fetch") = (entities.next(), root.name.as_str()) else {
        return Err(invalid("expected <fetch> with one <entity>"));
    };
    if entity.get("name") != Some(&*table.name) {
        return Err(invalid(&format!(
            "the entity is not '{}', which the address names",
            table.name
        )));
    }
    if root.get("aggregate") == Some("true") || entity.children("link-entity").next().is_some() {
        return Err(ApiError::not_simulated(
            "FetchXML with aggregates or link-entity",
        ));
    }
    let options = options(table, entity)?;
    let mut rows = found(reader, table, entity, &options)?;
    if let Some(top) = root.number("top")? {
        rows.truncate(top);
    }
    let total = rows.len();
    let size = root
        .number("count")?
        .unwrap_or(reader.page_size)
        .min(reader.page_size);
    let page = root.number("page")?.unwrap_or(1).clamp(1, MAX_PAGE);
    let start = root
        .get("paging-cookie")
        .and_then(Cookie::last)
        .and_then(|last| rows.iter().position(|row| row.id == last))
        .map_or((page - 1).saturating_mul(size), |position| position + 1);
    let rest = rows.get(start..).unwrap_or_default();
    let rows = rest.get(..size.min(rest.len())).unwrap_or_default();
    let mut answer = Map::new();
    let context = reader.context_list(table, &options)?;
    reader.put_context(&mut answer, &format!("{}{context}", table.set));
    if root.get("returntotalrecordcount") == Some("true") {
        answer.insert(
            "@Microsoft.Dynamics.CRM.totalrecordcount".to_owned(),
            Value::from(total),
        );
    }
    annotate(reader, table, &mut answer, (rows, rest.len() > size, page));
    let mut items = Vec::new();
    for row in rows {
        let mut record = reader.record(table, row, &options)?;
        record.retain(|_, value| !value.is_null());
        items.push(Value::Object(record));
    }
    answer.insert("value".to_owned(), Value::Array(items));
    Ok(answer)
}

fn annotate(
    reader: &Reader<'_>,
    table: &Table,
    answer: &mut Map<String, Value>,
    (rows, more, page): (&[Arc<Row>], bool, usize),
) {
    if reader.prefer.wants("Microsoft.Dynamics.CRM.morerecords") {
        answer.insert(
            "@Microsoft.Dynamics.CRM.morerecords".to_owned(),
            Value::Bool(more),
        );
    }
    if let (Some(first), Some(last), true) = (
        rows.first(),
        rows.last(),
        more && reader
            .prefer
            .wants("Microsoft.Dynamics.CRM.fetchxmlpagingcookie"),
    ) {
        let cookie = Cookie {
            page: page + 1,
            last: last.id,
        };
        answer.insert(
            "@Microsoft.Dynamics.CRM.fetchxmlpagingcookie".to_owned(),
            Value::String(format!(
                "<cookie pagenumber=\"{}\" pagingcookie=\"{}\" istracking=\"False\" />",
                page + 1,
                cookie.sealed(first.id, &table.id)
            )),
        );
    }
}

/// The columns and the order.
fn options(table: &Table, entity: &Element) -> Outcome<Options> {
    let property = |name: &str| {
        table
            .column(name)
            .map(super::super::schema::Column::property)
            .ok_or_else(|| {
                ApiError::bad_request(
                    "0x80041103",
                    format!(
                        "'{}' entity doesn't contain attribute with Name = '{name}' and NameMapping = 'Logical'.",
                        table.name
                    ),
                )
            })
    };
    let mut options = Options::default();
    if entity.children("all-attributes").next().is_none() {
        let names: Outcome<Vec<String>> = entity
            .children("attribute")
            .map(|one| property(one.get("name").unwrap_or_default()))
            .collect();
        let names = names?;
        options.select = Some(if names.is_empty() {
            vec![table.id.clone()]
        } else {
            names
        });
    }
    for order in entity.children("order") {
        options.order.push(Order {
            path: vec![property(order.get("attribute").unwrap_or_default())?],
            descending: order.get("descending") == Some("true"),
        });
    }
    Ok(options)
}

fn found(
    reader: &Reader<'_>,
    table: &Arc<Table>,
    entity: &Element,
    options: &Options,
) -> Outcome<Vec<Arc<Row>>> {
    let binder = Binder {
        schema: reader.store.schema(),
        here: &reader.here,
    };
    let mut sides = Vec::new();
    for filter in entity.children("filter") {
        sides.push(group(&binder, table, filter, 0)?);
    }
    let filter = Filter::And(sides);
    let list = List {
        table,
        rows: Rows::All,
        options,
        address: "",
    };
    let mut rows: Vec<Arc<Row>> = reader.found(&list, Some(&filter)).cloned().collect();
    let mut order = Vec::new();
    for term in &options.order {
        let place = Place::find(reader.store.schema(), table, &term.path)?;
        order.push((place, term.descending));
    }
    rows.sort_by(|one, two| reader.compare(&order, one, two));
    Ok(rows)
}

fn group(
    binder: &Binder<'_>,
    table: &Arc<Table>,
    filter: &Element,
    depth: usize,
) -> Outcome<Filter> {
    if depth > 20 {
        return Err(invalid("filters are nested too deeply"));
    }
    let mut sides = Vec::new();
    for child in &filter.children {
        match child.name.as_str() {
            "filter" => sides.push(group(binder, table, child, depth + 1)?),
            "condition" => sides.push(condition(binder, table, child)?),
            other => return Err(invalid(&format!("<{other}> is unexpected in a filter"))),
        }
    }
    Ok(match filter.get("type") {
        Some("or") => Filter::Or(sides),
        _ => Filter::And(sides),
    })
}

fn condition(binder: &Binder<'_>, table: &Arc<Table>, one: &Element) -> Outcome<Filter> {
    let name = one.get("attribute").unwrap_or_default();
    let position = table.position(name).ok_or_else(|| {
        ApiError::bad_request(
            "0x80041103",
            format!(
                "'{}' entity doesn't contain attribute with Name = '{name}' and NameMapping = 'Logical'.",
                table.name
            ),
        )
    })?;
    let path = table
        .columns
        .get(position)
        .map(super::super::schema::Column::property)
        .unwrap_or_default();
    let place = Place::find(binder.schema, table, &[path])?;
    let mut values: Vec<Literal> = one
        .children("value")
        .map(|value| Literal::Text(value.text.clone()))
        .collect();
    if let Some(value) = one.get("value") {
        values.push(Literal::Text(value.to_owned()));
    }
    operator(
        binder,
        place,
        one.get("operator").unwrap_or_default(),
        &values,
    )
}

fn operator(
    binder: &Binder<'_>,
    place: Place,
    operator: &str,
    values: &[Literal],
) -> Outcome<Filter> {
    let not = |filter| Filter::Not(Box::new(filter));
    let cells = test_value::list(&place, values)?;
    let text = match values.first() {
        Some(Literal::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let first = || {
        cells
            .first()
            .cloned()
            .ok_or_else(|| invalid(&format!("the operator '{operator}' needs a value")))
    };
    let value = |compare| Ok(Filter::Value(place.clone(), compare, first()?));
    let like = |function: &str| Filter::Like(place.clone(), Wildcard::new(function, &text));
    Ok(match operator {
        "eq" => value(Compare::Eq)?,
        "ne" | "neq" => value(Compare::Ne)?,
        "gt" => value(Compare::Gt)?,
        "ge" => value(Compare::Ge)?,
        "lt" => value(Compare::Lt)?,
        "le" => value(Compare::Le)?,
        "null" => Filter::Value(place, Compare::Eq, super::super::cell::Cell::Null),
        "not-null" => Filter::Value(place, Compare::Ne, super::super::cell::Cell::Null),
        "in" => Filter::In(place, cells),
        "not-in" => not(Filter::In(place, cells)),
        "between" | "not-between" => {
            let [low, high] = cells.as_slice() else {
                return Err(invalid(&format!(
                    "the operator '{operator}' needs two values"
                )));
            };
            let between = Filter::Between(place.clone(), low.clone(), high.clone());
            if operator == "between" {
                between
            } else {
                not(between)
            }
        }
        "like" => Filter::Like(place.clone(), Wildcard::like(&text)),
        "not-like" => not(Filter::Like(place.clone(), Wildcard::like(&text))),
        "begins-with" => like("startswith"),
        "not-begin-with" => not(like("startswith")),
        "ends-with" => like("endswith"),
        "not-end-with" => not(like("endswith")),
        "eq-userid" => Filter::In(
            place,
            vec![super::super::cell::Cell::Guid(binder.here.user)],
        ),
        "ne-userid" => not(Filter::In(
            place,
            vec![super::super::cell::Cell::Guid(binder.here.user)],
        )),
        other => {
            return Err(ApiError::not_simulated(&format!(
                "The FetchXML operator '{other}'"
            )));
        }
    })
}
