//! A store, a simulated CRM, and workers between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{BuildContext, Connector, ConnectorKind as _, Secret, SecretError};
use crmgate_domain::{
    Actor, Ambient, OperationId, Point, ProcessId, State, SubmissionId, Timestamp,
};
use crmgate_enforce::queued::Tries;
use crmgate_enforce::{Gate, Settings as GateSettings, UngovernedRules};
use crmgate_policy::{Active, PolicySet, Sources};
use crmgate_sim::Clock;
use crmgate_sim::serve::Running;
use crmgate_store::{OperationLog, Release, Store, StoredOperation, Submission};
use crmgate_store_sql::SqliteStore;
use crmgate_testkit::TestAmbient;
use crmgate_worker::fair::Rules;
use crmgate_worker::{Ended, LineParts, Parts, Settings, Worker};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::asks::{TestDrafts, Wish};

/// Governs contacts; what it says depends on the last name.
pub(crate) const POLICY: &str = r#"# METADATA
# scope: package
# title: Contacts
# description: What contacts must be.
# custom:
#   owner: sales
#   objects: [contact]
#   operations: [create, update, delete]
package crm.sales.contacts

deny contains {"code": "blocked", "message": "this name is blocked"} if {
    input.record.last_name == "Nono"
}

require_approval contains {
    "code": "big",
    "reason": "it is big",
    "approvers": {"users": ["boss"]},
    "expires_in": "1h",
} if {
    input.record.last_name == "Big"
}

deny contains {"code": "broken", "message": "m"} if {
    input.record.last_name == "Broken"
    1 / (count(input.record.last_name) - 6) > 0
}

patch contains {"op": "set", "field": "phone", "value": "+49"} if input.record.phone == "0"
"#;

/// The same without the rule that breaks.
pub(crate) fn mended() -> String {
    POLICY.replace("1 / (count(input.record.last_name) - 6) > 0", "false")
}

/// Time that goes on by itself and can be moved.
pub(crate) struct Going {
    /// The CRM goes by it, too.
    clock: Clock,
    numbers: TestAmbient,
}

impl Ambient for Going {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn random(&self) -> [u8; 16] {
        self.numbers.random()
    }
}

pub(crate) enum Sim {
    Salesforce(crmgate_sim::salesforce::Simulator),
    Dynamics(crmgate_sim::dynamics::Simulator),
}

