//! Real processes, real clients.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test's failure is its message, and tests may look at the environment"
)]

mod approvals;
mod bundles;
#[path = "../support/catalogue.rs"]
mod catalogue;
mod clients;
mod control;
mod crash;
mod decision_log;
mod demo;
mod doors;
mod hostile;
mod monitoring;
mod needs;
mod opa;
mod operations;
#[path = "../support/pki.rs"]
mod pki;
mod process;
mod record;
mod reload;
mod served;
mod stopping;
mod together;
mod together_salesforce;
mod tour;
