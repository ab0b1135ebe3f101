//! A native write into a draft. What two readers could read differently is refused.

use std::sync::Arc;

use bytes::Bytes;
use crmgate_connector::{
    Body, Class, Credential, Draft, Malformed, Matched, NativeRequest, ParseFailure, RequestHead,
    Target,
};
use crmgate_domain::{Kind, Object, RequestInfo};
use http::{HeaderMap, Method};

use crate::connector::SalesforceConnector;
use crate::door;
use crate::draft::{Detail, Version};
use crate::headers;
use crate::id;
use crate::metadata::{Describe, is_name};

mod body;
mod canonical;
#[cfg(test)]
mod tests;

use body::{Members, Unfit, body_object, members, told};

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
            seed: None,
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

pub(crate) fn record_id(text: &str) -> Result<String, Malformed> {
    id::normalize(text).ok_or_else(|| {
        Malformed::new(
            "invalid_id",
            format!("`{text}` is no record id: expected 15 or 18 letters and digits"),
        )
    })
}

/// The id of a record of that object: under another object's name, another object's rules would be
/// asked about it.
fn own_id(text: &str, describe: &Describe) -> Result<String, Malformed> {
    let id = record_id(text)?;
    match &describe.key_prefix {
        Some(prefix) if id::prefix(&id) != prefix => Err(Malformed::new(
            "invalid_id",
            format!("`{text}` is no id of `{}`", describe.name),
        )),
        _ => Ok(id),
    }
}

fn target(matched: &Matched, describe: &Describe) -> Result<Target, Malformed> {
    match matched.route.id.as_str() {
        "create" | "create-by-id-field" => Ok(Target::New),
        "update" | "delete" => own_id(matched.parameter("id"), describe).map(Target::Id),
        _ => keyed_target(
            matched.parameter("field"),
            matched.parameter("key"),
            describe,
        ),
    }
}

fn keyed_target(name: &str, key: &str, describe: &Describe) -> Result<Target, Malformed> {
    if name.eq_ignore_ascii_case("Id") {
        return own_id(key, describe).map(Target::Id);
    }
    if key != key.trim() || key.contains(char::is_control) {
        let message = "a key with spaces around it or control characters can be read in two ways";
        return Err(Malformed::field("invalid_value", name, message));
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