impl Sim {
    pub(crate) fn front(&self) -> &crmgate_sim::Front {
        match self {
            Self::Salesforce(sim) => sim.front(),
            Self::Dynamics(sim) => sim.front(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Salesforce,
    Dynamics,
}

pub(crate) const BOTH: [System; 2] = [System::Salesforce, System::Dynamics];

pub(crate) struct World {
    pub(crate) system: System,
    pub(crate) sim: Sim,
    pub(crate) running: Running,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) ambient: Arc<Going>,
    pub(crate) policies: Arc<Active>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) rules: Rules,
    pub(crate) settings: Settings,
    _dir: TempDir,
}

/// A worker under way.
pub(crate) struct Working {
    stop: CancellationToken,
    task: JoinHandle<Ended>,
}

pub(crate) fn actor() -> Actor {
    Actor {
        id: "importer".to_owned(),
        ..Actor::default()
    }
}

pub(crate) fn gate_settings() -> GateSettings {
    GateSettings {
        policy_time: Duration::from_secs(2),
        ungoverned: UngovernedRules::allow_all(),
        settle: Duration::from_millis(200),
        ..GateSettings::default()
    }
}

/// Rules that stand in nobody's way.
pub(crate) fn generous() -> Rules {
    let mut rules = Rules {
        rate: 10_000.0,
        burst: 10_000,
        reserve: 0.0,
        ..Rules::default()
    };
    rules.breaker.pause = Duration::from_millis(50);
    rules
}

fn settings() -> Settings {
    Settings {
        poll: Duration::from_millis(50),
        sweep: Duration::from_millis(100),
        stuck_after: Duration::from_secs(3),
        row_lease: Duration::from_secs(3),
        // Tests count calls, and machines that test are slow.
        linger: Duration::from_millis(200),
        linger_most: Duration::from_secs(5),
        tries: Tries {
            first: Duration::from_millis(20),
            longest: Duration::from_millis(200),
            ..Tries::default()
        },
        ..Settings::default()
    }
}

fn context(name: &str, ambient: &Arc<Going>) -> (crmgate_outbound::Client, Arc<dyn Ambient>) {
    let http = crmgate_outbound::Client::new(crmgate_outbound::Settings {
        system_roots: false,
        name: name.to_owned(),
        ..crmgate_outbound::Settings::default()
    });
    (http.unwrap(), Arc::<Going>::clone(ambient))
}

fn secret(setting: &str, reference: &str) -> Result<Secret, SecretError> {
    let fixed = reference.strip_prefix("fixed:").map(Secret::fixed);
    fixed.ok_or_else(|| SecretError {
        setting: setting.to_owned(),
        problem: "expected `fixed:…`".to_owned(),
    })
}

async fn salesforce(ambient: &Arc<Going>, more: &Value) -> (Sim, Running, Arc<dyn Connector>) {
    let mut options = crmgate_sim::salesforce::SalesforceOptions::default();
    options.common.clock = ambient.clock.clone();
    let sim = crmgate_sim::salesforce::Simulator::new(options.clone()).unwrap();
    let running = crmgate_sim::serve::spawn(sim.router()).await.unwrap();
    let mut settings = json!({
        "login_url": running.url,
        "instance_url": running.url,
        "auth": {
            "flow": "client_credentials",
            "client_id": options.client_id,
            "client_secret": format!("fixed:{}", options.client_secret),
        },
        "external_id_fields": {"Contact": "Ext_Id__c", "Account": "Ext_Id__c"},
    });
    for (key, value) in more.as_object().unwrap() {
        settings[key] = value.clone();
    }
    let (http, clock) = context("acme", ambient);
    let context = BuildContext {
        name: "acme".parse().unwrap(),
        http,
        ambient: clock,
        secrets: &secret,
    };
    let connector = crmgate_salesforce::KIND.build(&settings, context);
    (Sim::Salesforce(sim), running, connector.unwrap())
}

async fn dynamics(ambient: &Arc<Going>) -> (Sim, Running, Arc<dyn Connector>) {
    let mut options = crmgate_sim::dynamics::DynamicsOptions::default();
    options.common.clock = ambient.clock.clone();
    let sim = crmgate_sim::dynamics::Simulator::new(options.clone()).unwrap();
    let running = crmgate_sim::serve::spawn(sim.router()).await.unwrap();
    let settings = json!({
        "url": running.url,
        "authority": running.url,
        "tenant": options.tenant_id.to_string(),
        "client_id": options.applications[0].client_id.to_string(),
        "auth": {"flow": "client_secret", "secret": "fixed:integration-secret"},
    });
    let (http, clock) = context("acme", ambient);
    let context = BuildContext {
        name: "acme".parse().unwrap(),
        http,
        ambient: clock,
        secrets: &secret,
    };
    let connector = crmgate_dynamics::KIND.build(&settings, context);
    (Sim::Dynamics(sim), running, connector.unwrap())
}

pub(crate) fn set(policy: &str) -> Arc<PolicySet> {
    let sources = Sources::global([("sales/contacts.rego".to_owned(), policy.to_owned())]);
    Arc::new(PolicySet::load(&sources).unwrap_or_else(|errors| panic!("{errors}")))
}

impl World {
    pub(crate) async fn new(system: System) -> Self {
        Self::with(system, gate_settings(), &json!({})).await
    }

