//! Which writes may be without a final outcome, in memory.
//!
//! Every create asks whether an equal one is still open, and hardly ever is there one: the answer
//! "no" must not cost a look into the database.
//!
//! INVARIANT: whatever is open in the database is here; what is here may be closed there already.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::{Row as _, SqliteConnection};

type DecisionKey = [u8; 16];
type JoinKey = [u8; 32];

/// The join keys of open writes.
#[derive(Debug, Default)]
pub(crate) struct OpenWrites(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    of_decisions: HashMap<DecisionKey, JoinKey>,
    counts: HashMap<JoinKey, usize>,
}

impl OpenWrites {
    /// Those that an earlier process left.
    pub(crate) async fn load(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT d.id, r.join_key FROM read_backs r JOIN decisions d ON d.seq = r.seq",
        )
        .fetch_all(connection)
        .await?;
        let open = Self::default();
        for row in rows {
            let (decision, key): (Vec<u8>, Vec<u8>) = (row.get(0), row.get(1));
            if let (Ok(decision), Ok(key)) = (decision.try_into(), key.try_into()) {
                open.begin(decision, key);
            }
        }
        Ok(open)
    }

    /// A write is about to be recorded.
    pub(crate) fn begin(&self, decision: DecisionKey, key: JoinKey) {
        let mut known = self.known();
        if known.of_decisions.insert(decision, key).is_none() {
            *known.counts.entry(key).or_default() += 1;
        }
    }

    /// Its final outcome is recorded.
    pub(crate) fn end(&self, decision: &DecisionKey) {
        let mut known = self.known();
        let Some(key) = known.of_decisions.remove(decision) else {
            return;
        };
        if let Some(count) = known.counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                known.counts.remove(&key);
            }
        }
    }

    /// Whether an open write may have that key.
    pub(crate) fn may_hold(&self, key: &JoinKey) -> bool {
        self.known().counts.contains_key(key)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_held_until_its_last_write_ends() {
        let open = OpenWrites::default();
        open.begin([1; 16], [7; 32]);
        open.begin([1; 16], [7; 32]);
        open.begin([2; 16], [7; 32]);
        open.end(&[1; 16]);
        assert!(open.may_hold(&[7; 32]));
        open.end(&[1; 16]);
        assert!(open.may_hold(&[7; 32]));
        open.end(&[2; 16]);
        assert!(!open.may_hold(&[7; 32]));
        assert!(!open.may_hold(&[8; 32]));
    }
}
