use std::sync::Mutex as Guarded;
use std::sync::atomic::{AtomicUsize, Ordering};

use crmgate_testkit::{MemoryStore, TestAmbient};

use crmgate_policy::Source;

use super::*;

const GOOD: &str = "# METADATA
# scope: package
# title: T
# custom:
#   owner: o
#   objects: [contact]
#   operations: [create]
package crm.team.policy

deny contains \"no\" if input.record.name == \"x\"
";

/// Policies that a test writes: the global one, and those of connections.
struct Desk(Guarded<String>, Guarded<BTreeMap<&'static str, String>>);

impl PolicySource for Desk {
    fn read(&self) -> Result<Sources, LoadErrors> {
        let text = self.0.lock().unwrap().clone();
        if text == "unreadable" {
            return Err(LoadError::file("unreadable", "team/policy.rego", "no").into());
        }
        let mut sources = Sources::global([("team/policy.rego".to_owned(), text)]);
        for (name, text) in self.1.lock().unwrap().iter() {
            let layer = sources
                .connections
                .entry(name.parse().unwrap())
                .or_default();
            layer.files = vec![Source {
                path: "own/policy.rego".to_owned(),
                text: text.clone(),
            }];
        }
        Ok(sources)
    }
}

/// Refuses what says so, and counts how often it hung.
#[derive(Default)]
struct Child(AtomicUsize);

#[async_trait]
impl PolicyChecker for Child {
    async fn check(&self, sources: &Sources) -> Result<(), LoadErrors> {
        let hangs = |file: &&Source| file.text.contains("# hangs");
        for (name, layer) in &sources.connections {
            if let Some(file) = layer.files.iter().find(hangs) {
                self.0.fetch_add(1, Ordering::Relaxed);
                let fault = LoadError::file("loader", &file.path, "did not come back");
                return Err(fault.of(name).into());
            }
        }
        match sources.global.iter().find(hangs) {
            Some(file) => Err(LoadError::file("loader", &file.path, "did not come back").into()),
            None => Ok(()),
        }
    }
}

struct World {
    desk: Arc<Desk>,
    store: Arc<MemoryStore>,
    ambient: Arc<TestAmbient>,
    child: Arc<Child>,
}

impl World {
    fn new(text: &str) -> Self {
        Self {
            desk: Arc::new(Desk(Guarded::new(text.to_owned()), Guarded::default())),
            store: Arc::new(MemoryStore::default()),
            ambient: Arc::new(TestAmbient::default()),
            child: Arc::default(),
        }
    }

    fn write(&self, text: &str) {
        text.clone_into(&mut self.desk.0.lock().unwrap());
    }

    /// Writes a connection's layer.
    fn write_own(&self, connection: &'static str, text: &str) {
        let mut all = self.desk.1.lock().unwrap();
        all.insert(connection, text.to_owned());
    }

    async fn start(&self) -> Result<Policies, AppError> {
        Policies::start(PolicyParts {
            shared: false,
            source: Arc::<Desk>::clone(&self.desk),
            checker: Arc::<Child>::clone(&self.child),
            store: Arc::<MemoryStore>::clone(&self.store),
            ambient: Arc::<TestAmbient>::clone(&self.ambient),
        })
        .await
    }
}

#[tokio::test]
async fn a_change_comes_into_force_and_a_broken_one_does_not() {
    let world = World::new(GOOD);
    let policies = world.start().await.unwrap();
    let first = policies.status().revision;
    assert_eq!(
        policies.reload().await.unwrap(),
        Reloaded {
            revision: first.clone(),
            changed: false,
            without: Vec::new(),
        }
    );

    for broken in [
        "package crm.team.policy\n\ndeny contains",
        "unreadable",
        &format!("{GOOD}# hangs\n"),
    ] {
        world.write(broken);
        let error = policies.reload().await.unwrap_err();
        assert_eq!(error.code(), "policies_broken");
        let status = policies.status();
        assert!(status.degraded && status.broken_since.is_some());
        assert!(
            status
                .faults
                .iter()
                .all(|fault| fault.starts_with("team/policy.rego")),
            "{status:?}"
        );
        assert_eq!(status.revision, first, "the last good one stays in force");
        assert_eq!(policies.active().current().revision(), &first);
    }
    world.write(&GOOD.replace("\"x\"", "\"y\""));
    let reloaded = policies.reload().await.unwrap();
    assert!(reloaded.changed && reloaded.revision != first);
    assert!(!policies.status().degraded);
}

#[tokio::test]
async fn a_restart_over_broken_policies_goes_on_with_the_last_good_ones() {
    let world = World::new(GOOD);
    let policies = world.start().await.unwrap();
    world.write(&GOOD.replace("\"x\"", "\"y\""));
    let second = policies.reload().await.unwrap().revision;
    drop(policies);
    world.write("package crm.team.policy\n\ndeny contains");
    let policies = world.start().await.unwrap();
    let status = policies.status();
    assert!(status.degraded);
    assert_eq!(status.revision, second, "the one that was in force last");
    world.write(GOOD);
    assert!(policies.reload().await.unwrap().changed);
    assert!(!policies.status().degraded);
}

#[tokio::test]
async fn without_anything_to_judge_by_the_gate_does_not_open() {
    let world = World::new("package crm.team.policy\n\ndeny contains");
    let error = world.start().await.err().unwrap();
    assert_eq!(error.code(), "policies_broken");
    assert!(error.to_string().contains("team/policy.rego:"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_stored_does_not_come_into_force() {
    let world = World::new(GOOD);
    let policies = world.start().await.unwrap();
    let first = policies.status().revision;
    world.write(&GOOD.replace("\"x\"", "\"y\""));
    world.store.set_broken(true);
    assert_eq!(policies.reload().await.unwrap_err().code(), "unavailable");
    assert_eq!(policies.status().revision, first);
    world.store.set_broken(false);
    assert!(policies.reload().await.unwrap().changed);
}

fn own(name: &str) -> String {
    GOOD.replace("crm.team.policy", &format!("crm.own.{name}"))
}

/// Whether the set in force has a connection's package.
fn has(policies: &Policies, package: &str) -> bool {
    let set = policies.active().current();
    set.packages().any(|(_, found)| found.name == package)
}

#[tokio::test]
async fn a_connections_mistake_is_its_own() {
    let world = World::new(GOOD);
    world.write_own("acme-sf", &own("first"));
    world.write_own("acme-dv", &own("other"));
    let policies = world.start().await.unwrap();
    for broken in ["package crm.own.first\n\ndeny contains", "# hangs"] {
        world.write_own("acme-sf", broken);
        world.write_own("acme-dv", &own(&format!("changed{}", broken.len())));
        let reloaded = policies.reload().await.unwrap();
        assert!(reloaded.changed);
        assert_eq!(reloaded.without, ["acme-sf".parse().unwrap()]);
        let changed = format!("crm.own.changed{}", broken.len());
        assert!(has(&policies, &changed), "what others changed is in force");
        assert!(has(&policies, "crm.own.first"), "its last good layer stays");
        let status = policies.status();
        assert!(status.degraded && status.faults.is_empty());
        let layer = &status.connections[0];
        assert_eq!((layer.connection.as_str(), layer.shut), ("acme-sf", false));
        assert!(layer.faults[0].contains("own/policy.rego"), "{layer:?}");
    }
    // The same after a restart.
    drop(policies);
    let policies = world.start().await.unwrap();
    assert!(has(&policies, "crm.own.first") && policies.status().degraded);
    world.write_own("acme-sf", &own("second"));
    assert!(policies.reload().await.unwrap().without.is_empty());
    assert!(has(&policies, "crm.own.second") && !policies.status().degraded);
}

#[tokio::test]
async fn a_connection_that_never_had_a_sound_layer_is_shut_alone() {
    let world = World::new(GOOD);
    world.write_own("acme-sf", "# hangs");
    let policies = world.start().await.unwrap();
    let set = policies.active().current();
    assert!(set.is_shut(&"acme-sf".parse().unwrap()));
    assert!(!set.is_shut(&"acme-dv".parse().unwrap()));
    assert!(policies.status().connections[0].shut);
    world.write_own("acme-sf", &own("first"));
    policies.reload().await.unwrap();
    let set = policies.active().current();
    assert!(!set.is_shut(&"acme-sf".parse().unwrap()));
    assert!(policies.status().connections.is_empty());
}

#[tokio::test]
async fn a_fault_in_the_global_layer_keeps_everything_as_it_was() {
    let world = World::new(GOOD);
    world.write_own("acme-sf", &own("first"));
    let policies = world.start().await.unwrap();
    let first = policies.status().revision;
    world.write("package crm.team.policy\n\ndeny contains");
    world.write_own("acme-sf", "package crm.own.first\n\ndeny contains");
    policies.reload().await.unwrap_err();
    let status = policies.status();
    assert_eq!(status.revision, first);
    assert_eq!(status.faults.len(), 2, "{status:?}");
}

#[tokio::test]
async fn a_layer_that_hung_is_tried_again_only_as_another_text() {
    let world = World::new(GOOD);
    let own = GOOD.replace("crm.team", "crm.own");
    world.write_own("acme-sf", &own);
    let policies = world.start().await.unwrap();
    let hung = || world.child.0.load(Ordering::Relaxed);
    world.write_own("acme-sf", &format!("# hangs\n{own}"));
    for _ in 0..3 {
        let reloaded = policies.reload().await.unwrap();
        assert_eq!(reloaded.without, ["acme-sf".parse().unwrap()]);
        assert_eq!(hung(), 1);
    }
    // What others change comes into force, and costs nobody the time again.
    world.write(&GOOD.replace("\"x\"", "\"y\""));
    let reloaded = policies.reload().await.unwrap();
    assert!(reloaded.changed && hung() == 1);
    assert!(!policies.status().connections[0].shut, "the last good one");
    world.write_own("acme-sf", &format!("# hangs, too\n{own}"));
    policies.reload().await.unwrap();
    assert_eq!(hung(), 2);
    world.write_own("acme-sf", &own);
    assert!(policies.reload().await.unwrap().without.is_empty());
    assert_eq!(hung(), 2);
}
