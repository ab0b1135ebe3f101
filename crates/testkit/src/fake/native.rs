//! The fake CRM's own requests.

use bytes::Bytes;
use crmgate_connector::{
    Draft, Failure, Malformed, NativeRequest, Outgoing, ParseFailure, RequestHead, Target, Written,
};
use crmgate_domain::{Document, Kind, Object, RequestInfo};
use http::Method;

use super::{FakeConnector, json};

impl FakeConnector {
    pub(super) fn matched(&self, head: &RequestHead) -> Option<crmgate_connector::Matched> {
        let segments = crmgate_connector::routes::split_path(head.path())?;
        self.routes.find(&head.method, &segments)
    }

    pub(super) fn stored(&self, object: &str, id: &str) -> Result<crate::crm::Versioned, Failure> {
        self.crm
            .versioned(object, id)
            .ok_or_else(|| Failure::Refused {
                code: "not_found".to_owned(),
                message: format!("no `{object}` has the id `{id}`"),
                response: Some(Box::new(json(404, r#"{"error":"not_found"}"#.to_owned()))),
            })
    }

    /// Carries out what was sent, as the CRM would.
    pub(super) fn apply(&self, outgoing: &Outgoing) -> Result<Written, Failure> {
        let segments = crmgate_connector::routes::split_path(&outgoing.path_and_query);
        let segments = segments.unwrap_or_default();
        let part = |index: usize| segments.get(index).map_or("", String::as_str);
        let (object, id) = (part(1), part(2));
        let body = Document::parse(&outgoing.body).unwrap_or_default();
        let fields: Vec<(&str, Document)> = body
            .as_object()
            .into_iter()
            .flat_map(Object::iter)
            .map(|(name, value)| (name, value.clone()))
            .collect();
        let pinned = outgoing
            .headers
            .get("if-match")
            .map(|v| v.to_str().unwrap());
        let stored = self.crm.versioned(object, id);
        let standing = stored.as_ref().map(|(_, version)| version.to_string());
        if pinned.is_some_and(|pinned| standing.as_deref() != Some(pinned)) {
            return Err(Failure::VersionMismatch);
        }
        let id = match (outgoing.method.as_str(), part(2)) {
            ("POST", _) => self.crm.next_id(),
            ("PUT", "by") => {
                let found = self.crm.find(object, part(3), part(4));
                found.unwrap_or_else(|| self.crm.next_id())
            }
            (_, id) => id.to_owned(),
        };
        if outgoing.method == Method::DELETE {
            self.crm.remove(object, &id);
        } else {
            self.crm.put(object, &id, &fields);
        }
        let created = outgoing.method == Method::POST || stored.is_none();
        Ok(Written {
            response: json(
                if created { 201 } else { 200 },
                format!(r#"{{"id":"{id}"}}"#),
            ),
            record_id: Some(id),
        })
    }

    pub(super) fn parsed(
        &self,
        request: &NativeRequest,
        raw: &Bytes,
    ) -> Result<Draft, ParseFailure> {
        let unknown = || Malformed::new("not_understood", "no such route");
        let matched = self.matched(&request.head).ok_or_else(unknown)?;
        let object = matched.parameter("object").to_owned();
        let id = || Target::Id(matched.parameter("id").to_owned());
        let (requested, target) = match matched.route.id.as_str() {
            "create" => (Kind::Create, Target::New),
            "update" => (Kind::Update, id()),
            "delete" => (Kind::Delete, id()),
            _ => {
                let field = matched.parameter("field").to_owned();
                let value = matched.parameter("value").to_owned();
                (Kind::Upsert, Target::Key(vec![(field, value)]))
            }
        };
        let change = match requested {
            Kind::Delete => None,
            _ => Some(body(raw)?),
        };
        Ok(Draft {
            requested,
            object: object.to_ascii_lowercase(),
            native_object: object,
            target,
            change,
            raw: raw.clone(),
            request: Some(RequestInfo {
                method: request.head.method.to_string(),
                resource: matched.resource().to_owned(),
                path_parameters: matched.parameters.clone(),
                query_parameters: request.head.query().into_iter().collect(),
            }),
            head: request.head.clone(),
            action: None,
            arguments: None,
            relation: None,
            seed: None,
            detail: None,
        })
    }
}

fn body(raw: &Bytes) -> Result<Object, Malformed> {
    let parsed =
        Document::parse(raw).map_err(|error| Malformed::new("invalid_json", error.to_string()))?;
    match parsed {
        Document::Object(object) if object.first_duplicate(str::to_owned).is_none() => Ok(object),
        Document::Object(_) => Err(Malformed::new("duplicate_field", "a field appears twice")),
        other => Err(Malformed::new(
            "invalid_body",
            format!("expected an object, not {}", other.type_name()),
        )),
    }
}
