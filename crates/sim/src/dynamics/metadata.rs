//! What the environment tells of its tables: the service document, the CSDL, and definitions as records.

mod csdl;
mod describe;
mod filter;
mod relationships;
mod shape;

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::address::{Argument, Segment, unquoted};
use super::api::{NAMESPACE, Request};
use super::error::{ApiError, Outcome};
use super::schema::{Schema, Table, stable_id};

pub(crate) use csdl::csdl;
use shape::shown;

/// Which tables there are, by the names of their sets.
pub(crate) fn service_document(schema: &Schema, service: &str) -> Map<String, Value> {
    let sets = schema
        .tables()
        .map(|table| json!({"name": table.set, "kind": "EntitySet", "url": table.set}))
        .collect();
    let mut document = Map::new();
    document.insert(
        "@odata.context".to_owned(),
        json!(format!("{service}/$metadata")),
    );
    document.insert("value".to_owned(), Value::Array(sets));
    document
}

/// Answers a read of `EntityDefinitions` and the like.
pub(crate) fn definitions(schema: &Schema, request: &Request<'_>) -> Outcome<Map<String, Value>> {
    let Some((first, rest)) = request.segments.split_first() else {
        return Err(ApiError::no_segment(""));
    };
    match (first.name.as_str(), &first.arguments) {
        ("EntityDefinitions", None) if rest.is_empty() => {
            let all = schema
                .tables()
                .map(|table| describe::table(schema, table))
                .collect();
            list(request, "EntityDefinitions", all, |one| {
                expand_table(schema, one)
            })
        }
        ("EntityDefinitions", Some(arguments)) => {
            let table = find_table(schema, arguments)?;
            of_table(schema, request, table, rest)
        }
        ("RelationshipDefinitions", arguments) => {
            let mut all = Vec::new();
            for relation in &schema.relations {
                all.extend(relationships::relation(schema, relation, true));
            }
            all.extend(
                schema
                    .links
                    .iter()
                    .map(|link| relationships::link(link, true)),
            );
            pick(
                request,
                "RelationshipDefinitions",
                all,
                (arguments.as_deref(), rest),
            )
        }
        ("GlobalOptionSetDefinitions", None) if rest.is_empty() => {
            list(request, "GlobalOptionSetDefinitions", Vec::new(), |one| one)
        }
        _ => Err(ApiError::no_segment(&first.name)),
    }
}

fn find_table<'a>(schema: &'a Schema, arguments: &[Argument]) -> Outcome<&'a Arc<Table>> {
    let absent = |name: &str| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "0x80060888",
            format!(
                "Could not find an entity with name {name} and id {}.",
                Uuid::nil()
            ),
        )
    };
    match arguments {
        [
            Argument {
                name: Some(name),
                value,
            },
        ] if name == "LogicalName" => {
            let logical = unquoted(value).ok_or_else(|| syntax(value))?;
            schema.table(&logical).ok_or_else(|| absent(&logical))
        }
        [Argument { name, value }] if name.as_deref().is_none_or(|name| name == "MetadataId") => {
            let id = Uuid::try_parse(value).map_err(|_| syntax(value))?;
            schema
                .tables()
                .find(|table| stable_id("entity", &table.name) == id)
                .ok_or_else(|| absent(value))
        }
        _ => Err(syntax("EntityDefinitions")),
    }
}

fn syntax(what: &str) -> ApiError {
    ApiError::query(format!("Bad Request - Error in query syntax: '{what}'."))
}

fn of_table(
    schema: &Schema,
    request: &Request<'_>,
    table: &Arc<Table>,
    rest: &[Segment],
) -> Outcome<Map<String, Value>> {
    let whole = expand_table(schema, describe::table(schema, table));
    let Some((next, rest)) = rest.split_first() else {
        let mut answer = context(request, "EntityDefinitions", true)?;
        answer.extend(shown(&request.options, &whole)?);
        return Ok(answer);
    };
    let key = format!("EntityDefinitions('{}')/{}", table.name, next.name);
    let Some(value) = whole.get(&next.name).cloned() else {
        return Err(ApiError::no_segment(&next.name));
    };
    let Value::Array(items) = value else {
        let mut answer = context(request, &key, false)?;
        answer.insert("value".to_owned(), value);
        return Ok(answer);
    };
    let items: Vec<Map<String, Value>> = items.into_iter().filter_map(object).collect();
    pick(request, &key, items, (next.arguments.as_deref(), rest))
}

/// A list, or the one of it that is named.
fn pick(
    request: &Request<'_>,
    key: &str,
    items: Vec<Map<String, Value>>,
    (arguments, rest): (Option<&[Argument]>, &[Segment]),
) -> Outcome<Map<String, Value>> {
    match arguments {
        None => cast_list(request, key, items, rest),
        Some(arguments) => {
            let one = items
                .into_iter()
                .find(|one| is_named(one, arguments))
                .ok_or_else(|| not_there(key))?;
            member(request, key, one, rest)
        }
    }
}

