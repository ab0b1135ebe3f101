//! A connector over a simulated environment, and the way of one write through it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use crmgate_connector::{
    Body, BuildContext, Connector, ConnectorKind as _, Credential, Failure, Fault, NativeChange,
    NativeRequest, NativeResponse, Needs, ParseFailure, RequestHead, Resolved, Secret, SecretError,
};
use crmgate_domain::{Ambient, Document, FieldRef, FieldSet, Kind, Object, Reads};
use crmgate_outbound::{Client, Settings};
use crmgate_sim::Clock;
use crmgate_sim::dynamics::{DynamicsOptions, Simulator};
use crmgate_sim::serve::Running;
use crmgate_testkit::{TestAmbient, permit};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use secrecy::SecretString;
use serde_json::{Value, json};

pub(crate) const ADMIN: &str = "imke.vossen@acme.example";
pub(crate) const GATE: &str = "https://gate.example:8702";
pub(crate) const SECRET: &str = "integration-secret";

/// What policies read, told by the test.
#[derive(Clone, Default)]
pub(crate) struct Reading(pub(crate) Reads);

impl Needs for Reading {
    fn reads(&self, _: Kind, _: &str, _: &str) -> Reads {
        self.0.clone()
    }
}

fn refs(names: &[&str]) -> FieldSet {
    let refs = names.iter().map(|name| FieldRef((*name).to_owned()));
    FieldSet::Only(refs.collect())
}

/// Policies that read these fields of the record, and these of the record before.
pub(crate) fn reading(record: &[&str], before: &[&str]) -> Reading {
    Reading(Reads {
        record: refs(record),
        before: refs(before),
        related: BTreeSet::new(),
    })
}

/// A connector with its surroundings.
pub(crate) struct Org {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) sim: Simulator,
    pub(crate) options: DynamicsOptions,
    pub(crate) running: Running,
    pub(crate) token: String,
}

pub(crate) fn client() -> Client {
    Client::new(Settings {
        system_roots: false,
        ..Settings::default()
    })
    .unwrap()
}

/// A secret reference of these tests: `fixed:TEXT`.
pub(crate) fn secrets(setting: &str, reference: &str) -> Result<Secret, SecretError> {
    let fixed = reference.strip_prefix("fixed:").map(Secret::fixed);
    fixed.ok_or_else(|| SecretError {
        setting: setting.to_owned(),
        problem: "expected `fixed:…`".to_owned(),
    })
}

pub(crate) fn connector(
    settings: &Value,
    ambient: &Arc<dyn Ambient>,
) -> Result<Arc<dyn Connector>, Vec<Fault>> {
    let context = BuildContext {
        name: "acme-dv".parse().unwrap(),
        http: client(),
        ambient: Arc::clone(ambient),
        secrets: &secrets,
    };
    crmgate_dynamics::KIND.build(settings, context)
}

impl Org {
    /// An environment whose connection signs in by its secret.
    pub(crate) async fn new() -> Self {
        Self::with(json!({}), ADMIN).await
    }

    /// An environment whose connection has no credential of its own.
    pub(crate) async fn without_service() -> Self {
        Self::with(json!({"auth": {"flow": "none"}}), ADMIN).await
    }

    pub(crate) async fn with(more: Value, user: &str) -> Self {
        let ambient: Arc<dyn Ambient> = Arc::new(TestAmbient::default());
        Self::made(more, user, DynamicsOptions::default(), ambient).await
    }

    /// Gate and environment by one clock.
    pub(crate) async fn on(more: Value, user: &str, clock: &Clock) -> Self {
        let mut options = DynamicsOptions::default();
        options.common.clock = clock.clone();
        Self::made(more, user, options, following(clock.clone())).await
    }

    async fn made(
        more: Value,
        user: &str,
        options: DynamicsOptions,
        ambient: Arc<dyn Ambient>,
    ) -> Self {
        let sim = Simulator::new(options.clone()).unwrap();
        let running = crmgate_sim::serve::spawn(sim.router()).await.unwrap();
        let mut settings = json!({
            "url": running.url,
            "authority": running.url,
            "tenant": options.tenant_id.to_string(),
            "client_id": options.applications[0].client_id.to_string(),
            "auth": {"flow": "client_secret", "secret": format!("fixed:{SECRET}")},
        });
        for (key, value) in more.as_object().unwrap() {
            settings[key] = value.clone();
        }
        let token = sim.user_token(user, &running.url).unwrap();
        Self {
            connector: connector(&settings, &ambient).unwrap(),
            ambient,
            sim,
            options,
            running,
            token,
        }
    }

