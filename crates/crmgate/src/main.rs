//! The crmgate binary.
mod config;

fn main() {}
