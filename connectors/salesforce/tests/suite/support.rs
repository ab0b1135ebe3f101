//! A connector over a simulated org, and the way of one write through it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use crmgate_connector::{
    Body, BuildContext, Connector, ConnectorKind as _, Credential, Failure, NativeChange,
    NativeRequest, NativeResponse, Needs, ParseFailure, RequestHead, Resolved, Secret, SecretError,
};
use crmgate_domain::{Ambient, ConnectionName, Document, FieldRef, FieldSet, Kind, Object, Reads};
use crmgate_outbound::{Client, Settings};
use crmgate_sim::salesforce::{IssuedToken, SalesforceOptions, Simulator};
use crmgate_sim::serve::Running;
use crmgate_testkit::{TestAmbient, permit};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use secrecy::SecretString;
use serde_json::{Value, json};

pub(crate) const RAE: &str = "token-of-rae";
pub(crate) const TOMA: &str = "token-of-toma";

/// What policies read, told by the test.
#[derive(Clone, Default)]
pub(crate) struct Reading(pub(crate) Reads);

impl Needs for Reading {
    fn reads(&self, _: Kind, _: &str, _: &str) -> Reads {
        self.0.clone()
    }
}

pub(crate) fn refs(names: &[&str]) -> FieldSet {
    let refs: BTreeSet<FieldRef> = names
        .iter()
        .map(|name| FieldRef((*name).to_owned()))
        .collect();
    FieldSet::Only(refs)
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
    pub(crate) time: Arc<TestAmbient>,
    pub(crate) sim: Simulator,
    pub(crate) options: SalesforceOptions,
    pub(crate) running: Running,
}

pub(crate) fn connector(
    settings: &Value,
    ambient: &Arc<dyn Ambient>,
) -> Result<Arc<dyn Connector>, Vec<crmgate_connector::Fault>> {
    let secrets = |setting: &str, reference: &str| {
        reference
            .strip_prefix("fixed:")
            .map(Secret::fixed)
            .ok_or_else(|| SecretError {
                setting: setting.to_owned(),
                problem: "expected `fixed:…`".to_owned(),
            })
    };
    let http = Client::new(Settings {
        system_roots: false,
        ..Settings::default()
    })
    .unwrap();
    let context = BuildContext {
        name: "acme-sf".parse().unwrap(),
        http,
        ambient: Arc::clone(ambient),
        secrets: &secrets,
    };
    crmgate_salesforce::KIND.build(settings, context)
}

fn client_credentials(options: &SalesforceOptions) -> Value {
    json!({
        "flow": "client_credentials",
        "client_id": options.client_id,
        "client_secret": format!("fixed:{}", options.client_secret),
    })
}

impl Org {
    /// An org whose connection signs in by client credentials.
    pub(crate) async fn new() -> Self {
        Self::with(client_credentials, json!({})).await
    }

    /// An org whose connection has no credential of its own.
    pub(crate) async fn without_service() -> Self {
        Self::with(|_| json!({"flow": "none"}), json!({})).await
    }

    pub(crate) async fn with(auth: impl FnOnce(&SalesforceOptions) -> Value, more: Value) -> Self {
        let tokens =
            [(RAE, "rae.quillon"), (TOMA, "toma.birkeland")].map(|(token, user)| IssuedToken {
                token: token.to_owned(),
                username: format!("{user}@acme.example"),
                scopes: vec!["api".to_owned()],
            });
        let options = SalesforceOptions {
            tokens: tokens.to_vec(),
            ..SalesforceOptions::default()
        };
        let sim = Simulator::new(options.clone()).unwrap();
        let running = crmgate_sim::serve::spawn(sim.router()).await.unwrap();
        let time = Arc::new(TestAmbient::default());
        let ambient: Arc<dyn Ambient> = time.clone();
        let mut settings = json!({
            "login_url": running.url,
            "instance_url": running.url,
            "auth": auth(&options),
        });
        for (key, value) in more.as_object().unwrap() {
            settings[key] = value.clone();
        }
        Self {
            connector: connector(&settings, &ambient).unwrap(),
            ambient,
            time,
            sim,
            options,
            running,
        }
    }

