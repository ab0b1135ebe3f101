//! A gate with everything around it.

use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{Body, Connector as _, Credential, NativeResponse, Refusal};
use crmgate_domain::{Actor, Ambient as _, DecisionId, Document, Effect, Object, Point};
use crmgate_enforce::{Answer, Ask, Caller, Gate, Parts, Settings, Sweeper, UngovernedRules};
use crmgate_policy::{Active, PolicySet, Sources};
use crmgate_store::{OutcomeKind, Store};
use crmgate_testkit::{FakeConnector, FakeCrm, MemoryStore, TestAmbient, request};

/// Governs contacts: refuses blocked ones, patches phones, holds big ones, warns of odd ones.
pub(crate) const POLICY: &str = r#"# METADATA
# scope: package
# title: Contacts
# description: What contacts must be.
# custom:
#   owner: sales
#   objects: [contact]
#   operations: [create, update, delete]
package crm.sales.contacts

deny contains {"code": "blocked", "message": "this name is blocked", "fields": ["native.Name"]} if {
    input.record.name == "Blocked"
}

deny contains {"code": "locked", "message": "the record is locked"} if input.before.state == "locked"

patch contains {"op": "set", "field": "phone", "value": "+49"} if input.record.phone == "0"

patch contains {"op": "set", "field": "nonexistent", "value": 1} if input.record.name == "Unpatchable"

require_approval contains {
    "code": "big",
    "reason": "it is big",
    "approvers": {"users": ["boss"]},
    "expires_in": "1h",
} if {
    input.record.size > 100
}

warn contains {"code": "odd", "message": "an odd name"} if input.record.name == "Odd"

deny contains {"code": "broken", "message": "m"} if {
    input.record.name == "Broken"
    1 / input.record.zero > 0
}
"#;

pub(crate) struct World {
    pub(crate) gate: Arc<Gate>,
    pub(crate) crm: Arc<FakeCrm>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) ambient: Arc<TestAmbient>,
    connector: Arc<FakeConnector>,
    policies: Arc<Active>,
}

