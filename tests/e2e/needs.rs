//! What a test needs that may not be here.

use std::path::PathBuf;

/// Where `tests/run clients` put other people's clients.
fn tools() -> PathBuf {
    let default = || concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools").into();
    std::env::var_os("CRMGATE_TOOLS").map_or_else(default, PathBuf::from)
}

/// The path of a need, or `None` after saying that the test is skipped. In CI
/// (`CRMGATE_REQUIRE=python,node`) a missing one fails.
fn need(name: &str, path: PathBuf) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var("CRMGATE_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|required| required == name),
        "`{name}` is required and missing: {} (run `tests/run clients`)",
        path.display()
    );
    eprintln!("skipped: needs {name}, which `tests/run clients` installs");
    None
}

/// A Python with the pinned clients.
pub(crate) fn python() -> Option<PathBuf> {
    need("python", tools().join("python/bin/python"))
}

/// The folder in which the pinned Node clients are installed.
pub(crate) fn node() -> Option<PathBuf> {
    need("node", tools().join("node/node_modules"))
        .and_then(|modules| modules.parent().map(PathBuf::from))
}

/// OPA: the one that the variable `OPA` names, the pinned one, or the one on the path.
pub(crate) fn opa() -> Option<PathBuf> {
    let named = std::env::var_os("OPA").map(PathBuf::from);
    let pinned = tools().join("go/bin/opa");
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        let mut files = std::env::split_paths(&path).map(|dir| dir.join("opa"));
        files.find(|file| file.is_file())
    };
    let found = named.or_else(|| Some(pinned.clone()).filter(|file| file.is_file()));
    need("opa", found.or_else(on_path).unwrap_or(pinned))
}