    pub(crate) fn caller(&self) -> Credential {
        Credential::Caller(SecretString::from(self.token.as_str()))
    }

    pub(crate) fn head(&self, method: &str, path: &str) -> RequestHead {
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", self.token);
        headers.insert("authorization", HeaderValue::from_str(&bearer).unwrap());
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("odata-version", HeaderValue::from_static("4.0"));
        RequestHead {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            uri: path.parse().unwrap(),
            headers,
            gate: GATE.parse().unwrap(),
        }
    }

    /// A request below the API's root.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> NativeRequest {
        let mut head = self.head(method, &format!("/api/data/v9.2/{path}"));
        if body.is_empty() {
            head.headers.remove("content-type");
        }
        NativeRequest {
            head,
            body: Body::Full(Bytes::copy_from_slice(body.as_bytes())),
        }
    }

    /// Parses and resolves.
    pub(crate) async fn resolve(
        &self,
        request: NativeRequest,
        needs: &Reading,
    ) -> Result<Resolved, ParseFailure> {
        let draft = self.connector.parse(request).await?;
        self.connector.resolve(draft, needs, &self.caller()).await
    }

    /// Sends a judged change under the caller's token.
    pub(crate) async fn send(
        &self,
        change: &Arc<dyn NativeChange>,
    ) -> Result<NativeResponse, Failure> {
        let outgoing = change.outgoing();
        assert_eq!(
            outgoing.hash(),
            change.outgoing().hash(),
            "outgoing is stable"
        );
        let permit = permit(self.connector.name(), outgoing.hash(), &self.ambient).await;
        let written = self
            .connector
            .write(permit, outgoing, &self.caller())
            .await?;
        Ok(change.reply(written.response))
    }

    /// The whole way of a write that every policy allows.
    pub(crate) async fn write(&self, request: NativeRequest, needs: &Reading) -> Seen {
        let resolved = self.resolve(request, needs).await.unwrap();
        seen(self.send(&resolved.change).await.unwrap()).await
    }

    /// Passes a read under the caller's token.
    pub(crate) async fn pass(&self, request: NativeRequest) -> Seen {
        seen(
            self.connector
                .pass(request, &self.caller(), None)
                .await
                .unwrap(),
        )
        .await
    }

    /// What reached the environment's records with these methods.
    pub(crate) fn journal(&self, methods: &[&str]) -> Vec<Value> {
        self.sim
            .front()
            .journal()
            .after(0)
            .into_iter()
            .filter(|entry| methods.contains(&entry["method"].as_str().unwrap()))
            .filter(|entry| !entry["path"].as_str().unwrap().contains("/oauth2/"))
            .collect()
    }

    pub(crate) fn id(&self, table: &str, name: &str) -> String {
        Simulator::seeded_id(table, name).to_string()
    }
}

/// An ambient that goes by the simulator's clock: assertions are checked against it.
pub(crate) fn following(clock: Clock) -> Arc<dyn Ambient> {
    struct Following(Clock, TestAmbient);
    impl Ambient for Following {
        fn now(&self) -> crmgate_domain::Timestamp {
            self.0.now()
        }

        fn random(&self) -> [u8; 16] {
            self.1.random()
        }
    }
    Arc::new(Following(clock, TestAmbient::default()))
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Seen {
    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
}

pub(crate) async fn seen(response: NativeResponse) -> Seen {
    let body = response.body.collect(1 << 24).await.unwrap();
    let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
    let value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body).unwrap_or_else(|_| text())
    };
    Seen {
        status: response.status.as_u16(),
        headers: response.headers,
        body: value,
    }
}

pub(crate) fn with_header(mut request: NativeRequest, name: &str, value: &str) -> NativeRequest {
    let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
    let value = HeaderValue::from_str(value).unwrap();
    request.head.headers.append(name, value);
    request
}

pub(crate) fn as_json(object: Option<&Object>) -> Value {
    object.map_or(Value::Null, |object| {
        serde_json::from_str(&Document::from(object.clone()).to_json()).unwrap()
    })
}
