//! What submitted objects are called.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::ConnectionName;

use super::request::Wrong;
use crate::{Connection, operations::form};

/// How long a CRM may take to say what an object is called.
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// Objects of one submission that are remembered, and asked about.
const MOST: usize = 1000;

/// An object's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Canonical, or native in lower case.
    pub(crate) canonical: String,
    /// The CRM's own.
    pub(crate) native: String,
}

/// What the objects of one submission are called. Each is asked about once, and not at all when
/// the connection's mapping names it; a CRM that does not answer is not asked again, and its
/// workers find out.
#[derive(Default)]
pub(crate) struct Names {
    known: HashMap<(ConnectionName, String), Option<Arc<Named>>>,
    silent: HashSet<ConnectionName>,
}

impl Names {
    pub(crate) async fn of(
        &mut self,
        connection: &Connection,
        named: &str,
    ) -> Result<Arc<Named>, Wrong> {
        let key = (connection.name().clone(), named.to_owned());
        let found = if let Some(found) = self.known.get(&key) {
            found.clone()
        } else {
            let found = self.find(connection, named).await;
            if self.known.len() < MOST {
                self.known.insert(key, found.clone());
            }
            found
        };
        found.ok_or_else(|| {
            let message = format!("`{}` has no object `{named}`", connection.name());
            Wrong::at("unknown_object", "object", message)
        })
    }

    async fn find(&mut self, connection: &Connection, named: &str) -> Option<Arc<Named>> {
        let of = |native: &str| {
            let (canonical, native) = form::names(connection, native);
            Arc::new(Named { canonical, native })
        };
        let own = of(named);
        let mapped = own.canonical != named.to_ascii_lowercase() || own.native != named;
        if mapped || self.silent.contains(connection.name()) || self.known.len() >= MOST {
            return Some(own);
        }
        let asking = connection.connector().object_named(named);
        let Ok(Ok(native)) = tokio::time::timeout(ASK_WITHIN, asking).await else {
            self.silent.insert(connection.name().clone());
            return Some(own);
        };
        native.map(|native| of(&native))
    }
}
