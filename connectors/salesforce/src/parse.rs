//! A native write into a draft. What two readers could read differently is refused.

use std::sync::Arc;

use bytes::Bytes;
use crmgate_connector::assemble::{Parts, Values as _, Writable};
use crmgate_connector::{
    Body, Class, Credential, Draft, Failure, Malformed, Matched, NativeRequest, ParseFailure,
    RequestHead, Target,
};
use crmgate_domain::{
    Document, FieldRef, Kind, Object, Operation, Patch, PatchError, PatchOp, RequestInfo,
};
use http::{HeaderMap, HeaderValue, Method, header};

use crate::connector::SalesforceConnector;
use crate::door;
use crate::draft::{Detail, NestedLookup, Version};
use crate::headers;
use crate::id;
use crate::metadata::{Describe, is_name};
use crate::values::{ObjectValues, normalize};

#[cfg(test)]
mod tests;

/// A body's members: the change under native names, and lookups that have to be looked up.
#[derive(Debug, Default)]
struct Members {
    change: Object,
    lookups: Vec<NestedLookup>,
}

/// Why a body cannot be taken as it is.
enum Unfit {
    /// The description may be too old for this field.
    Unknown(String),
    Malformed(Malformed),
}

impl From<Malformed> for Unfit {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl SalesforceConnector {
    pub(crate) async fn parse_request(
        &self,
        request: NativeRequest,
    ) -> Result<Draft, ParseFailure> {
        let NativeRequest { head, body } = request;
        let matched = match door::classify(&head) {
            Class::Write(matched) => matched,
            Class::Unknown { why } => return Err(Malformed::new("not_understood", why).into()),
            _ => {
                let why = "this request writes nothing";
                return Err(Malformed::new("not_understood", why).into());
            }
        };
        let kept = headers::for_write(&head)?;
        let update_only = query_options(&head, &matched)?;
        let raw = match body {
            _ if matched.method == Method::DELETE => Bytes::new(),
            Body::Full(raw) => {
                headers::json_content(&head.headers)?;
                raw
            }
            Body::Stream(_) => {
                return Err(Malformed::new("not_understood", "the body is not whole").into());
            }
        };
        let credential = self.metadata_credential(&head);
        let body = body_object(&raw, matched.method == Method::DELETE)?;
        let describe = self
            .metadata
            .describe(matched.parameter("object"), &credential)
            .await?;
        let target = target(&matched, &describe)?;
        let (describe, members) = match members(&body, &describe) {
            Ok(members) => (describe, members),
            Err(Unfit::Malformed(malformed)) => return Err(malformed.into()),
            Err(Unfit::Unknown(_)) => {
                let describe = self
                    .metadata
                    .describe_again(matched.parameter("object"), &credential)
                    .await?;
                let members = members(&body, &describe).map_err(|unfit| told(unfit, &describe))?;
                (describe, members)
            }
        };
        refuse_key_in_body(&target, &members.change)?;
        let (change, nested) = self.looked_up(members, &credential).await?;
        Ok(self.make_draft(
            Parsed {
                head,
                matched,
                raw,
                body,
                describe,
                target,
                change,
                nested,
            },
            kept,
            update_only,
        ))
    }

    /// The credential that descriptions are read with: the connection's own where there is one.
    pub(crate) fn metadata_credential(&self, head: &RequestHead) -> Credential {
        match crate::login::caller_token(head) {
            Some(token) if self.upstream.session.is_none() => Credential::Caller(token),
            _ => Credential::Service,
        }
    }

    fn make_draft(&self, parsed: Parsed, headers: HeaderMap, update_only: bool) -> Draft {
        let Parsed {
            head,
            matched,
            raw,
            body,
            describe,
            target,
            change,
            nested,
        } = parsed;
        let deletes = matched.method == Method::DELETE;
        let requested = match (&target, deletes) {
            (_, true) => Kind::Delete,
            (Target::New, _) => Kind::Create,
            (Target::Id(_), _) if matched.route.id == "update" => Kind::Update,
            (Target::Id(_) | Target::Key(_), _) => Kind::Upsert,
        };
        let native_object = describe.name.clone();
        let segment = matched.parameter("version").to_ascii_lowercase();
        let version = Version {
            number: door::version_number(&segment).unwrap_or_default(),
            segment,
        };
        let request = RequestInfo {
            method: matched.method.to_string(),
            resource: matched.resource().to_owned(),
            path_parameters: matched.parameters.clone(),
            query_parameters: head
                .query()
                .into_iter()
                .filter(|(name, _)| name != "_HttpMethod")
                .collect(),
        };
        let detail = Detail {
            describe,
            version,
            body,
            nested,
            headers,
            update_only,
        };
        Draft {
            requested,
            object: self.canonical_object(&native_object),
            native_object,
            target,
            change: (!deletes).then_some(change),
            raw,
            head,
            request: Some(request),
            action: None,
            arguments: None,
            relation: None,
            detail: Some(Arc::new(detail)),
        }
    }

