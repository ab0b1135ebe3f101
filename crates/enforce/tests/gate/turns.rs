//! One connection's slow policies are its own trouble.

use std::time::Duration;

use crmgate_domain::Effect;
use crmgate_enforce::{Settings, SlowSettings};

use crate::world::{World, settings};

/// A policy that takes all the time it gets for contacts, and none for anything else.
fn burning() -> [(String, String); 2] {
    let package = |name: &str, object: &str, rule: &str| {
        let text = format!(
            "# METADATA\n# title: t\n# custom: {{owner: o, objects: [{object}], operations: [create]}}\npackage crm.t.{name}\n\n{rule}\n"
        );
        (format!("t/{name}.rego"), text)
    };
    [
        package(
            "burns",
            "contact",
            "deny contains \"never\" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < 0 }",
        ),
        package(
            "quick",
            "lead",
            "deny contains \"no\" if input.record.name == \"No\"",
        ),
    ]
}

fn slow(policy_time: u64, deadline: u64) -> Settings {
    Settings {
        policy_time: Duration::from_millis(policy_time),
        slow: SlowSettings {
            threads: 1,
            deadline: Duration::from_millis(deadline),
            bench: Duration::from_secs(60),
        },
        ..settings()
    }
}

/// On a runtime of one thread, what is judged there is judged before anything that comes later:
/// the neighbour would have to wait for every one of them.
#[tokio::test]
async fn a_neighbour_does_not_wait_for_slow_policies() {
    const MANY: usize = 20;
    let noisy = World::of(burning(), slow(50, 5_000));
    let quiet = World::of(burning(), settings());
    let first = noisy.send("POST", "/records/Contact", "{}").await;
    assert_eq!(first.effect, Some(Effect::Error), "all its time is spent");
    let mut burning = Vec::new();
    for _ in 0..MANY {
        burning.push(noisy.start("POST", "/records/Contact", "{}").await);
    }
    noisy.looked_up(MANY + 1).await;
    for _ in 0..3 {
        let answer = quiet.send("POST", "/records/Lead", "{}").await;
        assert_eq!(answer.effect, Some(Effect::Allow));
    }
    let judged = noisy.effects().len();
    assert!(
        judged < MANY,
        "the neighbour waited for {judged} judgements"
    );
    for burning in burning {
        assert_eq!(burning.await.unwrap().effect, Some(Effect::Error));
    }
}

#[tokio::test]
async fn a_policy_that_does_not_stop_is_left_out_until_it_changes() {
    let world = World::of(burning(), slow(1_000, 50));
    // Nothing is known of it yet, so it is judged where the request is, and spends all its time.
    world.send("POST", "/records/Contact", "{}").await;
    assert!(world.gate.benched().is_empty());
    world.send("POST", "/records/Contact", "{}").await;
    let benched = world.gate.benched();
    assert_eq!(benched.len(), 1);
    assert_eq!(benched[0].package, "crm.t.burns");
    let answer = world.send("POST", "/records/Contact", "{}").await;
    assert_eq!(answer.effect, Some(Effect::Error));
    let decisions = world.store.all_decisions();
    let told: Vec<&str> = decisions
        .iter()
        .flat_map(|record| &record.decision.judgement.errors)
        .map(|error| error.message.as_str())
        .collect();
    assert!(told[0].contains("did not end within 1000 ms"), "{told:?}");
    assert!(
        told[1].contains("`crm.t.burns` did not stop within 50ms"),
        "{told:?}"
    );
    assert!(told[2].contains("is not asked for another"), "{told:?}");
    let other = world.send("POST", "/records/Lead", "{}").await;
    assert_eq!(other.effect, Some(Effect::Allow), "the others are asked");
}
