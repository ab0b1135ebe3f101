//! A control API with everything behind it in memory.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use crmgate_app::operations::{CallbackSettings, Limits, NoPressure, OperationParts};
use crmgate_app::{
    App, AppParts, ConnectionParts, IdentityMode, IdentitySettings, Policies, PolicyChecker,
    PolicyParts, PolicySource, TokenRequest,
};
use crmgate_domain::{Ambient, ConnectionName};
use crmgate_listen::Peer;
use crmgate_policy::{LoadErrors, PolicySet, Sources};
use crmgate_store::{Role, Store};
use crmgate_testkit::{FakeConnector, FakeCrm, MemoryStore, TestAmbient};
use http::{HeaderMap, Request, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{Gateway, Parts, router};

/// Refuses contacts without a name, holds those from Atlantis.
pub(super) const NAMES: &str = r#"# METADATA
# title: Names
# description: Contacts have names.
# scope: package
# custom:
#   owner: tests
#   objects: ["contact"]
#   operations: ["create", "update"]
package crm.tests.names

deny contains {"code": "no_name", "message": "a contact needs a name", "fields": ["name"]} if {
	not input.record.name
}

require_approval contains {
	"code": "atlantis",
	"reason": "Atlantis is far",
	"approvers": {"groups": ["sailors"]},
} if {
	input.record.country == "Atlantis"
}

warn contains {"code": "short", "message": "a short name"} if count(input.record.name) < 3

patch contains {"op": "default", "field": "country", "value": "Norway"} if not input.record.country
"#;

/// Policies in memory.
#[derive(Default)]
pub(super) struct Folder(Mutex<BTreeMap<String, String>>);

impl Folder {
    pub(super) fn put(&self, path: &str, text: &str) {
        self.0
            .lock()
            .unwrap()
            .insert(path.to_owned(), text.to_owned());
    }
}

impl PolicySource for Folder {
    fn read(&self) -> Result<Sources, LoadErrors> {
        Ok(Sources::global(self.0.lock().unwrap().clone()))
    }
}

#[async_trait]
impl PolicyChecker for Folder {
    async fn check(&self, sources: &Sources) -> Result<(), LoadErrors> {
        PolicySet::load(sources).map(drop)
    }
}

pub(super) struct World {
    _folder: tempfile::TempDir,
    router: Router,
    pub(super) store: Arc<MemoryStore>,
    pub(super) policies: Arc<Folder>,
    pub(super) app: Arc<App>,
    pub(super) log: Arc<crmgate_store_sql::SqliteStore>,
    tokens: BTreeMap<String, String>,
}

/// An answer, read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
    pub(super) json: Value,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::build(false).await
    }

    pub(super) async fn with_open_probes() -> Self {
        Self::build(true).await
    }

    async fn build(open_probes: bool) -> Self {
        let store = Arc::new(MemoryStore::default());
        let ambient = Arc::new(TestAmbient::default());
        let policies = Arc::new(Folder::default());
        policies.put("tests/names.rego", NAMES);
        let shared: Arc<dyn Store> = Arc::clone(&store) as _;
        let source = Arc::clone(&policies);
        let parts = PolicyParts {
            shared: false,
            source: Arc::clone(&policies) as _,
            checker: source as _,
            store: Arc::clone(&shared),
            ambient: Arc::clone(&ambient) as _,
        };
        let connection = |name: &str| {
            let clock = Arc::clone(&ambient);
            let crm = Arc::new(FakeCrm::default());
            ConnectionParts {
                connector: Arc::new(FakeConnector::new(name, crm, move || clock.now())),
                identity: IdentityMode::PassThrough,
                identities: IdentitySettings::default(),
                settings: crmgate_enforce::Settings::default(),
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let settings = crmgate_store_sql::Settings::default();
        let clock = Arc::clone(&ambient) as _;
        let log = crmgate_store_sql::SqliteStore::open(folder.path(), &settings, clock).await;
        let log = Arc::new(log.unwrap());
        let queue = OperationParts {
            log: Arc::clone(&log) as _,
            jobs: Arc::clone(&log) as _,
            cells: Some(Arc::clone(&log) as _),
            pressure: Arc::new(NoPressure),
            limits: Limits {
                line: 4096,
                ..Limits::default()
            },
            callbacks: CallbackSettings::default(),
        };
        let app = Arc::new(App::new(AppParts {
            operations: Some(queue),
            processes: None,
            leading: crmgate_app::Leading::always(),
            store: shared,
            ambient: Arc::clone(&ambient) as _,
            policies: Policies::start(parts).await.unwrap(),
            connections: vec![connection("acme-a"), connection("acme-b")],
            record: crmgate_app::RecordParts::default(),
        }));
        let gateways = [("acme-a", "https://gate.test:8701"), ("<odd>", "x")];
        let router = router(Parts {
            app: Arc::clone(&app),
            metrics: Arc::new(|| "crmgate_up 1\n".to_owned()),
            open_probes,
            gateways: gateways
                .map(|(connection, url)| Gateway {
                    connection: connection.to_owned(),
                    url: url.to_owned(),
                })
                .to_vec(),
        });
        let mut world = Self {
            _folder: folder,
            router,
            store,
            policies,
            app,
            log,
            tokens: BTreeMap::new(),
        };
        for role in Role::ALL {
            world.add_token(role.as_str(), role, &[]).await;
        }
        world
    }

    /// Makes a token of that role for those connections.
    pub(super) async fn add_token(&mut self, name: &str, role: Role, connections: &[&str]) {
        let names = connections
            .iter()
            .map(|name| name.parse::<ConnectionName>());
        let made = self
            .app
            .tokens()
            .issue(TokenRequest {
                name: name.to_owned(),
                roles: vec![role],
                connections: names.map(Result::unwrap).collect(),
                team: (role == Role::Author).then(|| "tests".to_owned()),
                scopes: Vec::new(),
                person: None,
                expires_in_seconds: None,
            })
            .await
            .unwrap();
        let text = made.token.expose_secret().to_owned();
        self.tokens.insert(name.to_owned(), text);
    }

    pub(super) fn token(&self, name: &str) -> &str {
        &self.tokens[name]
    }

    /// Calls with the token of that name and a JSON body.
    pub(super) async fn call(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let text = body.map(|body| body.to_string());
        self.send(method, path, Some(self.token(token)), text.as_deref())
            .await
    }

    /// Calls from this machine.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = Body::from(body.unwrap_or_default().to_owned());
        self.raw(request.body(body).unwrap(), "127.0.0.1").await
    }

    /// Calls from another machine.
    pub(super) async fn remote(&self, method: &str, path: &str, token: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.raw(request.body(Body::empty()).unwrap(), "192.0.2.7")
            .await
    }

    pub(super) async fn raw(&self, mut request: Request<Body>, from: &str) -> Answer {
        request.extensions_mut().insert(Peer {
            ip: from.parse::<IpAddr>().unwrap(),
            secure: false,
            authority: None,
        });
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 24).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            json: serde_json::from_str(&text).unwrap_or_default(),
            text,
        }
    }
}