    /// The change with its nested lookups resolved, so that both spellings of a lookup are one.
    async fn looked_up(
        &self,
        members: Members,
        credential: &Credential,
    ) -> Result<(Object, Vec<(String, String)>), ParseFailure> {
        let Members {
            mut change,
            lookups,
        } = members;
        let mut nested = Vec::with_capacity(lookups.len());
        for lookup in lookups {
            let id = self.look_up(&lookup, credential).await?;
            change.set(&lookup.field, id.into());
            nested.push((lookup.member, lookup.field));
        }
        Ok((change, nested))
    }

    /// The canonical name of an object, or its native one in lower case.
    pub(crate) fn canonical_object(&self, native: &str) -> String {
        self.mapping
            .object_by_native(native)
            .map_or_else(|| native.to_ascii_lowercase(), |map| map.canonical.clone())
    }

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

struct Parsed {
    head: RequestHead,
    matched: Matched,
    raw: Bytes,
    body: Object,
    describe: Arc<Describe>,
    target: Target,
    change: Object,
    nested: Vec<(String, String)>,
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

/// Query parameters of a write; gives whether an upsert must not create.
fn query_options(head: &RequestHead, matched: &Matched) -> Result<bool, Malformed> {
    let mut update_only = None;
    for (name, value) in head.query() {
        match (name.as_str(), value.as_str()) {
            ("_HttpMethod", _) => {}
            ("updateOnly", "true" | "false")
                if matched.route.id == "upsert" && update_only.is_none() =>
            {
                update_only = Some(value == "true");
            }
            _ => {
                let message = format!("the query parameter `{name}` is not understood on a write");
                return Err(Malformed::new("not_understood", message));
            }
        }
    }
    Ok(update_only.unwrap_or(false))
}

fn body_object(raw: &[u8], deletes: bool) -> Result<Object, Malformed> {
    if deletes {
        return Ok(Object::new());
    }
    match Document::parse(raw) {
        Ok(Document::Object(object)) => Ok(object),
        Ok(other) => Err(Malformed::new(
            "invalid_json",
            format!(
                "expected an object with the record's fields, found {}",
                other.type_name()
            ),
        )),
        Err(error) => Err(Malformed::new("invalid_json", error.to_string())),
    }
}

fn record_id(text: &str) -> Result<String, Malformed> {
    id::normalize(text).ok_or_else(|| {
        Malformed::new(
            "invalid_id",
            format!("`{text}` is no record id: expected 15 or 18 letters and digits"),
        )
    })
}

fn target(matched: &Matched, describe: &Describe) -> Result<Target, Malformed> {
    match matched.route.id.as_str() {
        "create" | "create-by-id-field" => Ok(Target::New),
        "update" | "delete" => record_id(matched.parameter("id")).map(Target::Id),
        _ => keyed_target(
            matched.parameter("field"),
            matched.parameter("key"),
            describe,
        ),
    }
}

fn keyed_target(name: &str, key: &str, describe: &Describe) -> Result<Target, Malformed> {
    if name.eq_ignore_ascii_case("Id") {
        return record_id(key).map(Target::Id);
    }
    let Some(field) = describe.field(name).filter(|_| is_name(name)) else {
        return Err(Malformed::new(
            "not_understood",
            format!(
                "`{name}` is no field of `{}`; a write through a relationship (`…/{{id}}/{{relationship}}`) \
                 changes another record than it names and is not understood",
                describe.name
            ),
        ));
    };
    if !(field.external_id || field.id_lookup) || !field.unique {
        return Err(Malformed::field(
            "not_understood",
            &field.name,
            format!(
                "`{}` is no unique external id of `{}`: an upsert on it could mean several records",
                field.name, describe.name
            ),
        ));
    }
    Ok(Target::Key(vec![(field.name.clone(), key.to_owned())]))
}

fn refuse_key_in_body(target: &Target, change: &Object) -> Result<(), Malformed> {
    let Target::Key(keys) = target else {
        return Ok(());
    };
    match keys.iter().find(|(name, _)| change.contains(name)) {
        None => Ok(()),
        Some((name, _)) => Err(Malformed::field(
            "invalid_field",
            name,
            format!("The {name} field should not be specified in the sobject data."),
        )),
    }
}

fn told(unfit: Unfit, describe: &Describe) -> Malformed {
    match unfit {
        Unfit::Malformed(malformed) => malformed,
        Unfit::Unknown(name) => Malformed::field(
            "unknown_field",
            &name,
            format!(
                "No such column '{name}' on sobject of type {}",
                describe.name
            ),
        ),
    }
}

fn members(body: &Object, describe: &Describe) -> Result<Members, Unfit> {
    if let Some(name) = body.first_duplicate(str::to_ascii_lowercase) {
        return Err(duplicate(name).into());
    }
    let mut members = Members::default();
    for (name, value) in body.iter() {
        if name.eq_ignore_ascii_case("attributes") {
            check_attributes(value, describe)?;
            continue;
        }
        if name.eq_ignore_ascii_case("Id") {
            let message = "The Id field should not be specified in the sobject data.";
            return Err(Malformed::field("invalid_field", "Id", message).into());
        }
        if let Some(field) = describe.field(name) {
            let value = normalize(field, value).map_err(|expected| {
                Malformed::field(
                    "invalid_value",
                    &field.name,
                    format!("field `{}`: expected {expected}", field.name),
                )
            })?;
            members.change.push(field.name.clone(), value);
        } else if let Some(field) = describe.relationship(name) {
            let nested = value.as_object().ok_or_else(|| {
                Malformed::field(
                    "invalid_value",
                    name,
                    format!("`{name}` is a relationship: expected `{{\"KEY_FIELD\": \"VALUE\"}}`"),
                )
            })?;
            let lookup = nested_lookup(name, field, nested)?;
            members.lookups.push(lookup);
        } else if matches!(value, Document::Object(_) | Document::Array(_)) {
            let message = format!(
                "`{name}` would write other records than `{}`, which is not understood",
                describe.name
            );
            return Err(Malformed::field("not_understood", name, message).into());
        } else {
            return Err(Unfit::Unknown(name.to_owned()));
        }
    }
    let twice = members
        .lookups
        .iter()
        .find(|lookup| members.change.contains(&lookup.field));
    match twice {
        Some(lookup) => Err(duplicate(&lookup.member).into()),
        None => Ok(members),
    }
}

fn duplicate(name: &str) -> Malformed {
    Malformed::field(
        "duplicate_field",
        name,
        format!("field `{name}` stands twice in the body"),
    )
}

/// `attributes.type` does not decide what is written, so it must not say otherwise.
fn check_attributes(value: &Document, describe: &Describe) -> Result<(), Malformed> {
    let said = value.as_object().into_iter().flat_map(Object::iter);
    let mut types = said.filter(|(name, _)| name.eq_ignore_ascii_case("type"));
    let agrees = |(_, said): (&str, &Document)| {
        said.as_str()
            .is_some_and(|said| said.eq_ignore_ascii_case(&describe.name))
    };
    if types.all(agrees) {
        return Ok(());
    }
    Err(Malformed::field(
        "bypass_refused",
        "attributes",
        format!(
            "`attributes.type` names another object than `{}`",
            describe.name
        ),
    ))
}

fn nested_lookup(
    member: &str,
    field: &crate::metadata::Field,
    nested: &Object,
) -> Result<NestedLookup, Malformed> {
    let refuse = |message: String| Malformed::field("invalid_value", member, message);
    if let Some(name) = nested.first_duplicate(str::to_ascii_lowercase) {
        return Err(duplicate(&format!("{member}.{name}")));
    }
    let mut keys = nested
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("attributes"));
    let (Some((key_field, key)), None) = (keys.next(), keys.next()) else {
        return Err(refuse(format!(
            "`{member}` must name one key field of the record it points to"
        )));
    };
    let key = match key {
        Document::String(text) => text.clone(),
        Document::Number(number) => number.as_str().to_owned(),
        other => {
            return Err(refuse(format!(
                "`{member}.{key_field}`: expected a text, found {}",
                other.type_name()
            )));
        }
    };
    let said = nested
        .get("attributes")
        .and_then(|attributes| attributes.as_object()?.get("type")?.as_str());
    let object = match (field.reference_to.as_slice(), said) {
        ([only], None) => only,
        (all, Some(said)) => all
            .iter()
            .find(|object| object.eq_ignore_ascii_case(said))
            .ok_or_else(|| refuse(format!("`{member}` cannot point to `{said}`")))?,
        (all, None) => {
            return Err(refuse(format!(
                "`{member}` can point to several objects: expected `attributes.type`, one of {}",
                all.join(", ")
            )));
        }
    };
    if !is_name(key_field) || key.is_empty() {
        return Err(refuse(format!("`{member}.{key_field}` is no key")));
    }
    Ok(NestedLookup {
        member: member.to_owned(),
        field: field.name.clone(),
        object: object.clone(),
        key_field: key_field.to_owned(),
        key,
    })
}
