use std::sync::Mutex as Guarded;

use crmgate_testkit::{MemoryStore, TestAmbient};

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

/// Policies that a test writes.
struct Desk(Guarded<String>);

impl PolicySource for Desk {
    fn read(&self) -> Result<Sources, LoadErrors> {
        let text = self.0.lock().unwrap().clone();
        if text == "unreadable" {
            return Err(LoadError::file("unreadable", "team/policy.rego", "no").into());
        }
        Ok(Sources::global([("team/policy.rego".to_owned(), text)]))
    }
}

/// Refuses what says so.
struct Child;

#[async_trait]
impl PolicyChecker for Child {
    async fn check(&self, sources: &Sources) -> Result<(), LoadErrors> {
        match sources
            .global
            .iter()
            .find(|file| file.text.contains("# hangs"))
        {
            Some(file) => Err(LoadError::file("hang", &file.path, "did not come back").into()),
            None => Ok(()),
        }
    }
}

struct World {
    desk: Arc<Desk>,
    store: Arc<MemoryStore>,
    ambient: Arc<TestAmbient>,
}

impl World {
    fn new(text: &str) -> Self {
        Self {
            desk: Arc::new(Desk(Guarded::new(text.to_owned()))),
            store: Arc::new(MemoryStore::default()),
            ambient: Arc::new(TestAmbient::default()),
        }
    }

    fn write(&self, text: &str) {
        text.clone_into(&mut self.desk.0.lock().unwrap());
    }

    async fn start(&self) -> Result<Policies, AppError> {
        Policies::start(PolicyParts {
            source: Arc::<Desk>::clone(&self.desk),
            checker: Arc::new(Child),
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
            changed: false
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
