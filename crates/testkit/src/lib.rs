//! Builders and helpers for tests: a clock that tests move, a store in memory that can be made to
//! fail, a CRM with its connector that do as they are told and remember what reached them, and real
//! servers.

#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

pub mod ambient;
pub mod crm;
pub mod fake;
pub mod jobs;
pub mod memory;
pub mod permit;
pub mod servers;

pub use ambient::TestAmbient;
pub use crm::{FakeCrm, Fault, Sent};
pub use fake::{FakeConnector, request};
pub use jobs::MemoryJobs;
pub use memory::MemoryStore;
pub use permit::permit;
pub use servers::{Postgres, Redis};
