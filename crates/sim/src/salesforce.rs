//! A simulated Salesforce org: OAuth and SOAP logins, sObject rows, queries, search and metadata.
//!
//! What it doesn't simulate (composite graphs, bulk jobs, the other interfaces), it answers as Salesforce answers
//! for a resource that doesn't exist.

mod access;
mod cell;
mod coerce;
mod composite;
mod conditional;
mod cursor;
mod derive;
mod describe;
mod error;
mod id;
mod identity;
mod jwt;
mod misc;
mod oauth;
mod options;
mod org;
mod query;
mod reply;
mod rest;
mod rows;
mod save;
mod schema;
mod search;
mod seed;
mod session;
mod soap;
mod soql;
mod store;
mod usage;
mod version;

use std::sync::Arc;

use axum::Router;
use http::StatusCode;
use serde_json::Value;

pub use options::{IssuedToken, SalesforceOptions};
pub use org::SetupError;

use crate::crm::{Answer, Call, Crm, Refusal};
use crate::front::Front;
use error::ApiError;
use org::Org;
use reply::{Reply, plain};
use soql::{Projection, Scope};

/// A simulated org behind the shared front. Clones share all state.
#[derive(Clone)]
pub struct Simulator {
    front: Front,
}

impl Simulator {
    /// Sets an org up with the seeded data.
    ///
    /// # Errors
    /// An option that can't be used: the public key, the org's identifier, the user of a token.
    pub fn new(options: SalesforceOptions) -> Result<Self, SetupError> {
        let common = options.common.clone();
        let org = Org::new(options)?;
        Ok(Self {
            front: Front::new(Arc::new(SalesforceCrm(org)), common),
        })
    }

    /// The service, with links by [`crate::Options::tls`].
    pub fn router(&self) -> Router {
        self.front.router()
    }

    /// The service for a listener that speaks TLS, or doesn't. Any number of listeners can share one org.
    pub fn router_for(&self, tls: bool) -> Router {
        self.front.router_for(tls)
    }

    /// The front, with its journal and its faults.
    #[must_use]
    pub fn front(&self) -> &Front {
        &self.front
    }
}

struct SalesforceCrm(Org);

impl Crm for SalesforceCrm {
    fn answer(&self, call: &Call) -> Answer {
        let org = &self.0;
        let path = call.path();
        if let Some(rest) = path
            .strip_prefix("/services/data")
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        {
            rest::answer(org, call, rest)
        } else if let Some(endpoint) = path.strip_prefix("/services/oauth2/") {
            oauth::answer(org, call, endpoint.trim_end_matches('/'))
        } else if let Some(rest) = path.strip_prefix("/services/Soap/") {
            soap::answer(org, call, rest)
        } else if let Some(rest) = path.strip_prefix("/id/") {
            identity::identity(org, call, rest.trim_end_matches('/'))
        } else if path.starts_with("/services/") {
            Reply::from(ApiError::not_found()).render(false)
        } else {
            plain(
                StatusCode::NOT_FOUND,
                "text/html;charset=UTF-8",
                "<html><body>URL No Longer Exists</body></html>",
            )
        }
    }

    fn refuse(&self, call: &Call, refusal: Refusal) -> Answer {
        misc::refuse(&self.0.usage, call, &refusal)
    }

    fn expire_session(&self, call: &Call) {
        if let Some(token) = identity::bearer(call) {
            self.0.sessions.end(token);
        }
    }

    fn records(&self, object: &str) -> Option<Vec<Value>> {
        let org = &self.0;
        let (ix, _) = org.object(object)?;
        let _turn = org.turn();
        let store = org.read();
        let now = org.options.common.clock.now();
        let scope = Scope {
            schema: &org.schema,
            store: &store,
            access: &org.full,
            now,
        };
        let projection = Projection::everything(&scope, ix);
        let version = version::newest(org.options.max_version).text();
        let rows = store.rows(ix).filter(|row| !row.deleted);
        Some(
            rows.map(|row| projection.show(&scope, &version, ix, row))
                .collect(),
        )
    }

    fn effects(&self, after: u64) -> Vec<Value> {
        // Those that have the org to themselves may yet take back what they did.
        let _turn = self.0.turn();
        self.0.read().effects().after(after)
    }

    fn objects(&self) -> Vec<String> {
        self.0
            .schema
            .objects
            .iter()
            .map(|object| object.name.clone())
            .collect()
    }

    fn limits(&self) -> Option<Value> {
        Some(self.0.usage.show())
    }

    fn set_limits(&self, body: Option<&[u8]>) -> Result<(), String> {
        self.0.usage.set(body)
    }

    fn reset(&self) {
        if let Err(error) = self.0.usage.set(None) {
            tracing::error!(%error, "the limits could not be restored");
        }
        if let Err(error) = self.0.plant().map_err(SetupError::from) {
            tracing::error!(%error, "the seeded data could not be restored");
        }
    }
}

#[cfg(test)]
mod tests;
