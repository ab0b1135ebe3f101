//! Listeners: everything that comes in by HTTP or HTTPS comes in through [`Listener`].
//!
//! It owns what all faces of crmgate share: TLS with certificates that change without a restart,
//! who a caller is on the network ([`Peer`]), limits against slow and greedy clients, and a
//! shutdown that lets requests under way end.

mod certificates;
mod connection;
mod error;
mod forwarded;
mod listener;
mod meters;
mod peer;
mod settings;
mod stall;

pub use certificates::{CertificateStatus, Certificates};
pub use error::{BindError, CertificateError};
pub use listener::{Listener, Report};
pub use peer::Peer;
pub use settings::{CertificateSource, ForwardedHeaders, Settings};
