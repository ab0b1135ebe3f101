//! `.manifest`.

use std::collections::BTreeMap;

use crmgate_domain::Document;
use serde::Deserialize;

use crate::{BundleError, Root, Roots};

/// Longer revisions are no names.
const MAX_REVISION: usize = 256;

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What its builder calls this version; may be empty.
    pub revision: String,
    /// What it owns.
    pub roots: Roots,
    /// Whatever its builder noted.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// How many WebAssembly modules it names; crmgate evaluates Rego.
    pub(crate) modules: usize,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    revision: String,
    roots: Option<Vec<String>>,
    rego_version: Option<i64>,
    #[serde(default)]
    file_rego_versions: BTreeMap<String, i64>,
    #[serde(default)]
    wasm: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    metadata: serde_json::Map<String, serde_json::Value>,
}

impl Manifest {
    /// What a bundle without a manifest is: nameless, and the owner of everything.
    pub(crate) fn none() -> Self {
        Self {
            revision: String::new(),
            roots: Roots::everything(),
            metadata: serde_json::Map::new(),
            modules: 0,
        }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let bad = |problem: String| BundleError::Manifest(problem);
        let document = Document::parse(bytes).map_err(|error| bad(format!("not JSON: {error}")))?;
        if let Some(twice) = duplicate(&document) {
            return Err(bad(format!("`{twice}` stands twice in one object")));
        }
        let written: Written =
            serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        versions(&written)?;
        let control = written.revision.chars().any(char::is_control);
        if written.revision.len() > MAX_REVISION || control {
            return Err(bad(format!(
                "`revision`: expected at most {MAX_REVISION} bytes without control characters"
            )));
        }
        let roots = match &written.roots {
            None => Roots::everything(),
            Some(roots) => {
                Roots::new(roots.iter().map(|root| Root::parse(root)).collect()).map_err(bad)?
            }
        };
        Ok(Self {
            revision: written.revision,
            roots,
            metadata: written.metadata,
            modules: written.wasm.len(),
        })
    }
}

fn versions(written: &Written) -> Result<(), BundleError> {
    let old = |what: String| BundleError::Unsupported {
        what,
        remedy: "migrate the policies to Rego v1 (`opa fmt --write --rego-v1`) and build the \
                 bundle again"
            .to_owned(),
    };
    let unknown = |what: String| BundleError::Manifest(format!("{what}: expected 1"));
    match written.rego_version {
        None | Some(1) => {}
        Some(0) => return Err(old("`rego_version` is 0".to_owned())),
        Some(other) => return Err(unknown(format!("`rego_version` is {other}"))),
    }
    for (pattern, version) in &written.file_rego_versions {
        match version {
            1 => {}
            0 => return Err(old(format!("`file_rego_versions` says 0 for `{pattern}`"))),
            other => {
                return Err(unknown(format!(
                    "`file_rego_versions` says {other} for `{pattern}`"
                )));
            }
        }
    }
    Ok(())
}

/// A name that stands twice in one object, which two readers could read differently.
pub(crate) fn duplicate(document: &Document) -> Option<String> {
    match document {
        Document::Array(items) => items.iter().find_map(duplicate),
        Document::Object(object) => object
            .first_duplicate(str::to_owned)
            .map(str::to_owned)
            .or_else(|| object.iter().find_map(|(_, value)| duplicate(value))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Manifest::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn what_a_manifest_may_say() {
        let whole = Manifest::parse(
            br#"{"revision": "r7", "roots": ["/crm/sales/", "params/sales"], "rego_version": 1,
                 "wasm": [{"entrypoint": "a/b", "module": "/policy.wasm"}], "metadata": {"x": 1}}"#,
        )
        .unwrap();
        assert_eq!(whole.revision, "r7");
        assert_eq!(whole.roots.to_string(), "`crm/sales`, `params/sales`");
        assert_eq!((whole.modules, whole.metadata.len()), (1, 1));
        assert_eq!(Manifest::parse(b"{}").unwrap(), Manifest::none());
    }

    #[test]
    fn what_a_manifest_must_not_say() {
        assert!(fault("{").starts_with("/.manifest: not JSON"));
        assert!(fault(r#"{"rego_version": 0}"#).contains("opa fmt"));
        assert!(fault(r#"{"rego_version": 7}"#).contains("expected 1"));
        assert!(fault(r#"{"file_rego_versions": {"/x/*": 0}}"#).contains("`/x/*`"));
        assert!(fault(r#"{"roots": ["a", "a/b"]}"#).contains("`a` and `a/b` overlap"));
        assert!(fault(r#"{"revision": "a", "revision": "b"}"#).contains("twice"));
        assert!(fault(r#"{"revision": "a\nb"}"#).contains("`revision`"));
        assert!(fault(r#"{"roots": "a"}"#).contains("invalid type"));
    }
}
