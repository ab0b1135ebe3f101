//! Writes that were held at a gateway and that workers write once people agree.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crmgate_connector::{Credential, Refusal};
use crmgate_domain::approval::{Agreement, Choice, End, Ended, Vote};
use crmgate_domain::{Ambient as _, DecisionId, HoldId, OperationId, Point, State};
use crmgate_enforce::{Answer, Ask, Caller, Later, Settings, Sweeper, Swept, WriteAs};
use crmgate_store::{
    Ballot, By, Cast, DecisionLog as _, HoldLog as _, HoldStatus, Move, OperationLog as _, Release,
    Store, VoteLog as _,
};
use crmgate_store_sql::SqliteStore;
use serde_json::{Value, json};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::asks::draft;
use crate::world::{BOTH, POLICY, System, World, actor, gate_settings, set};

fn carrying() -> Settings {
    Settings {
        held_writes: Release::Execution,
        held_writes_as: WriteAs::Service,
        ..gate_settings()
    }
}

impl World {
    /// Asks the gate as a brokered caller does.
    async fn at_gateway(&self, form: &Value) -> Answer {
        let text = json!({"operation": form}).to_string();
        let id = OperationId::fresh(self.ambient.as_ref());
        let now = self.ambient.now();
        let drafted = draft(self.connector.as_ref(), (id, &actor()), &text, now).await;
        let mut draft = drafted.unwrap();
        draft.seed = None;
        let ask = Ask {
            draft,
            caller: Caller {
                actor: actor(),
                org: None,
                credential: Credential::Service,
            },
            point: Point::Gateway,
            at: now,
            purpose: None,
            parsing: Duration::ZERO,
            later: Some(Arc::new(Later {
                operations: self.log(),
                request: Box::new(move |_| Ok(text.clone())),
            })),
        };
        self.gate.write(ask).await
    }

    async fn big(&self) -> (OperationId, HoldId) {
        let form = json!({"kind": "create", "object": "contact", "record": {"last_name": "Big"}});
        taken(&self.at_gateway(&form).await)
    }

