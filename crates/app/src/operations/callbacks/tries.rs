//! How it went with telling an operation's end.

use std::time::Duration;

use crmgate_domain::{OperationId, Timestamp};
use crmgate_store::{StoreError, Swapped};
use serde::{Deserialize, Serialize};

use super::Callbacks;

/// How long what became of tries is kept.
const KEEP_TRIES: Duration = Duration::from_secs(30 * 24 * 3600);
/// Tries of one operation that are told.
const MOST_TRIES: usize = 50;

/// How it went with telling an operation's end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// The version of the operation that was taken by the receiver.
    pub delivered: Option<u64>,
    /// The newest tries, oldest first.
    pub tries: Vec<Try>,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// When.
    pub at: Timestamp,
    /// The operation's version that was told.
    pub version: u64,
    /// The receiver's HTTP status, where it answered.
    pub status: Option<u16>,
    /// What happened, where it was not taken.
    pub problem: Option<String>,
}

impl Callbacks {
    /// How it went so far.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn tries(&self, id: OperationId) -> Result<Tries, StoreError> {
        Ok(self.stored(id).await?.0)
    }

    async fn stored(&self, id: OperationId) -> Result<(Tries, Option<u64>), StoreError> {
        let Some(cells) = &self.cells else {
            return Ok((Tries::default(), None));
        };
        let cell = cells.cell(&cell_of(id)).await?;
        let tries = cell
            .as_ref()
            .and_then(|cell| serde_json::from_str(&cell.body).ok())
            .unwrap_or_default();
        Ok((tries, cell.map(|cell| cell.version)))
    }

    /// Notes a try.
    ///
    /// # Errors
    /// When it is not certain that it is noted.
    pub async fn note(&self, id: OperationId, tried: Try) -> Result<(), StoreError> {
        let Some(cells) = &self.cells else {
            return Ok(());
        };
        // Two processes may try at the same time; each notes its own.
        for _ in 0..5 {
            let (mut tries, version) = self.stored(id).await?;
            if tried.problem.is_none() {
                tries.delivered = tries.delivered.max(Some(tried.version));
            }
            tries.tries.push(tried.clone());
            let over = tries.tries.len().saturating_sub(MOST_TRIES);
            tries.tries.drain(..over);
            let body = serde_json::to_string(&tries).unwrap_or_default();
            let key = cell_of(id);
            let swapped = cells.swap(&key, version, body, Some(KEEP_TRIES));
            if let Swapped::Done(_) = swapped.await? {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn cell_of(id: OperationId) -> String {
    format!("callback/{id}")
}