/// A list below a table, perhaps narrowed to one type.
fn cast_list(
    request: &Request<'_>,
    key: &str,
    mut items: Vec<Map<String, Value>>,
    rest: &[Segment],
) -> Outcome<Map<String, Value>> {
    match rest {
        [] => list(request, key, items, |one| one),
        [cast] if cast.name.starts_with(NAMESPACE) => {
            narrow(&mut items, &cast.name);
            list(request, &format!("{key}/{}", cast.name), items, |one| one)
        }
        [other, ..] => Err(ApiError::no_segment(&other.name)),
    }
}

/// One column and the like, perhaps as its own type, perhaps one of its properties.
fn member(
    request: &Request<'_>,
    key: &str,
    one: Map<String, Value>,
    rest: &[Segment],
) -> Outcome<Map<String, Value>> {
    let (cast, rest) = match rest.split_first() {
        Some((first, rest)) if first.name.starts_with(NAMESPACE) => (Some(first), rest),
        _ => (None, rest),
    };
    let mut items = vec![one];
    if let Some(cast) = cast {
        narrow(&mut items, &cast.name);
    }
    let one = items.pop().ok_or_else(|| not_there(key))?;
    match rest {
        [] => {
            let mut answer = context(request, key, true)?;
            answer.extend(shown(&request.options, &one)?);
            Ok(answer)
        }
        [property] => match one.get(&property.name) {
            Some(Value::Object(value)) => {
                let mut answer = context(request, key, false)?;
                answer.extend(shown(&request.options, value)?);
                Ok(answer)
            }
            Some(value) => {
                let mut answer = context(request, key, false)?;
                answer.insert("value".to_owned(), value.clone());
                Ok(answer)
            }
            None => Err(ApiError::no_segment(&property.name)),
        },
        [_, other, ..] => Err(ApiError::no_segment(&other.name)),
    }
}

fn not_there(what: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "0x80060888",
        format!("Could not find what '{what}' names."),
    )
}

fn narrow(items: &mut Vec<Map<String, Value>>, cast: &str) {
    let wanted = format!("#{cast}");
    items.retain(|one| one.get("@odata.type").and_then(Value::as_str) == Some(&wanted));
}

fn is_named(one: &Map<String, Value>, arguments: &[Argument]) -> bool {
    let [Argument { name, value }] = arguments else {
        return false;
    };
    let has = |property: &str, text: &str| {
        one.get(property)
            .and_then(Value::as_str)
            .is_some_and(|own| own.eq_ignore_ascii_case(text))
    };
    match (name.as_deref(), unquoted(value)) {
        (Some(name), Some(text)) => has(name, &text),
        (None | Some("MetadataId"), None) => has("MetadataId", value),
        _ => false,
    }
}

/// A list of definitions: filtered, then cut to what is selected.
fn list(
    request: &Request<'_>,
    what: &str,
    items: Vec<Map<String, Value>>,
    complete: impl Fn(Map<String, Value>) -> Map<String, Value>,
) -> Outcome<Map<String, Value>> {
    let options = &request.options;
    if options.top.is_some() || !options.order.is_empty() || options.count {
        return Err(ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "0x8006088a",
            "Only $select, $filter and $expand are supported for Metadata Entities.",
        ));
    }
    let mut found = Vec::new();
    for one in items {
        if let Some(expr) = &options.filter
            && !filter::holds(&one, expr)?
        {
            continue;
        }
        found.push(Value::Object(shown(options, &complete(one))?));
    }
    let mut answer = context(request, what, false)?;
    answer.insert("value".to_owned(), Value::Array(found));
    Ok(answer)
}

fn context(request: &Request<'_>, what: &str, single: bool) -> Outcome<Map<String, Value>> {
    let selected = request
        .options
        .select
        .as_ref()
        .map(|names| format!("({})", names.join(",")))
        .unwrap_or_default();
    let tail = if single { "/$entity" } else { "" };
    let mut answer = Map::new();
    answer.insert(
        "@odata.context".to_owned(),
        json!(format!(
            "{}/$metadata#{what}{selected}{tail}",
            request.service
        )),
    );
    Ok(answer)
}

/// Adds what a table's navigation properties lead to.
fn expand_table(schema: &Schema, mut one: Map<String, Value>) -> Map<String, Value> {
    let name = one
        .get("LogicalName")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let Some(table) = schema.table(&name) else {
        return one;
    };
    let values = |items: Vec<Map<String, Value>>| {
        Value::Array(items.into_iter().map(Value::Object).collect())
    };
    let relations = |outward: bool| {
        let of = |relation: &Arc<super::schema::Relation>| {
            let end = if outward {
                &relation.from
            } else {
                &relation.to
            };
            *end == table.name
        };
        schema
            .relations
            .iter()
            .filter(|relation| of(relation))
            .filter_map(|relation| relationships::relation(schema, relation, false))
            .collect::<Vec<_>>()
    };
    let links = schema
        .links
        .iter()
        .filter(|link| link.left == table.name || link.right == table.name)
        .map(|link| relationships::link(link, false))
        .collect();
    one.insert("Attributes".to_owned(), values(describe::attributes(table)));
    one.insert("Keys".to_owned(), values(describe::keys(table)));
    one.insert("ManyToOneRelationships".to_owned(), values(relations(true)));
    one.insert(
        "OneToManyRelationships".to_owned(),
        values(relations(false)),
    );
    one.insert("ManyToManyRelationships".to_owned(), values(links));
    one
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map),
        _ => None,
    }
}
