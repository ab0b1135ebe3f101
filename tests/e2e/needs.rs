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
    need_from(name, path, "`tests/run clients`")
}

/// The same for what comes from elsewhere.
fn need_from(name: &str, path: PathBuf, from: &str) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var("CRMGATE_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|required| required == name),
        "`{name}` is required and missing: {} (it comes with {from})",
        path.display()
    );
    eprintln!("skipped: needs {name}, which comes with {from}");
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
    let found = named.or_else(|| Some(pinned.clone()).filter(|file| file.is_file()));
    need("opa", found.or_else(|| on_path("opa")).unwrap_or(pinned))
}

/// Prometheus' tool for rules: the one that the variable `PROMTOOL` names, or the one on the path.
pub(crate) fn promtool() -> Option<PathBuf> {
    let named = std::env::var_os("PROMTOOL").map(PathBuf::from);
    let found = named.or_else(|| on_path("promtool"));
    need_from(
        "promtool",
        found.unwrap_or_else(|| "promtool".into()),
        "Prometheus",
    )
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut files = std::env::split_paths(&path).map(|dir| dir.join(name));
    files.find(|file| file.is_file())
}

/// A language's own interpreter, without any package: `python3`, `node`.
pub(crate) fn interpreter(name: &'static str) -> Option<PathBuf> {
    let found = on_path(name).unwrap_or_else(|| name.into());
    need_from(name, found, "its language")
}
