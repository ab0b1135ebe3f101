//! Fair to the org: how many calls a connection's workers may make, and when, over all processes.
//!
//! Everything here is values: what is known ([`Shared`]), the rules ([`Rules`]) and the time go in,
//! and what may be done comes out. [`Governor`](crate::governor::Governor) keeps the values where
//! all processes see them.

mod allowance;
mod breaker;
mod bucket;
mod limit;
mod quiet;
mod rules;
mod shared;
#[cfg(test)]
mod tests;

pub(crate) use allowance::is_low;
pub use allowance::{Day, low_until};
pub use breaker::Breaker;
pub use bucket::Bucket;
pub use limit::Limit;
pub use quiet::{Quiet, ends};
pub use rules::{BreakerRules, CallRules, Rules};
pub use shared::{Grant, Report, Shared, Wait, WaitFor};