pub(crate) fn settings() -> Settings {
    Settings {
        judge_within: Duration::from_secs(2),
        record_within: Duration::from_millis(500),
        policy_time: Duration::from_secs(2),
        ..Settings::default()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(settings(), |connector| connector)
    }

    pub(crate) fn open() -> Self {
        let settings = Settings {
            ungoverned: UngovernedRules::allow_all(),
            ..settings()
        };
        Self::with(settings, |connector| connector)
    }

    pub(crate) fn with(
        settings: Settings,
        change: impl FnOnce(FakeConnector) -> FakeConnector,
    ) -> Self {
        let files = [("sales/contacts.rego".to_owned(), POLICY.to_owned())];
        Self::build(files, settings, change)
    }

    /// With other policies.
    pub(crate) fn of(
        files: impl IntoIterator<Item = (String, String)>,
        settings: Settings,
    ) -> Self {
        Self::build(files, settings, |connector| connector)
    }

    fn build(
        files: impl IntoIterator<Item = (String, String)>,
        settings: Settings,
        change: impl FnOnce(FakeConnector) -> FakeConnector,
    ) -> Self {
        let ambient = Arc::new(TestAmbient::default());
        let crm = Arc::new(FakeCrm::default());
        let clock = Arc::clone(&ambient);
        let connector = FakeConnector::new("acme", Arc::clone(&crm), move || clock.now());
        let sources = Sources::global(files);
        let set = PolicySet::load(&sources).unwrap_or_else(|errors| panic!("{errors}"));
        let policies = Arc::new(Active::new(Arc::new(set), ambient.now()));
        let store = Arc::new(MemoryStore::default());
        let connector = Arc::new(change(connector));
        let gate = gate(&connector, &policies, &store, &ambient, settings);
        Self {
            gate,
            crm,
            store,
            ambient,
            connector,
            policies,
        }
    }

    /// The gate of a process started later over the same store and CRM.
    pub(crate) fn restarted(&self) -> Arc<Gate> {
        let settings = self.gate.settings().clone();
        gate(
            &self.connector,
            &self.policies,
            &self.store,
            &self.ambient,
            settings,
        )
    }

    pub(crate) fn sweeper(&self, gate: &Arc<Gate>) -> Sweeper {
        let store: Arc<dyn Store> = Arc::<MemoryStore>::clone(&self.store);
        Sweeper::new(store, [Arc::clone(gate)])
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Ask {
        Ask {
            draft: self
                .connector
                .parse(request(method, path, body))
                .await
                .unwrap(),
            caller: caller("u1"),
            point: Point::Gateway,
            at: self.ambient.now(),
            purpose: None,
            parsing: Duration::ZERO,
            later: None,
        }
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let ask = self.ask(method, path, body).await;
        self.gate.write(ask).await
    }

    /// A write in a task of its own.
    pub(crate) async fn start(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> tokio::task::JoinHandle<Answer> {
        let ask = self.ask(method, path, body).await;
        let gate = Arc::clone(&self.gate);
        tokio::spawn(async move { gate.write(ask).await })
    }

    /// Waits until that many writes have reached the CRM.
    pub(crate) async fn arrived(&self, count: usize) {
        let arrived = async {
            while self.crm.writes().len() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(5), arrived).await;
        assert!(waited.is_ok(), "{:?}", self.crm.writes());
    }

    /// Waits until that many operations were looked up: on a runtime of one thread they have then
    /// gone on as far as they get.
    pub(crate) async fn looked_up(&self, count: usize) {
        let looked_up = async {
            while self.crm.lookups() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(5), looked_up).await;
        assert!(waited.is_ok(), "{}", self.crm.lookups());
    }

    /// Puts other policies into force.
    pub(crate) fn publish(&self, set: PolicySet) {
        self.policies.publish(&Arc::new(set), self.ambient.now());
    }

    /// Waits until what came of every write so far is stored, where it is known.
    pub(crate) async fn learned(&self) {
        let stored =
            async {
                while self.store.all_decisions().iter().any(|record| {
                    record.basis.is_some() && self.outcome(record.decision.id).is_none()
                }) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
        tokio::time::timeout(Duration::from_secs(5), stored)
            .await
            .unwrap();
    }

    /// Effects of the decisions, oldest first.
    pub(crate) fn effects(&self) -> Vec<Effect> {
        let decisions = self.store.all_decisions();
        decisions
            .iter()
            .map(|r| r.decision.judgement.effect)
            .collect()
    }

    /// The newest outcome of a decision.
    pub(crate) fn outcome(&self, decision: DecisionId) -> Option<OutcomeKind> {
        let outcomes = self.store.all_outcomes();
        let last = outcomes.iter().rev().find(|o| o.decision == decision);
        last.map(|outcome| outcome.kind)
    }
}

fn gate(
    connector: &Arc<FakeConnector>,
    policies: &Arc<Active>,
    store: &Arc<MemoryStore>,
    ambient: &Arc<TestAmbient>,
    settings: Settings,
) -> Arc<Gate> {
    let parts = Parts {
        connector: Arc::<FakeConnector>::clone(connector),
        policies: Arc::clone(policies),
        store: Arc::<MemoryStore>::clone(store),
        ambient: Arc::<TestAmbient>::clone(ambient),
    };
    Arc::new(Gate::new(parts, settings))
}

pub(crate) fn caller(id: &str) -> Caller {
    Caller {
        actor: Actor {
            id: id.to_owned(),
            ..Actor::default()
        },
        org: Some("org-1".to_owned()),
        credential: Credential::Caller("t1".into()),
    }
}

pub(crate) fn status(answer: &Answer) -> u16 {
    let native = answer.native();
    native
        .unwrap_or_else(|| panic!("{answer:?}"))
        .status
        .as_u16()
}

pub(crate) fn id(answer: Answer) -> String {
    let crmgate_enforce::Reply::Native(NativeResponse {
        body: Body::Full(body),
        ..
    }) = answer.reply
    else {
        panic!("{answer:?}");
    };
    let body = Document::parse(&body).unwrap();
    let id = body.as_object().and_then(|body| body.get("id"));
    id.and_then(Document::as_str).unwrap().to_owned()
}

/// Whether the answer is "try again", and with what words.
pub(crate) fn inability(answer: &Answer) -> &str {
    match answer.refusal() {
        Some(Refusal::Inability { message, .. }) => message,
        _ => panic!("{answer:?}"),
    }
}

pub(crate) fn text<'a>(record: &'a Object, field: &str) -> &'a str {
    record
        .get(field)
        .and_then(Document::as_str)
        .unwrap_or_default()
}
