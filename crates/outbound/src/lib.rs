//! The one HTTP client: everything that leaves crmgate by HTTP leaves through [`Client`].
//!
//! What it promises, each proven by a test against a raw server:
//!
//! - **Three failures are told apart.** An answer with an error status is an answer.
//!   [`SendError::NotSent`] means that no server can have acted on the request: it may be sent
//!   again. [`SendError::Unknown`] means that it may have been acted on: whoever wrote something
//!   has to read it back before anything is repeated.
//! - **Nothing is repeated behind the caller's back.** The HTTP library's retries are off. What
//!   remains is its own second try for a request that was never handed to a connection, because
//!   the pooled connection had closed before it took the request.
//! - **Nothing is followed and nothing is changed.** No redirects, no decompression, no cookies;
//!   a URI that would be rewritten into another one on its way is not sent at all.
//! - **Secrets stay inside.** Errors and log lines name the scheme, host and port, never a path's
//!   query, a header or a body.

mod body;
mod choosy;
mod client;
mod error;
mod meters;
mod settings;
mod tls;

pub use body::{Body, read_to_end};
pub use client::Client;
pub use error::{BodyError, BuildError, ExecuteError, SendError};
pub use settings::Settings;