    pub(crate) async fn with(system: System, gate: GateSettings, more: &Value) -> Self {
        let ambient = Arc::new(Going {
            clock: Clock::default(),
            numbers: TestAmbient::default(),
        });
        let (sim, running, connector) = match system {
            System::Salesforce => salesforce(&ambient, more).await,
            System::Dynamics => dynamics(&ambient).await,
        };
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Ambient> = Arc::<Going>::clone(&ambient);
        let options = crmgate_store_sql::Settings::default();
        let store = SqliteStore::open(dir.path(), &options, Arc::clone(&clock)).await;
        let store = Arc::new(store.unwrap());
        let policies = Arc::new(Active::new(set(POLICY), ambient.now()));
        let kept: Arc<dyn Store> = Arc::<SqliteStore>::clone(&store);
        let parts = crmgate_enforce::Parts {
            connector: Arc::clone(&connector),
            policies: Arc::clone(&policies),
            store: kept,
            ambient: clock,
        };
        Self {
            system,
            sim,
            running,
            connector,
            store,
            gate: Arc::new(Gate::new(parts, gate)),
            ambient,
            policies,
            rules: generous(),
            settings: settings(),
            _dir: dir,
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.ambient.clock.advance(by);
    }

    pub(crate) fn log(&self) -> Arc<dyn OperationLog> {
        Arc::<SqliteStore>::clone(&self.store)
    }

    /// One more worker, as of a process of its own.
    pub(crate) fn worker(&self) -> Working {
        self.worker_over(self.log())
    }

    pub(crate) fn worker_over(&self, operations: Arc<dyn OperationLog>) -> Working {
        self.worker_of(operations, Vec::new())
    }

    /// One that works for other connections, too.
    pub(crate) fn worker_of(
        &self,
        operations: Arc<dyn OperationLog>,
        mut lines: Vec<LineParts>,
    ) -> Working {
        // What the gate itself carries out came by it, and all else by the queue.
        let asked_at = match self.gate.settings().held_writes {
            Release::Execution => Point::Gateway,
            Release::Ticket => Point::Queue,
        };
        // Every process has what it keeps in memory for itself.
        let ambient: Arc<dyn Ambient> = Arc::<Going>::clone(&self.ambient);
        let kept: Arc<dyn Store> = Arc::<SqliteStore>::clone(&self.store);
        let gate = Gate::new(
            crmgate_enforce::Parts {
                connector: Arc::clone(&self.connector),
                policies: Arc::clone(&self.policies),
                store: kept,
                ambient: Arc::clone(&ambient),
            },
            self.gate.settings().clone(),
        );
        lines.push(LineParts {
            gate: Arc::new(gate),
            rules: self.rules.clone(),
        });
        let parts = Parts {
            process: ProcessId::fresh(ambient.as_ref()),
            operations,
            jobs: Arc::<SqliteStore>::clone(&self.store),
            cells: Arc::<SqliteStore>::clone(&self.store),
            ambient,
            drafts: Arc::new(TestDrafts(Arc::clone(&self.connector), asked_at)),
            lines,
            others: Vec::new(),
        };
        let worker = Worker::new(parts, self.settings);
        let stop = CancellationToken::new();
        Working {
            task: tokio::spawn(worker.run(stop.clone())),
            stop,
        }
    }

    pub(crate) fn wish(&self, form: &Value) -> Wish {
        Wish::new(self.ambient.as_ref(), "acme", form)
    }

    pub(crate) fn create(&self, name: &str) -> Wish {
        self.wish(&json!({"kind": "create", "object": "contact", "record": {"last_name": name}}))
    }

    pub(crate) fn update(&self, id: &str, phone: &str) -> Wish {
        self.wish(
            &json!({"kind": "update", "object": "contact", "id": id, "record": {"phone": phone}}),
        )
    }

    /// Submits; gives the ids.
    pub(crate) async fn submit(&self, wishes: Vec<Wish>) -> Vec<OperationId> {
        let ids: Vec<OperationId> = wishes.iter().map(Wish::id).collect();
        let mut submission = Submission {
            id: SubmissionId::fresh(self.ambient.as_ref()),
            owner: "importer".to_owned(),
            key: None,
            at: self.ambient.now(),
            accepted_at: None,
            content: None,
            count: 0,
            repeated: 0,
            refused: 0,
            answer: None,
        };
        self.store.open_submission(&submission).await.unwrap();
        let mut all = Vec::new();
        for (line, wish) in (1..).zip(wishes) {
            all.push(crmgate_store::NewOperation { line, ..wish.0 });
        }
        submission.count = u64::try_from(all.len()).unwrap();
        for chunk in all.chunks(500) {
            self.store
                .stage(submission.id, chunk.to_vec())
                .await
                .unwrap();
        }
        let misfits = self.store.misfits(submission.id, 1_000).await.unwrap();
        assert!(misfits.is_empty(), "{misfits:?}");
        submission.accepted_at = Some(self.ambient.now());
        self.store.accept(&submission).await.unwrap();
        while self
            .store
            .unfold(self.ambient.now(), 1_000)
            .await
            .unwrap()
            .more
        {}
        ids
    }

    pub(crate) async fn see(&self, id: OperationId) -> StoredOperation {
        self.store.operation(id).await.unwrap().unwrap()
    }

    pub(crate) async fn states(&self, ids: &[OperationId]) -> Vec<State> {
        let mut states = Vec::new();
        for id in ids {
            states.push(self.see(*id).await.state);
        }
        states
    }

    /// Waits until all of them stand where they are wanted.
    pub(crate) async fn reach(&self, ids: &[OperationId], wanted: impl Fn(State) -> bool) {
        let reached = async {
            for id in ids {
                while !wanted(self.see(*id).await.state) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        };
        if tokio::time::timeout(Duration::from_secs(25), reached)
            .await
            .is_err()
        {
            let mut text = String::new();
            for id in ids {
                let now = self.see(*id).await;
                if !wanted(now.state) {
                    let history = self.store.history(*id).await.unwrap();
                    let lines = history
                        .iter()
                        .map(|entry| format!("  {} {:?} {}", entry.at, entry.to, entry.by.0))
                        .collect::<Vec<_>>();
                    text += &format!("{id}: {} {:?}\n{}\n", now.state, now.why, lines.join("\n"));
                    break;
                }
            }
            panic!("{:?}: {text}\n{:#?}", self.system, self.calls());
        }
    }

    pub(crate) async fn end(&self, ids: &[OperationId]) {
        self.reach(ids, State::is_final).await;
    }

    /// Submits, works until all have ended, and stops.
    pub(crate) async fn work_off(&self, wishes: Vec<Wish>) -> Vec<StoredOperation> {
        let ids = self.submit(wishes).await;
        let working = self.worker();
        self.end(&ids).await;
        working.stop().await;
        let mut ended = Vec::new();
        for id in ids {
            ended.push(self.see(id).await);
        }
        ended
    }

    pub(crate) fn faults(&self, faults: &Value) {
        let list: crmgate_sim::faults::FaultList =
            serde_json::from_value(json!({"faults": faults})).unwrap();
        list.check().unwrap();
        self.sim.front().faults().set(list.faults);
    }

    /// The calls that may have written, as `METHOD path status`.
    pub(crate) fn calls(&self) -> Vec<String> {
        let entries = self.sim.front().journal().after(0);
        let mut calls = Vec::new();
        for entry in entries {
            let (method, path) = (
                entry["method"].as_str().unwrap(),
                entry["path"].as_str().unwrap(),
            );
            if method == "GET" || path.contains("oauth2") || path.contains("/_sim/") {
                continue;
            }
            calls.push(format!("{method} {path} {}", entry["status"]));
        }
        calls
    }

    /// What is stored of contacts, by last name.
    pub(crate) async fn contacts(&self) -> BTreeMap<String, Vec<Value>> {
        let (object, field) = match self.system {
            System::Salesforce => ("Contact", "LastName"),
            System::Dynamics => ("contact", "lastname"),
        };
        let url = format!("{}/_sim/records/{object}", self.running.url);
        let all = get(&url).await;
        let mut by_name: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for row in all.as_array().unwrap() {
            let name = row[field].as_str().unwrap_or_default().to_owned();
            by_name.entry(name).or_default().push(row.clone());
        }
        by_name
    }

    /// How many contacts have this last name.
    pub(crate) async fn count(&self, name: &str) -> usize {
        self.contacts().await.get(name).map_or(0, Vec::len)
    }

    pub(crate) async fn phone(&self, name: &str) -> Option<String> {
        let field = match self.system {
            System::Salesforce => "Phone",
            System::Dynamics => "telephone1",
        };
        let contacts = self.contacts().await;
        let phone = contacts[name][0][field].as_str();
        phone.map(str::to_owned)
    }

    /// Creates one; gives the record's id.
    pub(crate) async fn made(&self, name: &str) -> String {
        let ended = self.work_off(vec![self.create(name)]).await;
        assert_eq!(ended[0].state, State::Succeeded, "{:?}", ended[0].why);
        ended[0].record_id.clone().unwrap()
    }

    /// Codes and states of its history.
    pub(crate) async fn life(&self, id: OperationId) -> Vec<State> {
        let history = self.store.history(id).await.unwrap();
        history.into_iter().map(|entry| entry.to).collect()
    }
}

impl Working {
    pub(crate) async fn stop(self) -> Ended {
        self.stop.cancel();
        let ended = self.task.await.unwrap();
        assert!(ended.calls_ended);
        ended
    }

    /// Dies without a word.
    pub(crate) async fn die(self) {
        self.task.abort();
        assert!(self.task.await.is_err());
    }
}

/// A plain request of the test's own to the simulator's back door.
pub(crate) async fn get(url: &str) -> Value {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let head = format!("GET /{path} HTTP/1.0\r\nhost: {host}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap()
}
