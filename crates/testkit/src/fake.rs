//! A connector to [`FakeCrm`], for everything above connectors.
//!
//! Its protocol: `POST /records/{object}` creates, `PATCH /records/{object}/{id}` updates,
//! `PUT /records/{object}/by/{field}/{value}` upserts, `DELETE /records/{object}/{id}` deletes,
//! `GET` of the same paths reads, `POST /sign-in` gives a token, `GET /versions` is open. Bodies
//! are flat JSON objects. Native names start with a capital (`Email` is canonical `email`); names
//! that end in `__c` have no canonical one. Tokens are `Authorization: Bearer …`: every token is
//! valid but those that start with `bad`, and its owner is `user-<token>`.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use crmgate_connector::ReadBackResult;
use crmgate_connector::{
    Body, Capabilities, Class, Connector, Credential, Draft, Failure, Fields, Identity, Locator,
    Malformed, NativeRequest, NativeResponse, Needs, Outgoing, ParseFailure, Pin, QueryPage,
    Refusal, RequestHead, Resolved, RouteClass, Routes, StoredRecord, Target, Written,
};
use crmgate_domain::{Actor, ConnectionName, Document, Kind, Object, Operation, Timestamp};
use crmgate_store::{Locate, Permit, ReadBack};
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

mod change;
mod native;

use self::change::FakeChange;
use crate::crm::{FakeCrm, Fault, Sent};

const ROUTES: &str = "
- {id: versions, methods: [GET], path: /versions, class: open}
- {id: sign-in, methods: [POST], path: /sign-in, class: sign_in}
- {id: list, methods: [GET], path: '/records/{object}', class: read}
- {id: read, methods: [GET], path: '/records/{object}/{id}', class: read}
- {id: create, methods: [POST], path: '/records/{object}', class: write}
- {id: update, methods: [PATCH], path: '/records/{object}/{id}', class: write}
- {id: delete, methods: [DELETE], path: '/records/{object}/{id}', class: write}
- {id: upsert, methods: [PUT], path: '/records/{object}/by/{field}/{value}', class: write}
";

/// A connector to a [`FakeCrm`].
pub struct FakeConnector {
    name: ConnectionName,
    crm: Arc<FakeCrm>,
    routes: Routes,
    service: bool,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// A request as a gateway hands it in, with token `t1`.
///
/// # Panics
/// When method or path are none.
#[must_use]
pub fn request(method: &str, path: &str, body: &str) -> NativeRequest {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "Bearer t1".parse().unwrap());
    headers.insert("user-agent", "testkit/1.0 (rust)".parse().unwrap());
    NativeRequest {
        head: RequestHead {
            method: method.parse().unwrap(),
            uri: path.parse().unwrap(),
            headers,
            gate: Url::parse("https://gate.test").unwrap(),
        },
        body: Body::Full(Bytes::copy_from_slice(body.as_bytes())),
    }
}

fn canonical(native: &str) -> Option<String> {
    let mut letters = native.chars();
    let first = letters.next().filter(char::is_ascii_uppercase)?;
    (!native.ends_with("__c")).then(|| first.to_ascii_lowercase().to_string() + letters.as_str())
}

fn native(canonical: &str) -> String {
    if let Some(native) = canonical.strip_prefix("native.") {
        return native.to_owned();
    }
    let mut letters = canonical.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn json(status: u16, text: String) -> NativeResponse {
    let status = StatusCode::from_u16(status).unwrap();
    NativeResponse::full(status, "application/json", text)
}

impl FakeConnector {
    /// A connector with a service credential, on a clock.
    ///
    /// # Panics
    /// When `name` is no connection name.
    pub fn new(
        name: &str,
        crm: Arc<FakeCrm>,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.parse().unwrap(),
            crm,
            routes: Routes::parse(ROUTES, false).unwrap(),
            service: true,
            now: Arc::new(now),
        }
    }

    /// The same without a service credential: stored records cannot be read.
    #[must_use]
    pub fn without_service(mut self) -> Self {
        self.service = false;
        self
    }
}

