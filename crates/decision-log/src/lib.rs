//! The record of decisions as others read it.
//!
//! [`mask`] hides what must not be remembered, before anything is recorded; [`event`] puts a
//! recorded decision into the form of OPA's decision log, with a `crm` extension; [`sink`] hands
//! events on and loses none: [`Pump`] moves a durable position only behind what a sink has taken.

pub mod event;
pub mod mask;
pub mod pump;
pub mod sink;
pub mod table;

pub use event::{Event, Form};
pub use mask::{HashKey, REDACTED, Scrubber, Treatment};
pub use pump::{Lag, Pump, PumpSettings};
pub use sink::{Sink, SinkError};
