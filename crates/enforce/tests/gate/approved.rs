//! What people agreed to, and what it lets pass.

use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::Refusal;
use crmgate_domain::approval::{Agreement, Choice, End, Ended, People, Person, Vote};
use crmgate_domain::{Ambient as _, HoldId};
use crmgate_enforce::{Answer, Settings};
use crmgate_policy::{PolicySet, Sources};
use crmgate_store::{Ballot, Cast, Hold, HoldLog as _, HoldStatus, VoteLog as _};
use crmgate_testkit::Fault;

use crate::world::{POLICY, World, caller, id, inability, settings, status};

const PATH: &str = "/records/Contact/c1";
const GROWS: &str = r#"{"Phone":"+47"}"#;

/// A big contact: whatever changes it is held.
fn big() -> World {
    let people = People::new(vec![Person {
        name: "boss".to_owned(),
        accounts: vec!["u9".to_owned()],
        groups: Vec::new(),
    }]);
    let settings = Settings {
        people: Some(Arc::new(people.unwrap())),
        settle: Duration::ZERO,
        ..settings()
    };
    let world = World::with(settings, |connector| connector);
    world.crm.put(
        "Contact",
        "c1",
        &[
            ("Size", 500.into()),
            ("Name", "Ada".into()),
            ("Phone", "+1".into()),
        ],
    );
    world
}

fn hold_of(answer: &Answer) -> HoldId {
    match answer.refusal() {
        Some(Refusal::Held { hold, .. }) => *hold,
        _ => panic!("{answer:?}"),
    }
}

async fn held(world: &World) -> HoldId {
    hold_of(&world.send("PATCH", PATH, GROWS).await)
}

async fn stored(world: &World, id: HoldId) -> Hold {
    world.store.held(id).await.unwrap().unwrap()
}

async fn vote(world: &World, id: HoldId, how: End) {
    let hold = stored(world, id).await;
    let at = world.ambient.now();
    let choice = match how {
        End::Approved => Choice::Approve,
        _ => Choice::Reject,
    };
    let vote = Vote {
        person: "boss".to_owned(),
        account: "token-9".to_owned(),
        choice,
        reason: None,
        at,
        channel: "api".to_owned(),
        agreements: hold.approvals.iter().map(Agreement::of).collect(),
    };
    let by = Some("boss".to_owned());
    let cast = world.store.cast(Ballot {
        usable_until: Some(hold.expires_at),
        hold,
        ends: Some(Ended { how, by, at }),
        vote,
        then: None,
    });
    assert_eq!(cast.await.unwrap(), Cast::Done);
}

fn reload(world: &World, policy: &str) {
    let files = [("sales/contacts.rego".to_owned(), policy.to_owned())];
    let set = PolicySet::load(&Sources::global(files)).unwrap_or_else(|errors| panic!("{errors}"));
    world.publish(set);
}

#[tokio::test]
async fn a_ticket_passes_once() {
    let world = big();
    let hold = held(&world).await;
    assert_eq!(held(&world).await, hold, "nobody has answered");
    vote(&world, hold, End::Approved).await;
    assert!(world.crm.writes().is_empty(), "nothing before the retry");
    let passed = world.send("PATCH", PATH, GROWS).await;
    assert_eq!(status(&passed), 200, "{passed:?}");
    assert_eq!(world.crm.writes().len(), 1);
    let spent = stored(&world, hold).await;
    assert_eq!(spent.status, HoldStatus::Spent);
    assert_eq!(spent.spent_by, passed.decision);
    let decision = world.store.all_decisions().pop().unwrap();
    assert_eq!(decision.hold, Some(hold));
    let granted = &decision.decision.judgement.approved;
    assert_eq!((granted.len(), granted[0].hold), (1, hold));
    assert_eq!(granted[0].by, ["boss"]);
    world.learned().await;
    let again = held(&world).await;
    assert_ne!(again, hold, "it passes once");
    assert_eq!(world.crm.writes().len(), 1);
}

