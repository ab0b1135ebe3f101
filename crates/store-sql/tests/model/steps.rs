//! What may happen, at random.

use crmgate_domain::State;
use crmgate_store::suite::QueuedStore;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use super::world::World;

/// An operation to submit.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) lane: Option<u8>,
    pub(crate) group: Option<u8>,
    pub(crate) needs: Vec<u8>,
    pub(crate) expires: Option<u8>,
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Submit(Vec<Spec>),
    Unfold(u8),
    Begin,
    Advance(u8, u8),
    Crash(u8),
    Haunt(u8, u8),
    Any(u8, State, bool),
    Time(u8),
    Expire,
    Policies,
    Restore,
}

fn spec() -> impl Strategy<Value = Spec> {
    let needs = prop_oneof![
        3 => Just(Vec::new()),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ];
    (
        prop::option::weighted(0.5, 0..3_u8),
        prop::option::weighted(0.25, 0..2_u8),
        needs,
        prop::option::weighted(0.15, 1..60_u8),
    )
        .prop_map(|(lane, group, needs, expires)| Spec {
            lane,
            group,
            needs,
            expires,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let state = prop::sample::select(State::ALL.to_vec());
    prop_oneof![
        4 => prop::collection::vec(spec(), 1..6).prop_map(Step::Submit),
        4 => (0..6_u8).prop_map(Step::Unfold),
        10 => Just(Step::Begin),
        14 => (any::<u8>(), any::<u8>()).prop_map(|(pick, choice)| Step::Advance(pick, choice)),
        3 => any::<u8>().prop_map(Step::Crash),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(pick, choice)| Step::Haunt(pick, choice)),
        5 => (any::<u8>(), state, prop::bool::weighted(0.2))
            .prop_map(|(pick, state, late)| Step::Any(pick, state, late)),
        3 => (1..20_u8).prop_map(Step::Time),
        1 => Just(Step::Expire),
        1 => Just(Step::Policies),
        1 => prop::bool::weighted(0.2).prop_map(|restore| {
            if restore { Step::Restore } else { Step::Expire }
        }),
    ]
}

async fn take<S: QueuedStore>(world: &mut World<'_, S>, step: &Step) {
    world.now += 1;
    match step {
        Step::Submit(specs) => world.submit(specs).await,
        Step::Unfold(most) => world.unfold(usize::from(*most)).await,
        Step::Begin => {
            world.begin().await;
        }
        Step::Advance(pick, choice) => world.advance(usize::from(*pick), *choice).await,
        Step::Crash(pick) => world.crash(usize::from(*pick)).await,
        Step::Haunt(pick, choice) => world.haunt(usize::from(*pick), *choice).await,
        Step::Any(pick, state, late) => world.try_any(usize::from(*pick), *state, *late).await,
        Step::Time(seconds) => world.now += i64::from(*seconds) * 1_000,
        Step::Expire => world.expire().await,
        Step::Policies => world.other_policies().await,
        Step::Restore => world.restore().await,
    }
}

/// Random lives on the store, each compared with the model after each step.
pub(crate) fn hold_against_the_model<S: QueuedStore>(runtime: &Runtime, store: &S, cases: u32) {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let steps = prop::collection::vec(step(), 1..40);
    let run = TestRunner::new(config).run(&steps, |steps| {
        runtime.block_on(async {
            let mut world = World::new(store);
            for step in &steps {
                take(&mut world, step).await;
                world.compare().await;
            }
            world.finish().await;
        });
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
}