    /// The boss answers.
    async fn answer(&self, id: HoldId, how: End) {
        let hold = self.store.held(id).await.unwrap().unwrap();
        let operation = self.see(hold.queued.unwrap()).await;
        let at = self.ambient.now();
        let (choice, to) = match how {
            End::Approved => (Choice::Approve, State::Received),
            _ => (Choice::Reject, State::Rejected),
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
        let cast = self.store.cast(Ballot {
            usable_until: Some(hold.expires_at),
            then: Some(Move::new(&operation, to, at, By("person boss".into()))),
            ends: Some(Ended {
                how,
                by: Some("boss".to_owned()),
                at,
            }),
            hold,
            vote,
        });
        assert_eq!(cast.await.unwrap(), Cast::Done);
    }

    /// Policies ask nobody about those who were big.
    fn stop_asking(&self) {
        let policy = POLICY.replace("\"Big\"", "\"Bigger\"");
        self.policies.publish(&set(&policy), self.ambient.now());
    }

    /// Waits until what came of a write is stored.
    async fn learned(&self, id: DecisionId) {
        let learned = async {
            let stored = || async { self.store.decision(id).await.unwrap().unwrap() };
            while stored().await.outcome.is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let limit = Duration::from_secs(10);
        tokio::time::timeout(limit, learned).await.unwrap();
    }

    async fn status(&self, id: HoldId) -> HoldStatus {
        self.store.held(id).await.unwrap().unwrap().status
    }
}

fn taken(answer: &Answer) -> (OperationId, HoldId) {
    match answer.refusal() {
        Some(Refusal::Held {
            hold,
            operation: Some(operation),
            ..
        }) => (*operation, *hold),
        _ => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn what_nobody_answers_in_time_is_never_written() {
    let world = World::with(System::Salesforce, carrying(), &json!({})).await;
    let (operation, hold) = world.big().await;
    let working = world.worker();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.see(operation).await.state, State::Held);
    world.advance(Duration::from_secs(3_601));
    world.end(&[operation]).await;
    let ended = world.see(operation).await;
    assert_eq!(ended.state, State::Expired);
    assert_eq!(ended.why.unwrap().code, "hold_expired");
    assert_eq!(world.status(hold).await, HoldStatus::Expired);
    // Whoever sends it again asks anew.
    let (again, other) = world.big().await;
    assert!(again != operation && other != hold);
    world.answer(other, End::Rejected).await;
    world.end(&[again]).await;
    working.stop().await;
    assert_eq!(world.calls(), Vec::<String>::new(), "nothing was sent");
}

#[tokio::test]
async fn a_lost_answer_is_for_workers_to_find_out_and_for_nobody_else() {
    for system in BOTH {
        let world = World::with(system, carrying(), &json!({})).await;
        let (operation, hold) = world.big().await;
        world.answer(hold, End::Approved).await;
        world.faults(&json!([
            {"kind": "delay", "millis": 400, "method": "POST", "path": "*ontact*", "times": 1},
            {"kind": "drop_after_commit", "method": "POST", "path": "*ontact*", "times": 1},
        ]));
        let working = world.worker();
        world
            .reach(&[operation], |state| state == State::Writing)
            .await;
        // The gate that took it sees nothing of its own to settle.
        let kept: Arc<dyn Store> = Arc::<SqliteStore>::clone(&world.store);
        let sweeper = Sweeper::new(kept, [Arc::clone(&world.gate)]);
        assert_eq!(sweeper.run_once().await.unwrap(), Swept::default());
        // Meanwhile it has no ticket.
        assert_eq!(world.big().await, (operation, hold));
        world.end(&[operation]).await;
        assert_eq!(
            world.see(operation).await.state,
            State::Succeeded,
            "{system:?}"
        );
        assert_eq!(world.count("Big").await, 1, "{system:?}");
        // Whoever comes a moment later is told of the record.
        let form = json!({"kind": "create", "object": "contact", "record": {"last_name": "Big"}});
        let repeated = world.at_gateway(&form).await;
        assert!(
            repeated.native().unwrap().status.is_success(),
            "{repeated:?}"
        );
        // Long after, it is another wish.
        world.advance(Duration::from_secs(200));
        assert_ne!(world.big().await.0, operation);
        working.stop().await;
        assert_eq!(world.count("Big").await, 1, "{system:?}");
    }
}

#[tokio::test]
async fn repeats_wait_in_one_hold() {
    let world = World::with(System::Dynamics, carrying(), &json!({})).await;
    let first = world.big().await;
    for _ in 0..20 {
        assert_eq!(world.big().await, first);
    }
    let hold = world.store.held(first.1).await.unwrap().unwrap();
    assert_eq!(hold.requests, 21);
    let filter = crmgate_store::OperationFilter::default();
    let all = world.store.operations(&filter, None, 10).await.unwrap();
    assert_eq!(all.items.len(), 1);
}

#[tokio::test]
async fn what_passed_meanwhile_is_not_written_again() {
    for system in BOTH {
        let world = World::with(system, carrying(), &json!({})).await;
        let (operation, hold) = world.big().await;
        // Policies stop asking, and its caller sends it once more.
        world.stop_asking();
        let form =
            |name| json!({"kind": "create", "object": "contact", "record": {"last_name": name}});
        let other = world.at_gateway(&form("Other")).await;
        assert!(other.native().unwrap().status.is_success(), "{other:?}");
        let passed = world.at_gateway(&form("Big")).await;
        assert!(passed.native().unwrap().status.is_success(), "{passed:?}");
        world.answer(hold, End::Approved).await;
        let working = world.worker();
        world.end(&[operation]).await;
        working.stop().await;
        let ended = world.see(operation).await;
        assert_eq!(ended.state, State::Cancelled, "{system:?}");
        let why = ended.why.unwrap();
        assert_eq!(why.code, "written_meanwhile");
        let named = passed.decision.unwrap().to_string();
        assert!(why.message.contains(&named), "{}", why.message);
        assert_eq!(world.count("Big").await, 1, "{system:?}");
        let writes = world.calls().len();
        assert_eq!(writes, 2, "one of each name: {:?}", world.calls());
    }
}

#[tokio::test]
async fn what_was_refused_meanwhile_does_not_stand_in_for_it() {
    for system in BOTH {
        let world = World::with(system, carrying(), &json!({})).await;
        let (operation, hold) = world.big().await;
        world.stop_asking();
        world.faults(&json!([
            {"kind": "status", "status": 400, "method": "POST", "path": "*ontact*", "times": 1},
        ]));
        let form = json!({"kind": "create", "object": "contact", "record": {"last_name": "Big"}});
        let refused = world.at_gateway(&form).await;
        assert!(
            !refused.native().unwrap().status.is_success(),
            "{refused:?}"
        );
        world.learned(refused.decision.unwrap()).await;
        world.answer(hold, End::Approved).await;
        let working = world.worker();
        world.end(&[operation]).await;
        working.stop().await;
        assert_eq!(
            world.see(operation).await.state,
            State::Succeeded,
            "{system:?}"
        );
        assert_eq!(world.count("Big").await, 1, "{system:?}");
    }
}

/// The points that spans of operations name.
#[derive(Clone, Default)]
struct Points(Arc<Mutex<Vec<String>>>);

impl Visit for Points {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "point" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

impl<S: Subscriber> Layer<S> for Points {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "queued_operation" {
            attributes.record(&mut self.clone());
        }
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(&mut self.clone());
    }
}

#[tokio::test]
async fn its_span_says_where_it_is_judged() {
    let points = Points::default();
    let heard = tracing_subscriber::registry().with(points.clone());
    let _heard = tracing::subscriber::set_default(heard);
    let world = World::with(System::Dynamics, carrying(), &json!({})).await;
    let (operation, hold) = world.big().await;
    world.answer(hold, End::Approved).await;
    let working = world.worker();
    world.end(&[operation]).await;
    working.stop().await;
    assert_eq!(*points.0.lock().unwrap(), ["\"gateway\""]);
}
