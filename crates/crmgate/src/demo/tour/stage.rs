//! What the steps of the tour play on: a plain HTTP client, the gateway, the simulators' backs.

use std::path::PathBuf;
use std::time::Duration;

use crmgate_outbound::{Client, Settings};
use http::request::Builder;
use http::{HeaderMap, Method, Request};
use serde_json::{Value, json};

use crate::client::Api;
use crate::demo::setup::{self, Scene};
use crate::json::{at, list, text};

/// How long the tour waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// The stage.
pub(super) struct Stage {
    http: Client,
    facts: Value,
    pub(super) policies_dir: PathBuf,
    /// A Salesforce token whose scopes allow pricing.
    pub(super) pricing_token: String,
}

/// One answer.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    /// A header's text; empty when it is not there.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body, if it is that of a success.
    fn well(self, asked: impl FnOnce() -> String) -> Result<Value, String> {
        expect((200..300).contains(&self.status), || {
            format!("{} answered {}: {}", asked(), self.status, self.body)
        })?;
        Ok(self.body)
    }

    /// The CRM's error message, as a client shows it.
    pub(super) fn message(&self) -> &str {
        let salesforce = self.body.pointer("/0/message");
        let dynamics = self.body.pointer("/error/message");
        let message = salesforce.or(dynamics).and_then(Value::as_str);
        message.unwrap_or_default()
    }
}

/// Which of the two simulated CRMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crm {
    Salesforce,
    Dynamics,
}

impl Crm {
    const fn key(self) -> &'static str {
        match self {
            Self::Salesforce => "salesforce",
            Self::Dynamics => "dynamics",
        }
    }

    /// The root of its record interface.
    const fn root(self) -> &'static str {
        match self {
            Self::Salesforce => "/services/data/v66.0",
            Self::Dynamics => "/api/data/v9.2",
        }
    }
}

fn request(method: Method, url: &str, token: &str) -> Builder {
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("user-agent", "crmgate-tour/1.0")
        .header("accept", "application/json");
    if token.is_empty() {
        return request;
    }
    request.header("authorization", format!("Bearer {token}"))
}

