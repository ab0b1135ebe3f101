//! An application with everything around it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use crmgate_app::{
    App, AppParts, Connection, ConnectionParts, IdentityMode, IdentitySettings, OperationParts,
    Policies, PolicyChecker, PolicyParts, PolicySource, Principal, TokenRequest,
};
use crmgate_connector::{NativeRequest, Refusal};
use crmgate_domain::{Ambient as _, Mode};
use crmgate_enforce::{Answer, Settings};
use crmgate_policy::{LoadErrors, Sources};
use crmgate_store::Role;
use crmgate_testkit::{FakeConnector, FakeCrm, MemoryStore, TestAmbient, request};
use secrecy::{ExposeSecret as _, SecretString};

/// Governs contacts: refuses blocked ones, patches phones.
pub(crate) const POLICY: &str = r#"# METADATA
# scope: package
# title: Contacts
# custom:
#   owner: sales
#   objects: [contact]
#   operations: [create, update, delete]
package crm.sales.contacts

deny contains {"code": "blocked", "message": "this name is blocked"} if input.record.name == "Blocked"

deny contains {"code": "robot", "message": "not for robots"} if input.actor.username == "robot"

patch contains {"op": "set", "field": "phone", "value": "+49"} if input.record.phone == "0"

require_approval contains {
    "code": "big",
    "reason": "it is big",
    "approvers": {"users": ["boss"]},
    "expires_in": "1h",
} if {
    input.record.size > 100
}
"#;

pub(crate) struct Desk(pub(crate) Mutex<String>);

impl PolicySource for Desk {
    fn read(&self) -> Result<Sources, LoadErrors> {
        let text = self.0.lock().unwrap().clone();
        Ok(Sources::global([("sales/contacts.rego".to_owned(), text)]))
    }
}

struct Trusting;

#[async_trait]
impl PolicyChecker for Trusting {
    async fn check(&self, _: &Sources) -> Result<(), LoadErrors> {
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) app: Arc<App>,
    pub(crate) crm: Arc<FakeCrm>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) ambient: Arc<TestAmbient>,
    pub(crate) desk: Arc<Desk>,
}

impl World {
    /// `own` is pass-through, `lent` is brokered; both have the same CRM behind them.
    pub(crate) async fn new(mode: Mode) -> Self {
        Self::with(mode, IdentitySettings::default()).await
    }

    pub(crate) async fn with(mode: Mode, identities: IdentitySettings) -> Self {
        let ambient = Arc::new(TestAmbient::default());
        Self::queued(mode, identities, ambient, None).await
    }

    /// The same with a queue.
    pub(crate) async fn queued(
        mode: Mode,
        identities: IdentitySettings,
        ambient: Arc<TestAmbient>,
        operations: Option<OperationParts>,
    ) -> Self {
        let crm = Arc::new(FakeCrm::default());
        let store = Arc::new(MemoryStore::default());
        let desk = Arc::new(Desk(Mutex::new(POLICY.to_owned())));
        let policies = Policies::start(PolicyParts {
            shared: false,
            source: Arc::<Desk>::clone(&desk),
            checker: Arc::new(Trusting),
            store: Arc::<MemoryStore>::clone(&store),
            ambient: Arc::<TestAmbient>::clone(&ambient),
        });
        let policies = policies.await.unwrap();
        let connection = |name: &str, identity| {
            let clock = Arc::clone(&ambient);
            ConnectionParts {
                connector: Arc::new(FakeConnector::new(name, Arc::clone(&crm), move || {
                    clock.now()
                })),
                identity,
                identities: identities.clone(),
                settings: Settings {
                    mode,
                    policy_time: Duration::from_secs(2),
                    ..Settings::default()
                },
            }
        };
        let app = App::new(AppParts {
            operations,
            processes: None,
            leading: crmgate_app::Leading::always(),
            store: Arc::<MemoryStore>::clone(&store),
            ambient: Arc::<TestAmbient>::clone(&ambient),
            policies,
            connections: vec![
                connection("own", IdentityMode::PassThrough),
                connection("lent", IdentityMode::Brokered),
            ],
            record: crmgate_app::RecordParts::default(),
        });
        Self {
            app: Arc::new(app),
            crm,
            store,
            ambient,
            desk,
        }
    }

    pub(crate) fn ambient_now(&self) -> crmgate_domain::Timestamp {
        self.ambient.now()
    }

    pub(crate) fn connection(&self, name: &str) -> Arc<Connection> {
        let name = name.parse().unwrap();
        Arc::clone(self.app.connections().get(&name).unwrap())
    }

    pub(crate) async fn serve(&self, connection: &str, request: NativeRequest) -> Answer {
        let connection = self.connection(connection);
        let class = connection.classify(&request.head);
        self.app.serve(&connection, class, request).await
    }

    pub(crate) async fn token(&self, roles: &[Role], connections: &[&str]) -> SecretString {
        let wanted = TokenRequest {
            name: "robot".to_owned(),
            roles: roles.to_vec(),
            connections: connections
                .iter()
                .map(|name| name.parse().unwrap())
                .collect(),
            team: None,
            scopes: vec!["write".to_owned()],
            person: None,
            expires_in_seconds: None,
        };
        self.app.tokens().issue(wanted).await.unwrap().token
    }

    pub(crate) async fn principal(&self, roles: &[Role], connections: &[&str]) -> Principal {
        let token = self.token(roles, connections).await;
        self.app.tokens().verify(&token).await.unwrap()
    }
}

/// A request under another token; none at all for an empty one.
pub(crate) fn under(token: &str, mut request: NativeRequest) -> NativeRequest {
    request.head.headers.remove("authorization");
    if !token.is_empty() {
        let value = format!("Bearer {token}").parse().unwrap();
        request.head.headers.insert("authorization", value);
    }
    request
}

pub(crate) fn under_secret(token: &SecretString, request: NativeRequest) -> NativeRequest {
    under(token.expose_secret(), request)
}

pub(crate) fn create(body: &str) -> NativeRequest {
    request("POST", "/records/Contact", body)
}

pub(crate) fn status(answer: &Answer) -> u16 {
    let native = answer.native();
    native
        .unwrap_or_else(|| panic!("{answer:?}"))
        .status
        .as_u16()
}

/// The kind of refusal.
pub(crate) fn kind(answer: &Answer) -> &'static str {
    match answer.refusal() {
        None => "none",
        Some(Refusal::Denied { .. }) => "denied",
        Some(Refusal::Held { .. }) => "held",
        Some(Refusal::Inability { .. }) => "inability",
        Some(Refusal::NotUnderstood { .. }) => "not_understood",
        Some(Refusal::Malformed(_)) => "malformed",
        Some(Refusal::TooLarge { .. }) => "too_large",
        Some(Refusal::Unauthenticated { .. }) => "unauthenticated",
        Some(Refusal::Forbidden { .. }) => "forbidden",
        Some(Refusal::PreconditionFailed { .. }) => "precondition_failed",
    }
}
