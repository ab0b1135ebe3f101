//! What was seen at each connection, counted in memory and written down now and then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crmgate_domain::{Ambient, ConnectionName, Timestamp};
use crmgate_store::{Sighting, SightingKey, Store};

use crate::AppError;

/// How many different things are counted apart per connection between two flushes; the rest counts
/// as client `(others)`. Keys come from callers, so there must be an end to them.
const MOST_KEYS: usize = 2_000;

/// Counts per connection.
type Counts = HashMap<ConnectionName, HashMap<SightingKey, Count>>;

#[derive(Debug, Clone, Copy)]
struct Count {
    count: u64,
    first_at: Timestamp,
    last_at: Timestamp,
}

/// Gathers sightings.
pub struct Sightings {
    store: Arc<dyn Store>,
    ambient: Arc<dyn Ambient>,
    counts: Mutex<Counts>,
}

impl Sightings {
    /// Over a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, ambient: Arc<dyn Ambient>) -> Self {
        Self {
            store,
            ambient,
            counts: Mutex::default(),
        }
    }

    /// Counts one.
    pub fn note(&self, connection: &ConnectionName, key: SightingKey) {
        let now = self.ambient.now();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = counts.entry(connection.clone()).or_default();
        let key = if seen.len() < MOST_KEYS || seen.contains_key(&key) {
            key
        } else {
            SightingKey {
                client: "(others)".to_owned(),
                route: "(others)".to_owned(),
                ..key
            }
        };
        let count = seen.entry(key).or_insert(Count {
            count: 0,
            first_at: now,
            last_at: now,
        });
        count.count = count.count.saturating_add(1);
        count.last_at = now;
    }

    /// Writes the counts down. What cannot be written is lost, with a warning.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn flush(&self) -> Result<(), AppError> {
        let counts =
            std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        for (connection, seen) in counts {
            let seen = seen
                .into_iter()
                .map(|(key, count)| Sighting {
                    key,
                    count: count.count,
                    first_at: count.first_at,
                    last_at: count.last_at,
                })
                .collect();
            self.store.add_sightings(&connection, seen).await?;
        }
        Ok(())
    }
}
