//! What a policy set is made of, already read.

use std::collections::BTreeMap;

use crmgate_domain::{ConnectionName, Enforcement, Object};

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path below the layer's folder, with `/`: `sales/discounts.rego`. Its first part is the
    /// pack; messages name it, and it is part of the revision.
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
