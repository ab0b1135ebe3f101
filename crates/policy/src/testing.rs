//! Operations and sets for this crate's own tests.

use std::sync::Arc;

use crmgate_domain::candidate::PlainCandidate;
use crmgate_domain::{
    Actor, Ambient, Candidate, Change, ConnectionRef, Document, Kind, Object, Operation,
    OperationId, Point, Timestamp, Views,
};

use crate::{LoadErrors, PolicySet, Sources};

struct Still;

impl Ambient for Still {
    fn now(&self) -> Timestamp {
        Timestamp::constant(1_773_325_800, 0)
    }

    fn random(&self) -> [u8; 16] {
        [7; 16]
    }
}

/// A create of a contact.
pub(crate) fn operation(kind: Kind) -> Operation {
    Operation {
        id: OperationId::fresh(&Still),
        kind,
        requested: None,
        point: Point::Gateway,
        at: Still.now(),
        connection: ConnectionRef {
            name: "acme-sf".parse().unwrap(),
            system: "testcrm".into(),
            org: None,
        },
        object: "contact".into(),
        native_object: "Contact".into(),
        record_id: None,
        actor: Actor {
            id: "005".into(),
            ..Actor::default()
        },
        request: None,
        purpose: None,
        batch: None,
        name: None,
        arguments: None,
        relation: None,
    }
}

pub(crate) fn object(json: &str) -> Object {
    Document::parse(json.as_bytes())
        .unwrap()
        .as_object()
        .unwrap()
        .clone()
}

/// Views of a create that carries these fields.
pub(crate) fn views(json: &str) -> Views {
    let record = object(json);
    let changes = record.iter().map(|(name, to)| {
        let change = Change {
            from: None,
            to: to.clone(),
        };
        (name.to_owned(), change)
    });
    Views {
        changes: changes.collect(),
        record: Some(record),
        native: Some(Object::new()),
        ..Views::default()
    }
}

pub(crate) fn candidate(views: Views) -> Arc<dyn Candidate> {
    Arc::new(PlainCandidate::new(views))
}

/// A package in short: every write of contacts.
pub(crate) fn package(name: &str, meta: &str, rules: &str) -> (String, String) {
    let text = format!(
        "# METADATA\n# title: {name}\n# custom: {{owner: t, objects: [contact], operations: [create, update, delete]{meta}}}\npackage {name}\n\n{rules}\n"
    );
    (format!("{}.rego", name.replace('.', "/")), text)
}

pub(crate) fn load(files: &[(String, String)]) -> Result<PolicySet, LoadErrors> {
    PolicySet::load(&Sources::global(files.iter().cloned()))
}
