//! Servers that tests start for themselves, on free ports and in folders that go with them.
//!
//! One that is not installed is a skip that says its name; `CRMGATE_REQUIRE=postgres,redis` makes it
//! a failure.

mod keeper;
mod postgres;
mod redis;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use self::postgres::Postgres;
pub use self::redis::Redis;

/// The path of a server's program, or `None` after saying that the test is skipped.
///
/// # Panics
/// When it is required and missing.
fn need<F: AsRef<Path>>(name: &str, program: &str, folders: &[F]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(folders.iter().map(|folder| folder.as_ref().to_owned()))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file());
    if found.is_none() {
        missing(name, program);
    }
    found
}

#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "what tests require is no setting, and a skip that nobody sees is a lie"
)]
fn missing(name: &str, program: &str) {
    let required = std::env::var("CRMGATE_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|required| required == name),
        "`{name}` is required and missing: no `{program}` on the path"
    );
    eprintln!("skipped: needs {name}: no `{program}` on the path");
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Sends a signal (`-KILL`) to a process that a test started, unless it has ended by itself.
fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill").arg(name).arg(pid.to_string()).output();
}
