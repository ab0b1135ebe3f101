//! Which connection a client asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use crmgate_app::Connection;
use url::Url;

/// A connection as its clients reach it.
#[derive(Clone)]
pub struct Door {
    /// The connection.
    pub connection: Arc<Connection>,
    /// The gate's address as clients see it, where it can't be told from their requests.
    pub public_url: Option<Url>,
}

/// The connections behind one listener.
#[derive(Clone, Default)]
pub struct Doors {
    by_host: BTreeMap<String, Arc<Door>>,
    only: Option<Arc<Door>>,
}

impl Doors {
    /// A listener of one connection's own: whatever host a client asks for.
    #[must_use]
    pub fn only(door: Door) -> Self {
        Self {
            by_host: BTreeMap::new(),
            only: Some(Arc::new(door)),
        }
    }

    /// Adds a connection that is reached by a host name.
    #[must_use]
    pub fn with_host(mut self, host: &str, door: Door) -> Self {
        self.by_host.insert(fold(host), Arc::new(door));
        self
    }

    /// The connection for that host, which is without a port.
    pub(crate) fn find(&self, host: Option<&str>) -> Option<&Arc<Door>> {
        let named = host.and_then(|host| {
            // Most clients write it as the configuration does.
            self.by_host
                .get(host)
                .or_else(|| self.by_host.get(&fold(host)))
        });
        named.or(self.only.as_ref())
    }
}

fn fold(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}
