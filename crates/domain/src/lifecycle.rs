//! The life of a queued operation: its states, and which may follow which.
//!
//! ```text
//!            submission closed        its turn             policies            sent
//!   staged ───────────▶ received ───────────▶ deciding ───────────▶ permitted ─────▶ writing
//!                        ▲ ▲ ▲ ▲                 │ │ │ └▶ denied        │             │ │ │ └▶ succeeded
//!                        │ │ │ └── again later ──┘ │ └──▶ refused       │             │ │ └──▶ refused
//!                        │ │ └──── handed back ────│────────────────────┘             │ └────▶ uncertain
//!                        │ └────── not written ────│──────────────────────────────────┘        │
//!                        │                         ├──▶ unjudged ── new policies ──▶ received  │
//!                        │                         └──▶ held, stale ── rejected, expired        │
//!                        └──────────── approved ◀─────────┘                                    │
//!                        └──────────── an operator: it did not happen ◀───────────────────────┘
//! ```
//!
//! What has not begun can be `cancelled` or become `expired`; what failed too often is `dead`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a queued operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Stored, but its submission is not closed: nobody will touch it.
    Staged,
    /// Accepted; it waits for its time, its dependencies or its turn.
    Received,
    /// A worker judges it.
    Deciding,
    /// Policies refused it.
    Denied,
    /// It waits for people.
    Held,
    /// People agreed, but not to what it has become since: it waits for them again.
    Stale,
    /// A policy is in error; it waits for other policies.
    Unjudged,
    /// It may be written; the decision is recorded.
    Permitted,
    /// It is being sent: from here on the CRM may have it.
    Writing,
    /// The CRM did it.
    Succeeded,
    /// The CRM refused it.
    Refused,
    /// A person refused it.
    Rejected,
    /// It may or may not have been written, and nothing more can be found out: an operator must
    /// look.
    Uncertain,
    /// Taken back, or something it depends on did not happen.
    Cancelled,
    /// Its time ran out, or the time of those who should have agreed to it.
    Expired,
    /// It failed too often without being written.
    Dead,
}

use State::{
    Cancelled, Dead, Deciding, Denied, Expired, Held, Permitted, Received, Refused, Rejected,
    Staged, Stale, Succeeded, Uncertain, Unjudged, Writing,
};

impl State {
    /// All states, in the order of a life.
    pub const ALL: [Self; 16] = [
        Staged, Received, Deciding, Denied, Held, Stale, Unjudged, Permitted, Writing, Succeeded,
        Refused, Rejected, Uncertain, Cancelled, Expired, Dead,
    ];

    /// The word used in storage, output and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Staged => "staged",
            Received => "received",
            Deciding => "deciding",
            Denied => "denied",
            Held => "held",
            Stale => "stale",
            Unjudged => "unjudged",
            Permitted => "permitted",
            Writing => "writing",
            Succeeded => "succeeded",
            Refused => "refused",
            Rejected => "rejected",
            Uncertain => "uncertain",
            Cancelled => "cancelled",
            Expired => "expired",
            Dead => "dead",
        }
    }

    /// The states that may follow.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Staged => &[Received],
            Received => &[Deciding, Cancelled, Expired, Dead, Uncertain],
            Deciding => &[
                Received, Denied, Held, Stale, Unjudged, Permitted, Refused, Cancelled, Expired,
                Dead,
            ],
            Held | Stale => &[Received, Rejected, Cancelled, Expired],
            Unjudged => &[Received, Cancelled, Expired],
            Permitted => &[Received, Writing, Cancelled, Dead],
            Writing => &[Received, Succeeded, Refused, Uncertain, Dead],
            Uncertain => &[Received, Succeeded, Cancelled],
            // An operator may try once more what came to nothing.
            Denied | Refused | Dead => &[Received],
            Succeeded | Rejected | Cancelled | Expired => &[],
        }
    }

    /// Whether `to` may follow.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        self.next().contains(&to)
    }

    /// Whether nothing more happens to it of itself, and nobody is waited for.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Denied | Succeeded | Refused | Rejected | Cancelled | Expired | Dead
        )
    }

    /// Whether a worker has it: then it has a lease.
    #[must_use]
    pub const fn is_worked_on(self) -> bool {
        matches!(self, Deciding | Permitted | Writing)
    }

    /// Whether later operations on the same record wait for it. What waits for people does not
    /// hold up others; what may have been written does.
    #[must_use]
    pub const fn blocks_its_lane(self) -> bool {
        matches!(
            self,
            Received | Deciding | Unjudged | Permitted | Writing | Uncertain
        )
    }

    /// Whether it came to its end without being written: what depends on it is cancelled.
    #[must_use]
    pub const fn came_to_nothing(self) -> bool {
        self.is_final() && !matches!(self, Succeeded)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no state.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no state of an operation")]
pub struct BadState(String);

impl std::str::FromStr for State {
    type Err = BadState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| BadState(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_reached_and_every_life_can_end() {
        for state in State::ALL {
            let reached = State::ALL.iter().any(|from| from.may_become(state));
            assert!(reached || state == Staged, "{state}");
            assert_eq!(state.as_str().parse::<State>().unwrap(), state);
            let mut seen = vec![state];
            let mut index = 0;
            while let Some(at) = seen.get(index).copied() {
                index += 1;
                for next in at.next() {
                    if !seen.contains(next) {
                        seen.push(*next);
                    }
                }
            }
            assert!(seen.iter().any(|state| state.is_final()), "{state}");
        }
    }

    #[test]
    fn what_may_have_been_written_is_never_simply_dropped() {
        assert!(!Writing.may_become(Cancelled));
        assert!(!Writing.may_become(Expired));
        assert!(!Succeeded.may_become(Received));
        assert!(Uncertain.blocks_its_lane() && !Uncertain.is_final());
        assert!(!Held.blocks_its_lane() && !Stale.blocks_its_lane());
    }
}
