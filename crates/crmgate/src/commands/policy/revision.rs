//! Policies that a running crmgate has or had in force.

use std::path::Path;

use crmgate_app::{PolicyChecker as _, sources};
use crmgate_policy::{LoadErrors, PolicySet, Sources};
use serde_json::Value;

use crate::client::Api;
use crate::exit::{Exit, Failure};
use crate::output::patiently;
use crate::wiring::child::ChildChecker;

/// What is in force now.
const CURRENT: &str = "current";

/// The revision that an argument names, where it is no folder.
pub(super) fn named(dir: &Path) -> Option<&str> {
    let text = dir.to_str().filter(|_| !dir.exists())?;
    let digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (digest || text == CURRENT).then_some(text)
}

/// Fetches and loads a revision.
pub(super) async fn load(
    api: &Api,
    name: &str,
    notes: &mut Vec<String>,
) -> Result<Result<(Sources, PolicySet), LoadErrors>, Failure> {
    let odd = |problem: String| Failure::new(Exit::Unreachable, problem);
    let digest = if name == CURRENT {
        let status = api.get("v1/policies").await?;
        status
            .get("revision")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    } else {
        name.to_lowercase()
    };
    let stored = api.get(&format!("v1/policies/revisions/{digest}")).await?;
    let text = stored
        .get("sources")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let sources = sources::read(text).map_err(|error| odd(error.to_string()))?;
    if stored.get("whole") != Some(&Value::Bool(true)) {
        notes.push("layers of connections that the token does not see are left out".to_owned());
    }
    let checked = patiently("loading policies", ChildChecker::new()?.check(&sources)).await;
    Ok(checked
        .and_then(|()| PolicySet::load(&sources))
        .map(|set| (sources, set)))
}
