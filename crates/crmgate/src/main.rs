//! The crmgate binary.
fn main() {}