#[tokio::test]
async fn what_nobody_was_asked_before_is_looked_up_once() {
    let world = big();
    let hold = held(&world).await;
    assert_eq!(world.crm.lookups(), 1);
    let bound = stored(&world, hold).await.bound.unwrap();
    let names: Vec<&str> = bound.fields.iter().map(|field| field.0.as_str()).collect();
    assert!(
        names.contains(&"native.Phone") || names.contains(&"phone"),
        "{names:?}"
    );
}

#[tokio::test]
async fn of_many_retries_at_once_one_passes() {
    let world = big();
    let hold = held(&world).await;
    vote(&world, hold, End::Approved).await;
    let mut sending = Vec::new();
    for _ in 0..12 {
        sending.push(world.start("PATCH", PATH, GROWS).await);
    }
    let mut passed = 0;
    for task in sending {
        let answer = task.await.unwrap();
        passed += usize::from(answer.native().is_some());
    }
    assert_eq!(passed, 1);
    assert_eq!(world.crm.writes().len(), 1);
}

#[tokio::test]
async fn another_payload_or_another_actor_has_no_ticket() {
    let world = big();
    let hold = held(&world).await;
    vote(&world, hold, End::Approved).await;
    let other = hold_of(&world.send("PATCH", PATH, r#"{"Phone":"+48"}"#).await);
    assert_ne!(other, hold);
    let mut ask = world.ask("PATCH", PATH, GROWS).await;
    ask.caller = caller("u2");
    assert_ne!(hold_of(&world.gate.write(ask).await), hold);
    assert!(world.crm.writes().is_empty());
}

#[tokio::test]
async fn a_changed_record_is_asked_about_again() {
    let world = big();
    let hold = held(&world).await;
    vote(&world, hold, End::Approved).await;
    world.crm.put("Contact", "c1", &[("Size", 900.into())]);
    let answer = world.send("PATCH", PATH, GROWS).await;
    let again = hold_of(&answer);
    assert_ne!(again, hold);
    let Some(Refusal::Held { message, .. }) = answer.refusal() else {
        panic!("{answer:?}");
    };
    assert!(message.contains("has changed"), "{message}");
    assert_eq!(stored(&world, hold).await.status, HoldStatus::Superseded);
    assert_eq!(stored(&world, again).await.replaces, Some(hold));
    assert!(world.crm.writes().is_empty());
    // What is overwritten counts as well.
    vote(&world, again, End::Approved).await;
    world.crm.put("Contact", "c1", &[("Phone", "+2".into())]);
    assert_ne!(held(&world).await, again);
    // What is neither read nor written does not.
    let last = held(&world).await;
    vote(&world, last, End::Approved).await;
    world.crm.put("Contact", "c1", &[("Hobby", "chess".into())]);
    assert_eq!(status(&world.send("PATCH", PATH, GROWS).await), 200);
}

#[tokio::test]
async fn a_ticket_is_good_again_only_with_proof_that_nothing_happened() {
    let world = big();
    let hold = held(&world).await;
    vote(&world, hold, End::Approved).await;
    world.crm.fault([Fault::Busy { retry_after: None }]);
    inability_or_native(&world.send("PATCH", PATH, GROWS).await);
    world.learned().await;
    world.crm.fault([Fault::Refuse("RULE".to_owned())]);
    assert_eq!(status(&world.send("PATCH", PATH, GROWS).await), 400);
    world.learned().await;
    assert_eq!(status(&world.send("PATCH", PATH, GROWS).await), 200);
    assert_eq!(stored(&world, hold).await.status, HoldStatus::Spent);
}

fn inability_or_native(answer: &Answer) {
    if answer.native().is_none() {
        inability(answer);
    }
}

#[tokio::test]
async fn a_lost_answer_uses_the_ticket_up_until_it_is_found_out() {
    let world = big();
    let hold = held(&world).await;
    vote(&world, hold, End::Approved).await;
    world.crm.fail_read_backs(true);
    world.crm.fault([Fault::Lost { committed: true }]);
    inability(&world.send("PATCH", PATH, GROWS).await);
    inability(&world.send("PATCH", PATH, GROWS).await);
    let writes = world.crm.writes().len();
    assert_eq!(writes, 1, "not sent blindly again");
    world.crm.fail_read_backs(false);
    world.ambient.advance(Duration::from_secs(60));
    world.sweeper(&world.gate).run_once().await.unwrap();
    world.learned().await;
    let asked = world.send("PATCH", PATH, GROWS).await;
    assert_ne!(hold_of(&asked), hold, "it happened: people are asked again");
    assert_eq!(world.crm.writes().len(), writes);
}

#[tokio::test]
async fn tickets_end_and_rejections_stay() {
    let world = big();
    let hold = held(&world).await;
    vote(&world, hold, End::Approved).await;
    world.ambient.advance(Duration::from_secs(3_601));
    let second = held(&world).await;
    assert_ne!(second, hold, "too late");
    vote(&world, second, End::Rejected).await;
    let refused = world.send("PATCH", PATH, GROWS).await;
    let Some(Refusal::Denied { message, .. }) = refused.refusal() else {
        panic!("{refused:?}");
    };
    assert!(message.contains("rejected by boss"), "{message}");
    assert_eq!(refused.why.as_deref(), Some("crmgate/rejected"));
    world.crm.put("Contact", "c1", &[("Size", 901.into())]);
    assert_ne!(
        held(&world).await,
        second,
        "of another record they are asked again"
    );
}

#[tokio::test]
async fn todays_policies_judge_what_was_agreed_to() {
    let world = big();
    let hold = held(&world).await;
    vote(&world, hold, End::Approved).await;
    let denies = format!("{POLICY}\ndeny contains {{\"code\": \"no\", \"message\": \"never\"}}\n");
    reload(&world, &denies);
    let denied = world.send("PATCH", PATH, GROWS).await;
    assert!(
        matches!(denied.refusal(), Some(Refusal::Denied { .. })),
        "{denied:?}"
    );
    let more = format!(
        "{POLICY}\nrequire_approval contains {{\"code\": \"more\", \"reason\": \"more\", \
         \"approvers\": {{\"users\": [\"boss\"]}}}}\n"
    );
    reload(&world, &more);
    let other = held(&world).await;
    let asked = stored(&world, other).await;
    assert_eq!(asked.builds_on, Some(hold));
    let codes: Vec<&str> = asked
        .approvals
        .iter()
        .map(|one| one.code.as_str())
        .collect();
    assert_eq!(codes, ["more"], "what is there is not asked for again");
    vote(&world, other, End::Approved).await;
    assert_eq!(status(&world.send("PATCH", PATH, GROWS).await), 200);
    for hold in [hold, other] {
        assert_eq!(stored(&world, hold).await.status, HoldStatus::Spent);
    }
    reload(&world, POLICY);
    held(&world).await;
}

#[tokio::test]
async fn a_create_whose_ticket_was_just_used_is_answered_with_its_record() {
    let world = big();
    let body = r#"{"Name":"Bob","Size":500}"#;
    let hold = hold_of(&world.send("POST", "/records/Contact", body).await);
    vote(&world, hold, End::Approved).await;
    let first = world.send("POST", "/records/Contact", body).await;
    assert_eq!(status(&first), 201);
    world.learned().await;
    let second = world.send("POST", "/records/Contact", body).await;
    assert_eq!(id(first), id(second));
    assert_eq!(world.crm.writes().len(), 1);
}

#[tokio::test]
async fn what_nobody_else_can_agree_to_is_refused() {
    let world = big();
    let mut ask = world.ask("PATCH", PATH, GROWS).await;
    ask.caller = caller("u9");
    let refused = world.gate.write(ask).await;
    assert_eq!(
        refused.why.as_deref(),
        Some("crmgate/no_approvers"),
        "{refused:?}"
    );
}
