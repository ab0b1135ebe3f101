//! How often something is tried, and how soon again.

use std::time::Duration;

use crmgate_domain::Timestamp;
use crmgate_store::StoredOperation;

use super::Signal;

/// How many moves a whole try takes: deciding, permitted, writing, received.
const MOVES_OF_A_TRY: u64 = 4;
/// Beyond so many doublings a pause is the longest anyway.
const MOST_DOUBLINGS: u32 = 20;

/// How often an operation is tried, and how soon again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// After so many tries that came to nothing it is dead.
    pub most: u32,
    /// The first pause; each is twice as long as the one before.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// For how long after it was submitted a try does not count that came to nothing because the
    /// CRM could not take it then: a lock, a throttle, a limit, a CRM that cannot be reached.
    pub patience: Duration,
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            most: 8,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(5 * 60),
            patience: Duration::from_secs(3 * 24 * 60 * 60),
        }
    }
}

/// Why a try came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback {
    /// A stable word.
    pub code: String,
    /// For people.
    pub message: String,
    /// How long to wait, where the CRM said.
    pub retry_after: Option<Duration>,
    /// Whether the try counts.
    pub counts: bool,
}

impl Setback {
    /// Something that the CRM could not take now, by the connector's word for it; a word that
    /// names something else counts.
    #[must_use]
    pub fn by_crm(code: &str, message: String, retry_after: Option<Duration>) -> Self {
        Self {
            counts: !is_patient(code),
            code: code.to_owned(),
            message,
            retry_after,
        }
    }

    /// What it was like for the CRM.
    #[must_use]
    pub fn signal(&self) -> Signal {
        match self.code.as_str() {
            "throttled" => Signal::Throttled(self.retry_after),
            "unavailable" | "connect" | "sign_in" => Signal::Unavailable(self.retry_after),
            _ => Signal::Fine,
        }
    }

    /// Something of which it should not come to many.
    #[must_use]
    pub fn counting(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            retry_after: None,
            counts: true,
        }
    }
}

/// The words of connectors for what passes by itself.
fn is_patient(code: &str) -> bool {
    matches!(
        code,
        "throttled" | "locked" | "unavailable" | "connect" | "sign_in" | "rolled_back"
    )
}

impl Tries {
    /// Whether everything counts by now.
    pub(crate) fn patience_is_over(&self, since: Timestamp, now: Timestamp) -> bool {
        Duration::try_from(now.duration_since(since)).is_ok_and(|age| age > self.patience)
    }

    /// How long until the next try. What does not count leaves no count, so its pauses grow with
    /// the moves that the operation has made.
    pub(crate) fn pause(
        &self,
        stored: &StoredOperation,
        setback: &Setback,
        random: u64,
    ) -> Duration {
        if let Some(asked) = setback.retry_after {
            return spread_upwards(asked, random);
        }
        let before = if setback.counts {
            stored.attempts
        } else {
            u32::try_from(stored.version / MOVES_OF_A_TRY).unwrap_or(u32::MAX)
        };
        let factor = 2_u32.saturating_pow(before.min(MOST_DOUBLINGS));
        let whole = self.first.saturating_mul(factor).min(self.longest);
        spread(whole, random)
    }
}

/// Between a half and the whole.
fn spread(whole: Duration, random: u64) -> Duration {
    let half = whole / 2;
    half + part(half, random)
}

/// Never earlier than asked, and up to a quarter later.
fn spread_upwards(asked: Duration, random: u64) -> Duration {
    asked + part(asked / 4 + Duration::from_millis(50), random)
}

fn part(of: Duration, random: u64) -> Duration {
    let nanos = u64::try_from(of.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random.checked_rem(nanos.saturating_add(1)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_spread_and_never_earlier_than_the_crm_asked() {
        for random in [0, 1, 7_777_777_777, u64::MAX] {
            let whole = Duration::from_secs(8);
            let pause = spread(whole, random);
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?}");
            let asked = spread_upwards(whole, random);
            assert!(asked >= whole && asked <= whole * 2, "{asked:?}");
        }
        assert_eq!(spread(Duration::ZERO, 5), Duration::ZERO);
    }

    #[test]
    fn what_the_crm_cannot_take_now_does_not_count() {
        for code in ["throttled", "locked", "unavailable", "connect", "sign_in"] {
            assert!(!Setback::by_crm(code, String::new(), None).counts, "{code}");
        }
        assert!(Setback::by_crm("something_else", String::new(), None).counts);
    }
}
