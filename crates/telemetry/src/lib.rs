//! How the parts tell what they do: numbers with bounded labels, spans that belong together.
//!
//! INVARIANT: what a caller, a record or a policy can choose never becomes a label without a bound
//! ([`Capped`]), and nothing but names and ids becomes a field of a span.

mod capped;
mod each;
pub mod status;
pub mod trace;

pub use capped::{Capped, OTHER};
pub use each::Each;

/// The target of every span that can leave as part of a trace. Log filters see it as any other.
pub const SPANS: &str = "crmgate::span";
