//! The Postgres store behaves as every store, as one that several processes share, and as one whose
//! server comes and goes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails, fails"
)]

mod behaviour;
mod commits;
mod lost;
mod model;
#[path = "../model/plain.rs"]
mod plain;
mod queued;
#[path = "../model/steps.rs"]
mod steps;
#[path = "../tamperings/table.rs"]
mod table;
mod tables;
mod tampering;
mod tls;
mod trips;
#[path = "../model/world.rs"]
mod world;
mod writers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crmgate_domain::{Ambient, ProcessId, RevisionId, Timestamp};
use crmgate_store::suite::Ticking;
use crmgate_store::{Process, ProcessKind};
use crmgate_store_sql::{OpenError, PostgresSettings, PostgresStore};

/// Its random bytes are others than those of any before it, so that no two chains have one id.
fn ambient() -> Arc<Ticking> {
    static MADE: AtomicU64 = AtomicU64::new(1);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    Arc::new(Ticking::after(number << 32))
}

fn settings(address: &str) -> PostgresSettings {
    PostgresSettings {
        url: address.to_owned().into(),
        connections: 4,
    }
}

/// A store of a process of its own.
async fn try_open(address: &str) -> Result<PostgresStore, OpenError> {
    let ambient = ambient();
    let process = ProcessId::fresh(ambient.as_ref() as &dyn Ambient);
    PostgresStore::open(&settings(address), process, ambient).await
}

async fn open(address: &str) -> PostgresStore {
    try_open(address).await.unwrap()
}

/// A process that said at that time that it lives.
fn living(id: ProcessId, beat_at: Timestamp) -> Process {
    Process {
        id,
        kind: ProcessKind::Serve,
        host: "here".to_owned(),
        version: "test".to_owned(),
        started_at: beat_at,
        beat_at,
        revision: RevisionId::new("r"),
        draining: false,
    }
}
