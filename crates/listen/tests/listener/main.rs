//! The listener, against clients that misbehave byte by byte and against ones that don't.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of a test fail loudly"
)]

mod limits;
mod shutdown;
mod support;
mod tls;