/// Fails with a sentence.
pub(super) fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl Stage {
    pub(super) fn new(facts: &Value, scene: &Scene) -> Result<Self, String> {
        let settings = Settings {
            extra_ca_files: vec![scene.ca_file.clone()],
            system_roots: false,
            ..Settings::default()
        };
        Ok(Self {
            http: Client::new(settings).map_err(|error| error.to_string())?,
            facts: facts.clone(),
            policies_dir: scene.policies_dir.clone(),
            pricing_token: scene.salesforce.pricing_token.clone(),
        })
    }

    /// The control API, as commands call it.
    pub(super) fn api(&self) -> Result<Api, String> {
        Api::of_demo(&self.facts).map_err(|failure| failure.message)
    }

    fn fact(&self, pointer: &str) -> &str {
        text(&self.facts, pointer)
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let mut request = request(method, url, token);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        self.exchange(request, body).await
    }

    async fn exchange(&self, request: Builder, body: String) -> Result<Answer, String> {
        let request = request.body(body.into_bytes());
        let request = request.map_err(|error| error.to_string())?;
        let answer = self.http.execute(request, 16 << 20).await;
        let (head, bytes) = answer.map_err(|error| error.to_string())?.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        })
    }

    /// A client's request to a CRM, through the gateway. `path` is below the record interface.
    pub(super) async fn call(
        &self,
        crm: Crm,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let token = self.fact(&format!("/{}/access_token", crm.key()));
        self.call_as(token, crm, method, path, body).await
    }

    /// The same under another token.
    pub(super) async fn call_as(
        &self,
        token: &str,
        crm: Crm,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let gateway = self.fact(&format!("/{}/gateway_url", crm.key()));
        let url = format!("{gateway}{}{path}", crm.root());
        self.send(method, &url, token, body).await
    }

    /// A call of the control API.
    pub(super) async fn control(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        self.control_as("admin", method, path, body).await
    }

    /// The same by the token of that role.
    pub(super) async fn control_as(
        &self,
        role: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        let url = format!("{}{path}", self.fact("/control_url"));
        let token = self.fact(&format!("/tokens/{role}"));
        let answer = self.send(method.clone(), &url, token, body).await?;
        answer.well(|| format!("{method} {path}"))
    }

    /// Hands operations over, one a line, as a client of the queue does.
    pub(super) async fn submit(&self, key: &str, lines: &[Value]) -> Result<Value, String> {
        let url = format!("{}/v1/operations", self.fact("/control_url"));
        let request = request(Method::POST, &url, self.fact("/tokens/client"))
            .header("content-type", "application/x-ndjson")
            .header("idempotency-key", key);
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        let answer = self.exchange(request, lines.join("\n")).await?;
        answer.well(|| "POST /v1/operations".to_owned())
    }

    /// The recorded decision that an answer names, once it has the effect told.
    pub(super) async fn decision(&self, answer: &Answer, effect: &str) -> Result<Value, String> {
        let id = answer.header("crmgate-decision");
        expect(!id.is_empty(), || {
            format!(
                "the answer ({}) names no decision: {}",
                answer.status, answer.body
            )
        })?;
        let decision = self
            .control(Method::GET, &format!("/v1/decisions/{id}"), None)
            .await?;
        let found = text(&decision, "/decision/effect");
        expect(found == effect, || {
            format!(
                "the decision is `{found}`, not `{effect}`: {}",
                at(&decision, "/decision")
            )
        })?;
        Ok(decision)
    }

    /// What the simulator stores of an object.
    pub(super) async fn stored(&self, crm: Crm, object: &str) -> Result<Vec<Value>, String> {
        let records = self
            .behind(crm, Method::GET, &format!("records/{object}"))
            .await?;
        Ok(records.as_array().cloned().unwrap_or_default())
    }

    /// The stored record in whose field that value is.
    pub(super) async fn stored_with(
        &self,
        crm: Crm,
        object: &str,
        (field, value): (&str, &str),
    ) -> Result<Option<Value>, String> {
        let records = self.stored(crm, object).await?;
        Ok(records
            .into_iter()
            .find(|record| record.get(field).is_some_and(|found| found == value)))
    }

    /// The number of the newest call in the simulator's journal.
    pub(super) async fn journal_end(&self, crm: Crm) -> Result<u64, String> {
        let calls = self.behind(crm, Method::GET, "requests").await?;
        let last = calls.as_array().and_then(|calls| calls.last());
        Ok(last
            .and_then(|call| at(call, "/seq").as_u64())
            .unwrap_or_default())
    }

    /// The writes of records that reached the simulator after that call.
    pub(super) async fn writes_after(&self, crm: Crm, seq: u64) -> Result<usize, String> {
        let calls = self
            .behind(crm, Method::GET, &format!("requests?after={seq}"))
            .await?;
        let writes = calls.as_array().into_iter().flatten().filter(|call| {
            let method = text(call, "/method");
            let path = text(call, "/path");
            matches!(method, "POST" | "PATCH" | "PUT" | "DELETE") && path.starts_with(crm.root())
        });
        Ok(writes.count())
    }

    /// A call behind the simulator's scenes.
    async fn behind(&self, crm: Crm, method: Method, what: &str) -> Result<Value, String> {
        let simulator = self.fact(&format!("/{}/simulator_url", crm.key()));
        let url = format!("{simulator}/_sim/{what}");
        let answer = self.send(method, &url, "", None).await?;
        expect((200..300).contains(&answer.status), || {
            format!("/_sim/{what} answered {}", answer.status)
        })?;
        Ok(answer.body)
    }

    /// The revision in force.
    pub(super) async fn revision(&self) -> Result<String, String> {
        let status = self.control(Method::GET, "/v1/policies", None).await?;
        Ok(text(&status, "/revision").to_owned())
    }

    /// Waits until a revision is in force of which `wanted` holds.
    pub(super) async fn until_revision(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        let waiting = async {
            loop {
                let revision = self.revision().await?;
                if wanted(&revision) {
                    return Ok(revision);
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let late = |_| Err("the changed policies did not come into force".to_owned());
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(late)
    }

    /// Puts everything back as it was: records, journals, policies, modes.
    pub(super) async fn clear(&self) -> Result<(), String> {
        let before = self.revision().await?;
        setup::restore_policies(&self.policies_dir).map_err(|error| format!("{error:#}"))?;
        // Reading them now spares the wait for the watcher.
        let reloaded = self
            .control(Method::POST, "/v1/policies/reload", None)
            .await?;
        tracing::debug!(%before, after = %at(&reloaded, "/revision"), "the tour's policies are gone");
        for name in [crate::demo::SALESFORCE, crate::demo::DYNAMICS] {
            let path = format!("/v1/connections/{name}/mode");
            self.control(Method::PUT, &path, Some(&json!({"mode": "enforce"})))
                .await?;
        }
        for crm in [Crm::Salesforce, Crm::Dynamics] {
            self.behind(crm, Method::POST, "reset").await?;
        }
        Ok(())
    }
}

/// Why, in the policy's own words.
pub(super) fn reason(decision: &Value, code: &str) -> Result<String, String> {
    let lists = ["reasons", "approvals", "warnings", "dryrun"];
    let found = lists
        .iter()
        .flat_map(|name| list(decision, &format!("/decision/{name}")))
        .find(|reason| text(reason, "/code") == code);
    let Some(found) = found else {
        return Err(format!(
            "no reason `{code}` in {}",
            at(decision, "/decision")
        ));
    };
    // A refusal has a message, an approval a reason.
    let said = [text(found, "/message"), text(found, "/reason")].concat();
    Ok(format!(
        "the policy {} says: {said}",
        text(found, "/package")
    ))
}

/// The id of the decision, for the table.
pub(super) fn id(decision: &Value) -> String {
    text(decision, "/decision/id").to_owned()
}
