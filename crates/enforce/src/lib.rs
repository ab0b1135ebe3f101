//! Enrich, judge, record, write, reconcile: the one way a write takes.
//!
//! A [`Gate`] stands before each connection. Whatever wants to write gives it an [`Ask`] and gets
//! an [`Answer`]; there is no second way.
//!
//! ```text
//! Ask ─resolve─▶ Resolved ─judge─▶ Assessment ─record─▶ Permit ─write─▶ Outcome ─▶ Answer
//!   (connector)           (policy)           (store)         (connector)  (store)
//! ```
//!
//! A queue goes the same way in steps of its own ([`queued`]): judged, recorded together with the
//! operation's move, written with others, and each told apart again.
//!
//! INVARIANT: a connector's write gets a permit, and permits come from recorded decisions only.
//! INVARIANT: from the moment a decision is recorded, the write and its outcome go on even when
//! nobody waits for the answer any more; [`Gate::finish`] waits for them.

pub mod answer;
mod approved;
pub mod ask;
pub mod decide;
pub mod gate;
mod hash;
mod held;
mod inflight;
mod join;
pub mod judge;
pub mod meters;
mod observe;
mod outcome;
pub mod queued;
pub mod reconcile;
mod remember;
pub mod settings;
mod times;
mod turns;
mod words;
mod write;

pub use answer::{Answer, Reply};
pub use ask::{Ask, Caller, Later};
pub use decide::{Decided, NotDecided};
pub use gate::{Gate, Parts};
pub use judge::{Assessment, NotJudged};
pub use meters::Stage;
pub use reconcile::{Sweeper, Swept};
pub use settings::{
    KindRules, LogSettings, PayloadKept, Settings, SlowSettings, UngovernedRules, WriteAs,
};
pub use turns::BenchedPackage;
