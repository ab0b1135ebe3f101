//! The simulated Dynamics 365 environment: its directory and its Web API.
//!
//! It keeps records as the Dataverse does: typed columns, state with status, alternate keys, lookups with cascades,
//! versions, owners, security roles and column security; and it answers in the real service's shapes and codes. What
//! it leaves out it says: 501 with the service's own error shape. The tables are data files, in `dynamics/tables`;
//! the seeded rows are in `dynamics/seed`.

mod actions;
mod address;
mod api;
mod batch;
mod cell;
mod error;
mod limits;
mod login;
mod metadata;
mod options;
mod query;
mod read;
mod schema;
mod security;
mod seed;
mod service;
mod store;
mod write;

use std::sync::Arc;

use axum::Router;
use uuid::Uuid;

use crate::Front;
use login::{Proof, Subject};
use service::{Environment, Shared};

pub use limits::Limits;
pub use options::{Application, DynamicsOptions};
pub use schema::SchemaError;

/// A simulated environment. Clones share all state.
#[derive(Clone)]
pub struct Simulator {
    environment: Shared,
    front: Front,
}

impl Simulator {
    /// Sets the environment up, with the seeded data.
    ///
    /// # Errors
    /// The data files that ship with the simulator are broken.
    pub fn new(options: DynamicsOptions) -> Result<Self, SchemaError> {
        let common = options.common.clone();
        let environment = Arc::new(Environment::new(options)?);
        let front = Front::new(Arc::clone(&environment) as Arc<dyn crate::Crm>, common);
        Ok(Self { environment, front })
    }

    /// The directory, the Web API and `/_sim/…` as one service.
    pub fn router(&self) -> Router {
        self.front.router()
    }

    /// The same for a listener that speaks TLS, or doesn't. Any number of listeners can share the data.
    pub fn router_for(&self, tls: bool) -> Router {
        self.front.router_for(tls)
    }

    /// What the environment was told.
    #[must_use]
    pub fn options(&self) -> &DynamicsOptions {
        &self.environment.options
    }

    /// The front, with its journal and faults.
    #[must_use]
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// An access token for an application, as if it had signed in by its secret. `None`: there is no such application.
    #[must_use]
    pub fn application_token(&self, client_id: Uuid, resource: &str) -> Option<String> {
        let applications = &self.environment.options.applications;
        let application = applications.iter().find(|one| one.client_id == client_id)?;
        self.issue(&Subject::Application(application, Proof::Secret), resource)
    }

    /// An access token for a person of the seeded data, by the user name: what an interactive sign-in would give.
    #[must_use]
    pub fn user_token(&self, user_name: &str, resource: &str) -> Option<String> {
        let (object_id, name) = self.environment.look(|store| {
            let table = store.schema().table("systemuser")?;
            let row = store
                .rows("systemuser")
                .find(|row| row.get(table, "domainname").as_text() == Some(user_name))?;
            let object_id = row.get(table, "azureactivedirectoryobjectid").as_id()?;
            let name = row.get(table, "fullname").as_text()?;
            Some((object_id, name.to_owned()))
        })?;
        let subject = Subject::User {
            object_id,
            name: &name,
            upn: user_name,
        };
        self.issue(&subject, resource)
    }

    /// The identifier of a seeded row, by its table and the name that the data files give it: `contact`, `annika`.
    #[must_use]
    pub fn seeded_id(table: &str, name: &str) -> Uuid {
        seed::row_id(&format!("{table}/{name}"))
    }

    /// The identifier of one of the environment's plug-in steps, by its name: `CG.Plugins.Discount`.
    #[must_use]
    pub fn step_id(name: &str) -> Uuid {
        write::step_id(name)
    }

    fn issue(&self, subject: &Subject<'_>, resource: &str) -> Option<String> {
        let environment = &self.environment;
        let now = environment.options.common.clock.now();
        let id = environment.fresh_id();
        environment
            .tokens
            .issue(&environment.options, subject, resource, (now, id))
    }
}

#[cfg(test)]
mod tests;
