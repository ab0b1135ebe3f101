//! `/composite/tree/{Object}`: records with their children, all or none.

use std::collections::HashSet;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{MOST_RECORDS, row_errors};
use crate::salesforce::cell::Cell;
use crate::salesforce::error::ApiError;
use crate::salesforce::id::RecordId;
use crate::salesforce::reply::Reply;
use crate::salesforce::rest::Rest;
use crate::salesforce::save;
use crate::salesforce::schema::{FieldIx, ObjectIx, ObjectType};
use crate::salesforce::store::Store;

const MOST_LEVELS: usize = 5;
const MOST_TYPES: usize = 5;

/// One record of a tree.
struct Node {
    reference: String,
    object: ObjectIx,
    /// Where its parent stands in the list, and the lookup that points there.
    parent: Way,
    record: Map<String, Value>,
}

/// From a record up to its parent.
type Way = Option<(usize, FieldIx)>;
/// A record that is not read yet.
type Waiting<'a> = (ObjectIx, &'a ObjectType, Way, Value);

pub(super) fn tree(rest: &Rest<'_>, object: &str) -> Result<Reply, ApiError> {
    let (object, kind) = rest.object(object)?;
    let mut body = rest.body()?;
    let Some(Value::Array(roots)) = body.remove("records") else {
        return Err(ApiError::bad(
            "INVALID_INPUT",
            "The records array is missing",
        ));
    };
    let nodes = flatten(rest, object, kind, roots)?;
    check(&nodes)?;
    let mut store = rest.org.write();
    let mark = store.begin();
    let (made, errors) = plant(rest, &mut store, &nodes);
    if !errors.is_empty() {
        store.roll_back(mark);
        let body = json!({"hasErrors": true, "results": errors});
        return Ok(Reply::json(StatusCode::BAD_REQUEST, body));
    }
    store.commit();
    let made = nodes.iter().zip(made.into_iter().flatten());
    let results: Vec<Value> = made
        .map(|(node, id)| json!({"referenceId": node.reference, "id": id.to_string()}))
        .collect();
    let body = json!({"hasErrors": false, "results": results});
    Ok(Reply::json(StatusCode::CREATED, body))
}

/// Creates the records; gives what became of each, and what is wrong with those that failed.
fn plant(
    rest: &Rest<'_>,
    store: &mut Store,
    nodes: &[Node],
) -> (Vec<Option<RecordId>>, Vec<Value>) {
    let mut made: Vec<Option<RecordId>> = Vec::with_capacity(nodes.len());
    let mut errors = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let above = node
            .parent
            .map(|(at, field)| (made.get(at).copied().flatten(), field));
        let parent = match above {
            Some((Some(id), field)) => Some((field, Cell::Ref(id))),
            // What failed above says why.
            Some((None, _)) => {
                made.push(None);
                continue;
            }
            None => None,
        };
        let outcome = rest
            .struck(index, "", || Value::Object(node.record.clone()))
            .and_then(|()| {
                let writer = rest.writer(None);
                save::create(store, &writer, node.object, &node.record, parent)
            });
        if let Err(error) = &outcome {
            errors.push(json!({"referenceId": node.reference, "errors": row_errors(error)}));
        }
        made.push(outcome.ok());
    }
    (made, errors)
}

/// All records of the tree, parents before their children.
fn flatten(
    rest: &Rest<'_>,
    object: ObjectIx,
    kind: &ObjectType,
    roots: Vec<Value>,
) -> Result<Vec<Node>, ApiError> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut level: Vec<Waiting<'_>> = roots
        .into_iter()
        .map(|root| (object, kind, None, root))
        .collect();
    for _ in 0..MOST_LEVELS {
        let mut next = Vec::new();
        for (object, kind, parent, record) in level {
            let at = nodes.len();
            let (node, children) = read(object, kind, parent, record)?;
            nodes.push(node);
            for (name, children) in children {
                let way = kind
                    .find_children(&name)
                    .ok_or_else(|| ApiError::no_column(&name, &kind.name))?;
                let child = rest
                    .org
                    .schema
                    .object(way.object)
                    .ok_or_else(ApiError::not_found)?;
                let down = Some((at, way.field));
                next.extend(
                    children
                        .into_iter()
                        .map(|record| (way.object, child, down, record)),
                );
            }
        }
        level = next;
        if level.is_empty() {
            break;
        }
    }
    if level.is_empty() {
        Ok(nodes)
    } else {
        let message = format!("Cannot have more than {MOST_LEVELS} levels");
        Err(ApiError::bad("INVALID_INPUT", message))
    }
}

fn check(nodes: &[Node]) -> Result<(), ApiError> {
    let types: HashSet<ObjectIx> = nodes.iter().map(|node| node.object).collect();
    let references: HashSet<&str> = nodes.iter().map(|node| node.reference.as_str()).collect();
    let message = if nodes.is_empty() {
        "At least one record is required".to_owned()
    } else if nodes.len() > MOST_RECORDS {
        format!("Cannot have more than {MOST_RECORDS} records")
    } else if types.len() > MOST_TYPES {
        format!("Cannot have more than {MOST_TYPES} types")
    } else if references.len() < nodes.len() {
        "Duplicate ReferenceId provided in the request".to_owned()
    } else {
        return Ok(());
    };
    Err(ApiError::bad("INVALID_INPUT", message))
}

type Children = Vec<(String, Vec<Value>)>;

fn read(
    object: ObjectIx,
    kind: &ObjectType,
    parent: Way,
    record: Value,
) -> Result<(Node, Children), ApiError> {
    let bad = |message: &str| ApiError::bad("INVALID_INPUT", message);
    let Value::Object(members) = record else {
        return Err(bad("A record must be an object"));
    };
    let attributes = members.get("attributes");
    let attribute = |name: &str| attributes?.get(name)?.as_str();
    let reference = attribute("referenceId")
        .ok_or_else(|| bad("The referenceId attribute of a record is missing"))?
        .to_owned();
    let named =
        attribute("type").ok_or_else(|| bad("The type attribute of a record is missing"))?;
    if !named.eq_ignore_ascii_case(&kind.name) {
        return Err(bad(
            "The type of a record is not that of its place in the tree",
        ));
    }
    let mut own = Map::new();
    let mut children = Vec::new();
    for (name, mut value) in members {
        match value.get_mut("records").map(Value::take) {
            Some(Value::Array(records)) if name != "attributes" => children.push((name, records)),
            _ => drop(own.insert(name, value)),
        }
    }
    let node = Node {
        reference,
        object,
        parent,
        record: own,
    };
    Ok((node, children))
}
