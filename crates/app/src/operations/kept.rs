//! Requests at a brokered gateway that can wait for people: kept so that they can be asked again
//! without the caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use crmgate_connector::{Body, Connector, Credential, Malformed, NativeRequest, RequestHead};
use crmgate_domain::Document;
use crmgate_enforce::Later;
use crmgate_store::OperationLog;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HOST};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use url::Url;

use super::form::{Form, NativeForm};
use super::secrets;

/// A request as it came to the gateway, without its credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayForm {
    /// The request.
    pub request: NativeForm,
    /// The gate's address as the client saw it.
    pub gate: Url,
    /// The CRM's user on whose behalf it is written; `None`: the connection's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
}

impl GatewayForm {
    /// What it is written with.
    #[must_use]
    pub fn credential(&self) -> Credential {
        match &self.on_behalf_of {
            Some(user) => Credential::OnBehalfOf(user.clone()),
            None => Credential::Service,
        }
    }
}

/// What it takes to ask a request again later; `None` for one whose body flows.
pub(crate) fn later(
    operations: &Arc<dyn OperationLog>,
    connector: &Arc<dyn Connector>,
    request: &NativeRequest,
) -> Option<Later> {
    let Body::Full(body) = &request.body else {
        return None;
    };
    let (connector, head, body) = (Arc::clone(connector), request.head.clone(), body.clone());
    Some(Later {
        operations: Arc::clone(operations),
        request: Box::new(move |user| kept(connector.as_ref(), &head, &body, user)),
    })
}

/// INVARIANT: no credential is kept: neither under the names that credentials have, nor the
/// caller's own anywhere else.
fn kept(
    connector: &dyn Connector,
    head: &RequestHead,
    body: &[u8],
    on_behalf_of: Option<&str>,
) -> Result<String, Malformed> {
    let wrong = |what: &str| {
        let message = format!("it must wait for approval and cannot be kept: {what}");
        Malformed::new("cannot_be_held", message)
    };
    let body = std::str::from_utf8(body).map_err(|_| wrong("its body is no text"))?;
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &head.headers {
        let own = [HOST, CONTENT_LENGTH, CONTENT_ENCODING].contains(name);
        if own || secrets::is_credential(name.as_str()) {
            continue;
        }
        let value = value
            .to_str()
            .map_err(|_| wrong(&format!("its header `{name}` is no text")))?;
        let all = headers.entry(name.as_str().to_owned()).or_default();
        if !all.is_empty() {
            all.push_str(", ");
        }
        all.push_str(value);
    }
    let path = head.uri.path_and_query();
    let request = NativeForm {
        method: head.method.as_str().to_owned(),
        path: path.map_or_else(|| "/".to_owned(), ToString::to_string),
        headers,
        body: Some(Document::from(body)).filter(|_| !body.is_empty()),
    };
    secrets::refuse_names(&request).map_err(|_| wrong("its address holds a credential"))?;
    let form = Form::Gateway(GatewayForm {
        request,
        gate: head.gate.clone(),
        on_behalf_of: on_behalf_of.map(str::to_owned),
    });
    let text = serde_json::to_string(&form).map_err(|error| wrong(&error.to_string()))?;
    let token = connector.caller_token(head);
    let token = token.as_ref().map(ExposeSecret::expose_secret);
    if token.is_some_and(|token| !token.is_empty() && text.contains(token)) {
        return Err(wrong("it holds the caller's credential"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use crmgate_testkit::{FakeConnector, FakeCrm, request};
    use http::HeaderValue;

    use super::*;
    use crate::operations::form::native_request;

    const TOKEN: &str = "crmgate_0123456789abcdef_secret";

    fn asked(path: &str, body: &str) -> NativeRequest {
        let mut asked = request("PATCH", path, body);
        let headers = &mut asked.head.headers;
        for (name, value) in [
            ("authorization", &*format!("Bearer {TOKEN}")),
            ("x-sfdc-session", TOKEN),
            ("cookie", "sid=1"),
            ("content-length", "999"),
            ("content-type", "application/json"),
        ] {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        headers.append("prefer", HeaderValue::from_static("return=minimal"));
        headers.append("prefer", HeaderValue::from_static("x"));
        asked
    }

    fn keep(asked: &NativeRequest) -> Result<String, Malformed> {
        let connector = FakeConnector::new("a", Arc::<FakeCrm>::default(), || {
            crmgate_domain::Timestamp::UNIX_EPOCH
        });
        let Body::Full(body) = &asked.body else {
            panic!("it is whole");
        };
        kept(&connector, &asked.head, body, Some("u7"))
    }

    #[test]
    fn what_is_kept_is_the_request_without_its_credential() {
        let body = "{\"Name\": \"Ada\",  \"Score\":1.50}";
        let text = keep(&asked("/records/Contact/c1?a=b", body)).unwrap();
        assert!(!text.contains(TOKEN) && !text.contains("sid=1"), "{text}");
        let Form::Gateway(form) = serde_json::from_str(&text).unwrap() else {
            panic!("{text}");
        };
        assert!(matches!(form.credential(), Credential::OnBehalfOf(user) if user == "u7"));
        let again = native_request(form.request).unwrap();
        assert_eq!(again.head.method, "PATCH");
        assert_eq!(again.head.uri, "/records/Contact/c1?a=b");
        assert_eq!(again.head.headers["prefer"], "return=minimal, x");
        assert!(!again.head.headers.contains_key("content-length"));
        assert!(
            matches!(again.body, Body::Full(kept) if kept == body),
            "byte for byte"
        );
    }

    #[test]
    fn what_holds_a_credential_elsewhere_is_not_kept() {
        for asked in [
            asked("/records/Contact/c1", &format!("{{\"Name\":\"{TOKEN}\"}}")),
            asked("/records/Contact/c1?access_token=1", "{}"),
            asked(&format!("/records/Contact/{TOKEN}"), "{}"),
        ] {
            let refused = keep(&asked).unwrap_err();
            assert_eq!(refused.code, "cannot_be_held");
            assert!(!refused.message.contains(TOKEN), "{refused}");
        }
    }
}