    pub(crate) fn caller(&self) -> Credential {
        Credential::Caller(SecretString::from(RAE))
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
        let name: &ConnectionName = self.connector.name();
        let permit = permit(name, outgoing.hash(), &self.ambient).await;
        let written = self
            .connector
            .write(permit, outgoing, &self.caller())
            .await?;
        Ok(change.reply(written.response))
    }

    /// The whole way of a write that every policy allows.
    pub(crate) async fn write(&self, request: NativeRequest, needs: &Reading) -> (u16, Value) {
        let resolved = self.resolve(request, needs).await.unwrap();
        whole(self.send(&resolved.change).await.unwrap()).await
    }

    /// Passes a read under the caller's token.
    pub(crate) async fn pass(&self, request: NativeRequest) -> (u16, HeaderMap, Value) {
        let response = self
            .connector
            .pass(request, &self.caller(), None)
            .await
            .unwrap();
        let headers = response.headers.clone();
        let (status, body) = whole(response).await;
        (status, headers, body)
    }

    /// What reached the org: method and path of each call, those of other kinds left out.
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

    /// The id of a seeded record.
    pub(crate) async fn id_of(&self, object: &str, field: &str, value: &str) -> String {
        let query = format!("SELECT Id FROM {object} WHERE {field} = '{value}'");
        let page = self.connector.query(&query, None).await.unwrap();
        page.rows[0].get("Id").unwrap().as_str().unwrap().to_owned()
    }
}

pub(crate) async fn whole(response: NativeResponse) -> (u16, Value) {
    let body = response.body.collect(1 << 24).await.unwrap();
    let value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()))
    };
    (response.status.as_u16(), value)
}

pub(crate) fn head(method: &str, path: &str) -> RequestHead {
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {RAE}");
    headers.insert("authorization", HeaderValue::from_str(&bearer).unwrap());
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    RequestHead {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        uri: path.parse().unwrap(),
        headers,
        gate: "https://gate.example:8701".parse().unwrap(),
    }
}

pub(crate) fn request(method: &str, path: &str, body: &str) -> NativeRequest {
    NativeRequest {
        head: head(method, path),
        body: Body::Full(Bytes::copy_from_slice(body.as_bytes())),
    }
}

pub(crate) fn with_header(mut request: NativeRequest, name: &str, value: &str) -> NativeRequest {
    let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
    request
        .head
        .headers
        .insert(name, HeaderValue::from_str(value).unwrap());
    request
}

/// A path of the record interface.
pub(crate) fn sobjects(rest: &str) -> String {
    format!("/services/data/v66.0/sobjects/{rest}")
}

pub(crate) fn as_json(object: Option<&Object>) -> Value {
    object.map_or(Value::Null, |object| {
        serde_json::from_str(&Document::from(object.clone()).to_json()).unwrap()
    })
}

impl Org {
    /// Sets the gate's clock to the org's.
    pub(crate) fn agree_on_time(&self) {
        let ahead = self
            .options
            .common
            .clock
            .now()
            .duration_since(self.ambient.now());
        self.time.advance(ahead.try_into().unwrap());
    }

    /// Lets the org's time pass.
    pub(crate) fn sim_clock(&self, by: std::time::Duration) {
        self.options.common.clock.advance(by);
    }

    /// Sets faults by the simulator's own control call.
    pub(crate) async fn set_faults(&self, faults: &Value) {
        let client = Client::new(Settings {
            system_roots: false,
            ..Settings::default()
        })
        .unwrap();
        let request = http::Request::put(format!("{}/_sim/faults", self.running.url))
            .header("content-type", "application/json")
            .body(faults.to_string().into_bytes())
            .unwrap();
        let answer = client.execute(request, 1 << 20).await.unwrap();
        assert!(
            answer.status().is_success(),
            "{:?}",
            String::from_utf8_lossy(answer.body())
        );
    }
}
