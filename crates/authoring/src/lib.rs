//! What authors of policies run, without a running crmgate.
//!
//! [`suite`] runs tests written in Rego and data cases, with coverage; [`given`] reads an input to
//! be judged and [`explained`] tells why it was judged so; [`mod@bench`] measures. [`report`] writes
//! what came out for people and for machines. The commands of the binary are thin around it.

pub mod bench;
pub mod explained;
pub mod given;
pub mod report;
pub mod suite;

pub use given::Given;
pub use suite::{Report, Suite, Wanted};
