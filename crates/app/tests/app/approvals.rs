//! People answer: who may, who counts, who was first.

use std::collections::BTreeSet;
use std::time::Duration;

use crmgate_app::approvals::{Mine, Wanted};
use crmgate_app::{AppError, Principal, TokenRequest};
use crmgate_domain::approval::{Choice, End};
use crmgate_domain::{HoldId, Mode};
use crmgate_store::{HoldStatus, Role};

use crate::world::{POLICY, World, create};

const BIG: &str = r#"{"Size":500,"Name":"Ada","Email":"ada@example.com"}"#;

async fn person(world: &World, person: &str, roles: &[Role]) -> Principal {
    let wanted = TokenRequest {
        name: format!("laptop of {person}"),
        roles: roles.to_vec(),
        connections: Vec::new(),
        team: None,
        scopes: Vec::new(),
        person: Some(person.to_owned()),
        expires_in_seconds: None,
    };
    let tokens = world.app.tokens();
    let made = tokens.issue(wanted).await.unwrap();
    tokens.verify(&made.token).await.unwrap()
}

async fn held(world: &World) -> HoldId {
    let answer = world.serve("own", create(BIG)).await;
    answer.hold.unwrap_or_else(|| panic!("{answer:?}"))
}

async fn answer(
    world: &World,
    by: &Principal,
    id: HoldId,
    choice: Choice,
) -> Result<&'static str, AppError> {
    let answered = world.app.approvals().answer(by, id, choice, None).await;
    answered.map(|answered| answered.result)
}

/// Asks so many of these for big contacts.
fn ask(world: &World, quorum: u32, users: &str) {
    let asks = format!("\"users\": [{users}]}},\n    \"quorum\": {quorum}");
    let text = POLICY.replace("\"users\": [\"boss\"]}", &asks);
    assert_ne!(text, POLICY);
    *world.desk.0.lock().unwrap() = text;
}

#[tokio::test]
async fn the_one_who_is_asked_answers_and_the_callers_retry_passes() {
    let world = World::new(Mode::Enforce).await;
    let id = held(&world).await;
    let boss = person(&world, "boss", &[Role::Approver]).await;
    let other = person(&world, "somebody", &[Role::Approver]).await;
    let auditor = person(&world, "boss", &[Role::Auditor]).await;
    let approvals = world.app.approvals();
    let mine = Wanted {
        mine: Mine::ToAnswer,
        ..Wanted::default()
    };
    assert_eq!(
        approvals
            .list(&boss, &mine, None, 9)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    assert!(
        approvals
            .list(&other, &mine, None, 9)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let shown = approvals.show(&other, id).await.unwrap();
    assert!(shown.hidden && !shown.mine, "{shown:?}");
    let told = serde_json::to_string(&shown).unwrap();
    assert!(!told.contains("ada@example.com"), "{told}");
    let shown = approvals.show(&boss, id).await.unwrap();
    assert!(shown.mine && !shown.hidden, "{shown:?}");
    assert!(
        serde_json::to_string(&shown)
            .unwrap()
            .contains("ada@example.com")
    );

    for (by, code) in [(&other, "forbidden"), (&auditor, "forbidden")] {
        let refused = answer(&world, by, id, Choice::Approve).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
    }
    assert_eq!(
        answer(&world, &boss, id, Choice::Approve).await.unwrap(),
        "approved"
    );
    let late = answer(&world, &boss, id, Choice::Reject).await.unwrap_err();
    let AppError::Decided { ended, message } = late else {
        panic!("{late:?}");
    };
    assert_eq!(
        (ended.how, ended.by.as_deref()),
        (End::Approved, Some("boss"))
    );
    assert!(message.contains("approved by boss"), "{message}");
    assert!(world.crm.writes().is_empty());
    let passed = world.serve("own", create(BIG)).await;
    assert_eq!(passed.native().unwrap().status.as_u16(), 201, "{passed:?}");
    assert_eq!(world.crm.writes().len(), 1);
    assert_eq!(
        approvals.show(&boss, id).await.unwrap().status,
        HoldStatus::Spent
    );
}

#[tokio::test]
async fn people_count_and_not_tokens_and_never_the_one_who_asks() {
    let world = World::new(Mode::Enforce).await;
    ask(&world, 2, "\"ada\", \"bob\", \"u1\"");
    let admin = world.principal(&[Role::Admin], &[]).await;
    world.app.policies().reload_by(&admin).await.unwrap();
    let id = held(&world).await;
    let approvals = world.app.approvals();
    let requester = approvals.show(&admin, id).await.unwrap().requester;
    let itself = person(&world, &requester, &[Role::Approver]).await;
    let refused = answer(&world, &itself, id, Choice::Approve)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("whoever asked"), "{refused}");
    let ada = person(&world, "ada", &[Role::Approver]).await;
    assert_eq!(
        answer(&world, &ada, id, Choice::Approve).await.unwrap(),
        "counted"
    );
    let second = person(&world, "ADA", &[Role::Approver]).await;
    let again = answer(&world, &second, id, Choice::Approve)
        .await
        .unwrap_err();
    assert!(matches!(again, AppError::Conflict(_)), "{again:?}");
    let shown = approvals.show(&admin, id).await.unwrap();
    assert_eq!(shown.agreements[0].agreed, ["ada"]);
    assert_eq!((shown.agreements[0].missing, shown.votes.len()), (1, 1));
    let bob = person(&world, "bob", &[Role::Approver]).await;
    assert_eq!(
        answer(&world, &bob, id, Choice::Approve).await.unwrap(),
        "approved"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_who_answer_at_once_one_decides_and_the_others_are_told_who() {
    let world = World::new(Mode::Enforce).await;
    let names: Vec<String> = (0..50).map(|number| format!("p{number}")).collect();
    let users: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    ask(&world, 1, &users.join(", "));
    let admin = world.principal(&[Role::Admin], &[]).await;
    world.app.policies().reload_by(&admin).await.unwrap();
    let id = held(&world).await;
    let mut people = Vec::new();
    for name in &names {
        people.push(person(&world, name, &[Role::Approver]).await);
    }
    let answering = people.iter().enumerate().map(|(number, by)| {
        let choice = if number % 2 == 0 {
            Choice::Approve
        } else {
            Choice::Reject
        };
        answer(&world, by, id, choice)
    });
    let results = futures::future::join_all(answering).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let told: BTreeSet<String> = results
        .into_iter()
        .filter_map(Result::err)
        .map(|error| match error {
            AppError::Decided { ended, .. } => ended.by.unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told.len(), 1, "all are told of the same one: {told:?}");
    assert_eq!(
        world
            .app
            .approvals()
            .show(&admin, id)
            .await
            .unwrap()
            .votes
            .len(),
        1
    );
}

#[tokio::test]
async fn what_nobody_answers_is_over_and_cannot_be_answered() {
    let world = World::new(Mode::Enforce).await;
    let id = held(&world).await;
    let boss = person(&world, "boss", &[Role::Approver]).await;
    world.ambient.advance(Duration::from_secs(3_600));
    let late = answer(&world, &boss, id, Choice::Approve)
        .await
        .unwrap_err();
    assert!(late.to_string().contains("expired"), "{late}");
    assert_eq!(world.app.approvals().expire().await.unwrap(), 1);
    let shown = world.app.approvals().show(&boss, id).await.unwrap();
    assert_eq!(shown.status, HoldStatus::Expired);
    let long = world
        .app
        .approvals()
        .wait(&boss, id, Duration::from_secs(61))
        .await;
    assert_eq!(long.unwrap_err().code(), "invalid");
}