#[async_trait]
impl Connector for FakeConnector {
    fn system(&self) -> &'static str {
        "fake"
    }

    fn name(&self) -> &ConnectionName {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            keyed_create: true,
            pin: Pin::Version,
            impersonation: false,
        }
    }

    fn routes(&self) -> &Routes {
        &self.routes
    }

    fn has_service_credential(&self) -> bool {
        self.service
    }

    fn classify(&self, head: &RequestHead) -> Class {
        let Some(matched) = self.matched(head) else {
            return Class::Unknown {
                why: format!("`{} {}` is not understood", head.method, head.path()),
            };
        };
        match matched.route.class {
            RouteClass::Open => Class::Open(matched),
            RouteClass::SignIn => Class::SignIn(matched),
            RouteClass::Read => Class::Read(matched),
            RouteClass::Write => Class::Write(matched),
        }
    }

    fn caller_token(&self, head: &RequestHead) -> Option<SecretString> {
        let token = head.header("authorization")?.strip_prefix("Bearer ")?;
        Some(SecretString::from(token))
    }

    async fn identify(&self, token: &SecretString) -> Result<Identity, Failure> {
        self.crm.count_identification();
        if self.crm.lookups_fail() {
            return Err(Failure::not_sent("told to fail"));
        }
        let token = token.expose_secret();
        if token.starts_with("bad") {
            return Err(Failure::Refused {
                code: "invalid_token".to_owned(),
                message: "the token is not valid".to_owned(),
                response: None,
            });
        }
        Ok(Identity {
            actor: Actor {
                id: format!("user-{token}"),
                username: Some(format!("{token}@example.com")),
                ..Actor::default()
            },
            org: Some("org-1".to_owned()),
        })
    }

    async fn sign_in(&self, _request: NativeRequest) -> Result<NativeResponse, Failure> {
        Ok(json(200, r#"{"access_token":"t1"}"#.to_owned()))
    }

    fn brokered_sign_in(&self, request: &NativeRequest) -> Option<SecretString> {
        let Body::Full(body) = &request.body else {
            return None;
        };
        let body = Document::parse(body).ok()?;
        let token = body.as_object()?.get("client_secret")?.as_str()?;
        Some(SecretString::from(token))
    }

    fn brokered_answer(&self, _request: &NativeRequest, token: &SecretString) -> NativeResponse {
        let text = format!(r#"{{"access_token":"{}"}}"#, token.expose_secret());
        json(200, text)
    }

    async fn parse(&self, mut request: NativeRequest) -> Result<Draft, ParseFailure> {
        let body = std::mem::replace(&mut request.body, Body::empty());
        let raw = body
            .collect(1 << 20)
            .await
            .map_err(|error| Malformed::new("invalid_body", error.to_string()))?;
        self.parsed(&request, &raw)
    }

    async fn draft(
        &self,
        operation: &Operation,
        change: Option<Object>,
    ) -> Result<Draft, ParseFailure> {
        let object = native(&operation.native_object);
        let id = operation.record_id.clone();
        let (method, path) = match (operation.kind, &id) {
            (Kind::Create, _) => ("POST", format!("/records/{object}")),
            (Kind::Update, Some(id)) => ("PATCH", format!("/records/{object}/{id}")),
            (Kind::Delete, Some(id)) => ("DELETE", format!("/records/{object}/{id}")),
            _ => return Err(Malformed::new("not_understood", "no such operation").into()),
        };
        let named = change.map(|fields| {
            let members = fields.into_iter();
            members
                .map(|(name, v)| (native(&name), v))
                .collect::<Object>()
        });
        let body = named.map(|fields| Document::Object(fields).to_json());
        let request = request(method, &path, &body.unwrap_or_default());
        let mut draft = self.parse(request).await?;
        draft.request = None;
        Ok(draft)
    }

    async fn resolve(
        &self,
        draft: Draft,
        needs: &dyn Needs,
        caller: &Credential,
    ) -> Result<Resolved, ParseFailure> {
        self.crm.count_lookup();
        if self.crm.lookups_fail() {
            return Err(Failure::not_sent("told to fail").into());
        }
        if matches!(caller, Credential::Caller(token) if token.expose_secret().starts_with("bad")) {
            return Err(Malformed::new("invalid_token", "the token is not valid").into());
        }
        let (kind, id) = match &draft.target {
            Target::New => (Kind::Create, None),
            Target::Id(id) => (draft.requested, Some(id.clone())),
            Target::Key(key) => {
                let found = key
                    .first()
                    .and_then(|(field, value)| self.crm.find(&draft.native_object, field, value));
                let kind = found.as_ref().map_or(Kind::Create, |_| Kind::Update);
                (kind, found)
            }
        };
        let stored = id
            .as_ref()
            .map(|id| self.stored(&draft.native_object, id))
            .transpose()?;
        let reads = needs.reads(kind, &draft.object, &draft.native_object);
        let new_id = id.is_none().then(|| self.crm.next_id());
        let change = FakeChange::new(&draft, kind, id.or(new_id), stored, &reads, self.service);
        Ok(Resolved {
            kind,
            record_id: if kind == Kind::Create {
                None
            } else {
                Some(change.id().to_owned())
            },
            change: Arc::new(change),
        })
    }

    async fn write(
        &self,
        permit: Permit,
        outgoing: Outgoing,
        _credential: &Credential,
    ) -> Result<Written, Failure> {
        let admitted = permit
            .admit(&self.name, outgoing.hash(), (self.now)())
            .map_err(|error| Failure::not_sent(error.to_string()))?;
        self.crm.log(Sent {
            method: outgoing.method.clone(),
            path: outgoing.path_and_query.clone(),
            body: String::from_utf8_lossy(&outgoing.body).into_owned(),
            basis: Some(admitted.basis),
            decision: Some(admitted.decision),
        });
        self.crm.wait_at_door().await;
        let lost = || Failure::Unknown {
            reason: "no answer came".to_owned(),
        };
        match self.crm.next_fault() {
            None => self.apply(&outgoing),
            Some(Fault::Mismatch) => Err(Failure::VersionMismatch),
            Some(Fault::Lost { committed }) => {
                if committed {
                    self.apply(&outgoing)?;
                }
                Err(lost())
            }
            Some(Fault::Busy { retry_after }) => Err(Failure::Repeatable {
                code: "throttled".to_owned(),
                reason: "busy".to_owned(),
                retry_after,
                response: None,
            }),
            Some(Fault::Unauthorized) => Err(Failure::Refused {
                code: "expired".to_owned(),
                message: "the session has expired".to_owned(),
                response: Some(Box::new(json(401, r#"{"error":"expired"}"#.to_owned()))),
            }),
            Some(Fault::Refuse(code)) => Err(Failure::Refused {
                response: Some(Box::new(json(400, format!(r#"{{"error":"{code}"}}"#)))),
                message: "the CRM's own rule".to_owned(),
                code,
            }),
        }
    }

    async fn pass(
        &self,
        request: NativeRequest,
        _credential: &Credential,
        permit: Option<Permit>,
    ) -> Result<NativeResponse, Failure> {
        let head = request.head;
        let reads = matches!(self.classify(&head), Class::Open(_) | Class::Read(_));
        let admitted = permit
            .map(|permit| permit.admit(&self.name, head.passing_hash(), (self.now)()))
            .transpose()
            .map_err(|error| Failure::not_sent(error.to_string()))?;
        assert!(reads || admitted.is_some(), "a write passed without permit");
        let body = request
            .body
            .collect(1 << 20)
            .await
            .map_err(|error| Failure::not_sent(error.to_string()))?;
        let path = head.uri.path_and_query().unwrap().to_string();
        self.crm.log(Sent {
            method: head.method.clone(),
            path: path.clone(),
            body: String::from_utf8_lossy(&body).into_owned(),
            basis: admitted.as_ref().map(|a| a.basis),
            decision: admitted.as_ref().map(|a| a.decision),
        });
        if reads {
            return Ok(json(200, "[]".to_owned()));
        }
        if !matches!(self.classify(&head), Class::Write(_)) {
            return Ok(json(200, r#"{"passed":true}"#.to_owned()));
        }
        let outgoing = Outgoing {
            method: head.method,
            path_and_query: path,
            headers: HeaderMap::new(),
            body,
            pinned_by_gate: false,
        };
        self.apply(&outgoing).map(|written| written.response)
    }

    fn render(&self, _head: &RequestHead, refusal: &Refusal) -> NativeResponse {
        let (status, code) = match refusal {
            Refusal::Denied {
                about_actor: true, ..
            } => (403, "denied"),
            Refusal::Denied { .. } => (400, "denied"),
            Refusal::Held {
                operation: Some(_), ..
            } => (202, "held"),
            Refusal::Held { .. } => (400, "held"),
            Refusal::Inability { .. } => (503, "inability"),
            Refusal::NotUnderstood { .. } => (400, "not_understood"),
            Refusal::Malformed(_) => (400, "malformed"),
            Refusal::TooLarge { .. } => (413, "too_large"),
            Refusal::Unauthenticated { .. } => (401, "unauthenticated"),
            Refusal::Forbidden { .. } => (403, "forbidden"),
            Refusal::PreconditionFailed { .. } => (412, "precondition_failed"),
        };
        let message = match refusal {
            Refusal::Denied { message, .. }
            | Refusal::Held { message, .. }
            | Refusal::Inability { message, .. }
            | Refusal::NotUnderstood { message }
            | Refusal::Unauthenticated { message }
            | Refusal::Forbidden { message }
            | Refusal::PreconditionFailed { message } => message.clone(),
            Refusal::Malformed(malformed) => malformed.message.clone(),
            Refusal::TooLarge { limit } => format!("longer than {limit} bytes"),
        };
        let mut object = Object::new();
        object.set("error", code.into());
        object.set("message", message.into());
        let mut response = json(status, Document::Object(object).to_json());
        if let Refusal::Inability { retry_after, .. } = refusal {
            let seconds = retry_after.as_secs().max(1).to_string();
            response
                .headers
                .insert("retry-after", seconds.parse().unwrap());
        }
        response
    }

    async fn read(
        &self,
        native_object: &str,
        locator: &Locator,
        _fields: &Fields,
    ) -> Result<Option<StoredRecord>, Failure> {
        let id = match locator {
            Locator::Id(id) => Some(id.clone()),
            Locator::Key(key) => key
                .first()
                .and_then(|(field, value)| self.crm.find(native_object, field, value)),
        };
        Ok(id.and_then(|id| {
            let (fields, version) = self.crm.versioned(native_object, &id)?;
            Some(StoredRecord {
                id,
                fields,
                version: Some(version.to_string()),
            })
        }))
    }

    async fn query(&self, query: &str, _cursor: Option<&str>) -> Result<QueryPage, Failure> {
        let rows = self.crm.all(query).into_iter().map(|(_, fields)| fields);
        Ok(QueryPage {
            rows: rows.collect(),
            next: None,
            total: None,
        })
    }

    fn mapped_objects(&self) -> Vec<(String, String)> {
        vec![("contact".to_owned(), "Contact".to_owned())]
    }

    async fn read_back(&self, read_back: &ReadBack) -> Result<ReadBackResult, Failure> {
        if self.crm.read_backs_fail() {
            return Err(Failure::not_sent("told to fail"));
        }
        let Locate::Id(id) = &read_back.locate else {
            return Ok(ReadBackResult::Uncertain("nothing unique".to_owned()));
        };
        let Some((fields, version)) = self.crm.versioned(&read_back.native_object, id) else {
            return Ok(if read_back.deleted {
                ReadBackResult::Happened(Some(id.clone()))
            } else {
                ReadBackResult::DidNotHappen
            });
        };
        if read_back.version == Some(version.to_string()) {
            return Ok(ReadBackResult::DidNotHappen);
        }
        let mut expected = read_back.expect.iter();
        Ok(
            if expected.all(|(name, value)| fields.get(name) == Some(value)) {
                ReadBackResult::Happened(Some(id.clone()))
            } else {
                ReadBackResult::Uncertain("somebody else wrote".to_owned())
            },
        )
    }

    async fn probe(&self) -> Result<Identity, Failure> {
        self.identify(&SecretString::from("service")).await
    }

    fn forwarded_headers(&self, head: &RequestHead) -> HeaderMap {
        head.headers.clone()
    }
}
