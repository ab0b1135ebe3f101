//! What a policy set is made of, already read.

use std::collections::BTreeMap;

use crmgate_domain::{ConnectionName, Enforcement, Object};

use crate::LoadError;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path below the layer's folder, with `/`: `sales/discounts.rego`. Its first part is the
    /// pack; messages name it, and it is part of the revision. What came in a bundle is named with
    /// it: `central:/sales/discounts.rego`.
    pub path: String,
    /// The text.
    pub text: String,
}

/// All sources of a policy set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sources {
    /// The global layer: `policies/<pack>/…`.
    pub global: Vec<Source>,
    /// What belongs to one connection.
    pub connections: BTreeMap<ConnectionName, ConnectionSources>,
}

/// What belongs to one connection: its own layer, and how it sets the global one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConnectionSources {
    /// The connection's layer: `connections/<name>/<pack>/…`.
    pub files: Vec<Source>,
    /// Parameters of global packages set for this connection, shaped as `data.params`:
    /// `{"sales": {"discounts": {"deny_over": 40}}}`.
    pub params: Object,
    /// Global packages that count less or more here. A `final` package can't be set at all.
    pub enforcement: BTreeMap<String, Enforcement>,
    /// What is wrong with it before it is loaded: files that could not be read.
    pub faults: Vec<LoadError>,
    /// Whether nothing of it can be used: everything that the connection asks is in error, until
    /// it is mended.
    pub shut: bool,
}

impl ConnectionSources {
    /// A layer that lets nothing be judged.
    #[must_use]
    pub fn shut() -> Self {
        Self {
            shut: true,
            ..Self::default()
        }
    }
}

impl Sources {
    /// A global layer without connections.
    #[must_use]
    pub fn global(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let global = files
            .into_iter()
            .map(|(path, text)| Source { path, text })
            .collect();
        Self {
            global,
            connections: BTreeMap::new(),
        }
    }
}

/// The bundle that a path names, and the path below the layer's folder.
pub(crate) fn split_bundle(path: &str) -> (Option<&str>, &str) {
    match path.split_once(":/") {
        Some((bundle, below)) if !bundle.contains('/') => (Some(bundle), below),
        _ => (None, path),
    }
}

/// What a file is to the loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A policy.
    Rego,
    /// A policy's tests, which no decision sees.
    RegoTest,
    /// Data below the folder's name.
    Data,
    /// Parameters.
    Params,
    /// The schema of the parameters beside it.
    ParamsSchema,
    /// How global packages count for a connection.
    Enforcement,
    /// Nothing to the loader: prose, cases, dotfiles.
    Ignored,
    /// Looks like data and is not read: most likely a misspelled name.
    Unknown,
}

impl FileKind {
    /// Tells by the path of a [`Source`].
    #[must_use]
    pub fn of(path: &str) -> Self {
        let (_, path) = split_bundle(path);
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let aside = |part: &str| part.starts_with('.') || part == "cases" || part == "schema";
        if folder.split('/').any(aside) || name.starts_with('.') {
            return Self::Ignored;
        }
        match name {
            "data.json" | "data.yaml" | "data.yml" => Self::Data,
            "params.json" | "params.yaml" | "params.yml" => Self::Params,
            "params.schema.json" => Self::ParamsSchema,
            "enforcement.yaml" | "enforcement.yml" | "enforcement.json" if folder.is_empty() => {
                Self::Enforcement
            }
            _ if name.ends_with("_test.rego") => Self::RegoTest,
            _ => match name.rsplit_once('.').map(|(_, extension)| extension) {
                Some("rego") => Self::Rego,
                Some("json" | "yaml" | "yml") => Self::Unknown,
                _ => Self::Ignored,
            },
        }
    }

    /// Whether a decision can depend on it.
    #[must_use]
    pub const fn counts(self) -> bool {
        !matches!(self, Self::Ignored | Self::RegoTest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_bundle_is_no_folder() {
        assert_eq!(
            split_bundle("central:/a/b.rego"),
            (Some("central"), "a/b.rego")
        );
        assert_eq!(split_bundle("a/b:/c.rego"), (None, "a/b:/c.rego"));
        assert_eq!(FileKind::of("central:/data.json"), FileKind::Data);
        assert_eq!(FileKind::of("own:/enforcement.yaml"), FileKind::Enforcement);
        assert_eq!(FileKind::of("central:/.manifest"), FileKind::Ignored);
    }
}
