//! Drafts of operations in canonical form.

use std::sync::Arc;

use bytes::Bytes;
use crmgate_connector::assemble::{Parts, Values as _, Writable};
use crmgate_connector::{Credential, Draft, Failure, Malformed, ParseFailure, RequestHead, Target};
use crmgate_domain::{Document, FieldRef, Kind, Object, Operation, Patch, PatchError, PatchOp};
use http::{HeaderMap, HeaderValue, Method, header};

use super::record_id;
use crate::connector::SalesforceConnector;
use crate::door;
use crate::draft::{Detail, Version};
use crate::metadata::Describe;
use crate::values::ObjectValues;

impl SalesforceConnector {
    /// A draft of an operation in canonical form.
    pub(crate) async fn draft_operation(
        &self,
        operation: &Operation,
        change: Option<Object>,
    ) -> Result<Draft, ParseFailure> {
        let native = self
            .mapping
            .object(&operation.object)
            .map_or_else(|| operation.native_object.clone(), |map| map.native.clone());
        let native = if native.is_empty() {
            operation.object.clone()
        } else {
            native
        };
        if self.upstream.session.is_none() {
            let reason = "the connection has no credential of its own to read descriptions with";
            return Err(Failure::not_sent(reason).into());
        }
        let describe = self
            .metadata
            .describe(&native, &Credential::Service)
            .await?;
        let target = match (&operation.record_id, operation.kind) {
            (_, Kind::Create) => Target::New,
            (Some(text), Kind::Update | Kind::Delete) => Target::Id(record_id(text)?),
            (None, Kind::Update | Kind::Delete) => {
                return Err(Malformed::new("invalid_id", "expected the record's `id`").into());
            }
            (_, other) => {
                let message = format!(
                    "operations of kind `{}` are not understood: expected `create`, `update` or `delete`",
                    other.as_str()
                );
                return Err(Malformed::new("not_understood", message).into());
            }
        };
        let change = match operation.kind {
            Kind::Delete => None,
            _ => Some(self.native_change(&describe, operation, change.unwrap_or_default())?),
        };
        let body = change.clone().unwrap_or_default();
        let raw = match &change {
            Some(change) => Bytes::from(Document::from(change.clone()).to_json()),
            None => Bytes::new(),
        };
        let version = Version {
            segment: format!("v{}", self.api_version),
            number: door::version_number(&format!("v{}", self.api_version)).unwrap_or_default(),
        };
        let head = self.made_up_head(&version, &describe.name);
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        Ok(Draft {
            requested: operation.kind,
            object: self.canonical_object(&describe.name),
            native_object: describe.name.clone(),
            target,
            change,
            raw,
            head,
            request: None,
            action: None,
            arguments: None,
            relation: None,
            seed: None,
            detail: Some(Arc::new(Detail {
                describe,
                version,
                body,
                nested: Vec::new(),
                headers,
                update_only: false,
            })),
        })
    }

    fn made_up_head(&self, version: &Version, object: &str) -> RequestHead {
        let path = format!("/services/data/{}/sobjects/{object}", version.segment);
        RequestHead {
            method: Method::POST,
            uri: path.parse().unwrap_or_default(),
            headers: HeaderMap::new(),
            gate: self.upstream.instance.clone(),
        }
    }

    /// Canonical and `native.X` names into native ones: the same way that patches take.
    fn native_change(
        &self,
        describe: &Arc<Describe>,
        operation: &Operation,
        change: Object,
    ) -> Result<Object, Malformed> {
        let values = ObjectValues {
            describe: Arc::clone(describe),
            mapping: Arc::clone(&self.mapping),
            kind: operation.kind,
            record_id: None,
            default_currency: self.currency.clone(),
        };
        let patches: Vec<Patch> = change
            .into_iter()
            .map(|(name, value)| Patch {
                op: PatchOp::Set,
                field: FieldRef(name),
                value,
                package: String::new(),
            })
            .collect();
        let empty = Object::new();
        let parts = Parts {
            map: self.mapping.object_by_native(&describe.name),
            values: &values,
            kind: operation.kind,
            change: Some(&empty),
            stored: None,
        };
        let mut native = Object::new();
        for (name, value) in parts
            .patched(&operation.object, &patches)
            .map_err(|error| unfit_patch(&error))?
        {
            if let Writable::Field(name) = values.writable(&name) {
                native.set(&name, value);
            }
        }
        Ok(native)
    }
}

fn unfit_patch(error: &PatchError) -> Malformed {
    let (code, field) = match error {
        PatchError::NoSuchField { field, .. } => ("unknown_field", Some(field)),
        PatchError::WrongValue { field, .. } | PatchError::NotRead { field } => {
            ("invalid_value", Some(field))
        }
        PatchError::NoRecord => ("invalid_value", None),
    };
    Malformed {
        code,
        message: error.to_string(),
        fields: field.map(ToString::to_string).into_iter().collect(),
    }
}
