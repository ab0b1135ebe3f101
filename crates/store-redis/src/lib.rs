//! Queues of jobs and shared cells on Redis, for processes on several machines.
//!
//! Every change is one script, which runs as a whole and goes by the server's clock. What is lost
//! with a Redis (its newest second, or all of it) is wake-ups and shares of allowances: accepted
//! operations are rows of the database, and whoever finds rows that should be moving pushes them
//! again.
//!
//! INVARIANT: no call waits longer than [`Settings::wait`]: a Redis that is lost answers
//! [`StoreError::Unavailable`](crmgate_store::StoreError::Unavailable), and the next call tries
//! anew.
//! INVARIANT: numbers of leases and versions of cells follow the server's clock, so that they do
//! not repeat even when all data was lost.

mod bells;
mod cells;
mod durability;
mod jobs;
mod link;
mod scripts;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::bells::Bells;
use crate::link::Link;

pub use durability::{Durability, Risk};

/// How to reach a Redis.
#[derive(Clone)]
pub struct Settings {
    /// Gives the address with the password in it, `redis://` or `rediss://`, whenever a connection
    /// is made: passwords change.
    pub address: Arc<dyn Fn() -> Result<SecretString, String> + Send + Sync>,
    /// A file with certificates of the authorities to trust, in PEM, where the system's are not
    /// those. Read whenever a connection is made.
    pub ca_file: Option<PathBuf>,
    /// What all keys begin with: installations that share a Redis differ in it.
    pub prefix: String,
    /// How long a call may take, connecting included.
    pub wait: Duration,
}

impl Settings {
    /// The usual settings for an address that does not change.
    #[must_use]
    pub fn new(address: SecretString) -> Self {
        Self {
            address: Arc::new(move || Ok(address.clone())),
            ca_file: None,
            prefix: "crmgate".to_owned(),
            wait: Duration::from_secs(2),
        }
    }
}

/// Jobs and cells on one Redis. It connects with the first call, and again whenever it has to.
pub struct RedisStore {
    link: Arc<Link>,
    bells: Bells,
    prefix: String,
}

impl RedisStore {
    /// A store at an address; nothing is asked yet. Must be called inside a runtime.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let prefix = settings.prefix.clone();
        let link = Arc::new(Link::new(settings));
        Self {
            bells: Bells::start(Arc::clone(&link), bells::channel(&prefix)),
            link,
            prefix,
        }
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), crmgate_store::StoreError> {
        self.link.ask(&redis::cmd("PING")).await
    }
}
