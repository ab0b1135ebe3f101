//! Servers that tests start for themselves, on free ports and in folders that go with them.
//!
//! One that is not installed is a skip that says its name; `CRMGATE_REQUIRE=postgres,redis` makes it
//! a failure.

mod keeper;
mod postgres;
mod redis;

use std::net::TcpListener;

pub use self::postgres::Postgres;
pub use self::redis::Redis;

/// Says that a test is skipped.
///
/// # Panics
/// When what is missing is required.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "what tests require is no setting, and a skip that nobody sees is a lie"
)]
fn missing(name: &str, why: &str) {
    let required = std::env::var("CRMGATE_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|required| required == name),
        "`{name}` is required and missing: {why}"
    );
    eprintln!("skipped: needs {name}: {why}");
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
