//! The behaviour that every store must show. An implementation's tests call [`run`] with a way to
//! make an empty store; a failure panics with what was expected.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a suite fails the test that runs it"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crmgate_domain::{Ambient, Timestamp};
use jiff::ToSpan as _;

use crate::{Cells, Jobs, Processes, Store};

mod attempts;
mod cells;
mod decisions;
mod holds;
mod jobs;
mod lives;
mod memory;
mod operations;
mod processes;
mod record;
mod samples;
mod votes;

pub use self::lives::{Life, Lives};
pub use self::operations::QueuedStore;
pub use self::samples::full_record;
use self::samples::start;

/// A clock that goes one millisecond with every look, and numbers that do not repeat.
#[derive(Debug, Default)]
pub struct Ticking(AtomicU64);

impl Ticking {
    /// One that has ticked so often: its random bytes are others.
    #[must_use]
    pub const fn after(ticks: u64) -> Self {
        Self(AtomicU64::new(ticks))
    }
}

impl Ambient for Ticking {
    fn now(&self) -> Timestamp {
        // A high count makes other bytes, not another century.
        let ticks = self.0.fetch_add(1, Ordering::SeqCst) & 0xFFFF_FFFF;
        start() + ticks.cast_signed().milliseconds()
    }

    fn random(&self) -> [u8; 16] {
        let drawn = self.0.fetch_add(1, Ordering::SeqCst);
        let mut bytes = [7; 16];
        bytes[..8].copy_from_slice(&drawn.to_be_bytes());
        bytes
    }
}

/// The clock that a store of jobs or cells goes by.
pub trait Clock {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Lets time pass: waits, or moves the clock.
    fn pass(&self, time: Duration) -> impl Future<Output = ()>;
}

/// Runs all that is about jobs, each part on a store of its own.
///
/// # Panics
/// When the store does not do what a store must.
pub async fn run_jobs<J: Jobs, C: Clock, F: Future<Output = (J, C)>>(make: impl Fn() -> F) {
    let (j, c) = make().await;
    jobs::the_order_is_kept(&j, &c).await;
    let (j, c) = make().await;
    jobs::what_is_there_is_not_pushed_twice(&j, &c).await;
    let (j, c) = make().await;
    jobs::nothing_comes_before_its_time(&j, &c).await;
    let (j, c) = make().await;
    jobs::leases_run_out_and_are_counted(&j, &c).await;
    let (j, c) = make().await;
    jobs::a_renewed_lease_lasts(&j, &c).await;
    let (j, c) = make().await;
    jobs::a_lost_lease_settles_nothing(&j, &c).await;
    let (j, c) = make().await;
    jobs::verdicts_do_what_they_say(&j, &c).await;
    let (j, c) = make().await;
    jobs::what_is_pushed_meanwhile_counts(&j, &c).await;
    let (j, c) = make().await;
    jobs::what_is_removed_is_gone(&j, &c).await;
    let (j, c) = make().await;
    jobs::queues_are_apart(&j, &c).await;
    let (j, c) = make().await;
    jobs::many_come_in_any_batches(&j, &c).await;
}

/// Runs all that is about cells, each part on a store of its own.
///
/// # Panics
/// When the store does not do what a store must.
pub async fn run_cells<S: Cells, C: Clock, F: Future<Output = (S, C)>>(make: impl Fn() -> F) {
    let (store, _) = make().await;
    cells::they_change_only_from_what_was_seen(&store).await;
    let (store, clock) = make().await;
    cells::they_are_forgotten_in_time(&store, &clock).await;
}

/// Runs all that is about queued operations, whose jobs lie in the same store, each part on a store
/// of its own.
///
/// # Panics
/// When the store does not do what a store must.
pub async fn run_operations<S: QueuedStore, F: Future<Output = S>>(make: impl Fn() -> F) {
    operations::keys_and_names_are_used_once(&make().await).await;
    operations::an_open_submission_gives_way(&make().await).await;
    operations::accepted_ones_come_in_order(&make().await).await;
    operations::what_is_dropped_is_gone(&make().await).await;
    operations::a_life_is_recorded(&make().await).await;
    operations::lost_races_change_nothing(&make().await).await;
    operations::a_broken_worker_loses_what_it_had(&make().await).await;
    operations::lanes_keep_their_order(&make().await).await;
    operations::dependants_wait_for_success(&make().await).await;
    operations::a_dead_dependency_cancels_all_that_depends_on_it(&make().await).await;
    operations::many_dependants_are_told_in_steps(&make().await).await;
    operations::circles_and_strangers_are_misfits(&make().await).await;
    operations::groups_happen_together_or_not_at_all(&make().await).await;
    operations::what_moves_twice_at_once_is_met_at_its_end(&make().await).await;
    operations::held_ones_leave_their_lane(&make().await).await;
    operations::what_cannot_wait_elsewhere_is_taken_held(&make().await).await;
    operations::overdue_ones_expire(&make().await).await;
    operations::ends_are_told(&make().await).await;
    operations::many_at_once_are_as_one_after_another(&make().await).await;
    operations::errors_of_policies_wait_for_others(&make().await).await;
    operations::what_is_stuck_is_found(&make().await).await;
    operations::backups_are_found_out_about_first(&make().await).await;
    operations::listings_narrow_and_page(&make().await).await;
    operations::moves_are_heard_of(&make().await).await;
    operations::what_is_old_is_forgotten(&make().await).await;
    operations::requests_can_be_erased(&make().await).await;
}

/// Runs what is about submissions whose process died. `die` ends the process of the first store, and
/// gives the store of another one on the same data.
///
/// # Panics
/// When the store does not do what a store must.
pub async fn run_abandoned<S: QueuedStore, F: Future<Output = S>>(
    first: S,
    die: impl FnOnce(S) -> F,
) {
    operations::what_the_dead_began_gives_way(first, die).await;
}

/// Runs all that is about processes.
///
/// # Panics
/// When the store does not do what a store must.
pub async fn run_processes<S: Processes>(store: S) {
    processes::the_living_are_known(&store).await;
}

/// Runs all of it, each part on a store of its own.
///
/// # Panics
/// When the store does not do what a store must.
pub async fn run<S: Store, F: Future<Output = S>>(make: impl Fn() -> F) {
    decisions::records_come_back_whole(&make().await).await;
    decisions::listings_filter_and_page(&make().await).await;
    attempts::outcomes_end_writes(&make().await).await;
    attempts::twins_are_found(&make().await).await;
    holds::equal_requests_share_a_hold(&make().await).await;
    holds::holds_and_their_decisions_go_together(&make().await).await;
    votes::one_vote_ends_a_hold(&make().await).await;
    votes::of_many_at_once_one_ends_it(&make().await).await;
    votes::a_hold_is_spent_once_with_its_decision(&make().await).await;
    votes::holds_end_and_are_replaced(&make().await).await;
    votes::votes_are_chained_and_their_words_can_be_erased(&make().await).await;
    memory::tokens_are_kept(&make().await).await;
    memory::connections_are_remembered(&make().await).await;
    memory::revisions_are_remembered(&make().await).await;
    record::everything_is_chained(&make().await).await;
    record::the_feed_tells_all_in_order(&make().await).await;
    record::checkpoints_are_kept(&make().await).await;
    record::what_is_erased_is_gone_and_the_record_whole(&make().await).await;
    record::what_is_old_goes(&make().await).await;
    make().await.beat(start()).await.unwrap();
}
