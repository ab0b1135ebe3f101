//! Simulators of both CRMs.
//!
//! They keep records, enforce what the real interfaces enforce and answer in the same shapes, so that a real client
//! library can't tell the difference for what is simulated. They share a front (bodies, links, faults, journal) and
//! the `/_sim/…` calls with which a test looks behind the scenes.
//!
//! This crate knows nothing of the rest of crmgate: a simulator that shared code with a connector would share its
//! misunderstandings too.

pub mod clock;
pub mod control;
pub mod crm;
pub mod dynamics;
mod effects;
pub mod entropy;
pub mod faults;
pub mod front;
pub mod journal;
pub mod salesforce;
pub mod serve;

use url::Url;

pub use clock::Clock;
pub use crm::{Answer, Call, Crm, Refusal};
pub use entropy::Entropy;
pub use front::Front;

/// What both simulators can be told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The address that links in answers name. `None`: the scheme and host by which each request came.
    pub public_url: Option<Url>,
    /// Whether [`Front::router`] is served over TLS, so that links say `https`.
    pub tls: bool,
    /// What tokens are derived from. `None`: taken from the operating system.
    pub seed: Option<[u8; 16]>,
    /// The time the simulator goes by; a test can move it.
    pub clock: Clock,
    /// Compress answers for clients that accept it, as the real services do. Off, it spares time under load.
    pub compress: bool,
}
