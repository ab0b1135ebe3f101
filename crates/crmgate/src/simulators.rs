//! The simulated CRMs with credentials made for the occasion.

use anyhow::Context as _;
use axum::Router;
use crmgate_sim::dynamics::{self, DynamicsOptions};
use crmgate_sim::salesforce::{self, IssuedToken, SalesforceOptions};
use serde_json::{Value, json};

/// A text that nobody can guess.
fn secret() -> String {
    let bytes: [u8; 16] = rand::random();
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .simple()
        .to_string()
}

/// A simulated Salesforce org and the credentials that it accepts.
pub(crate) struct Salesforce {
    simulator: salesforce::Simulator,
    pub(crate) options: SalesforceOptions,
    /// A session with every scope, for what the ordinary one may not do.
    pub(crate) pricing_token: String,
}

/// The version that `demo.json` names.
const API_VERSION: &str = "66.0";

impl Salesforce {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut options = SalesforceOptions::default();
        // Salesforce ends at 64.0; clients that strangers try first log in so at any version.
        options.last_login_version = options.max_version;
        let pricing_token = format!(
            "{}!{}",
            options.org_id.get(..15).unwrap_or_default(),
            secret()
        );
        options.tokens.push(IssuedToken {
            token: pricing_token.clone(),
            username: options.username.clone(),
            scopes: ["api", "full", "refresh_token"].map(str::to_owned).to_vec(),
        });
        let simulator =
            salesforce::Simulator::new(options.clone()).context("the simulated Salesforce")?;
        Ok(Self {
            simulator,
            options,
            pricing_token,
        })
    }

    pub(crate) fn router(&self, tls: bool) -> Router {
        self.simulator.router_for(tls)
    }

    /// All that a client needs but the address.
    pub(crate) fn facts(&self) -> Value {
        let options = &self.options;
        json!({
            "api_version": API_VERSION,
            "username": options.username,
            "password": options.password,
            "security_token": options.security_token,
            "client_id": options.client_id,
            "client_secret": options.client_secret,
            "refresh_token": options.refresh_token,
            "access_token": options.access_token,
        })
    }
}

/// A simulated Dataverse environment and the applications that it knows.
pub(crate) struct Dynamics {
    simulator: dynamics::Simulator,
    pub(crate) options: DynamicsOptions,
}

impl Dynamics {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut options = DynamicsOptions {
            // People try things for longer than the hour that a real token lives.
            token_lifetime: std::time::Duration::from_hours(24),
            ..DynamicsOptions::default()
        };
        for application in &mut options.applications {
            application.client_secret = Some(secret());
        }
        let simulator =
            dynamics::Simulator::new(options.clone()).context("the simulated Dynamics")?;
        Ok(Self { simulator, options })
    }

    pub(crate) fn router(&self, tls: bool) -> Router {
        self.simulator.router_for(tls)
    }

    /// All that a client needs but the address and a token.
    pub(crate) fn facts(&self) -> Value {
        let application = self.options.applications.first();
        json!({
            "tenant_id": self.options.tenant_id,
            "client_id": application.map(|known| known.client_id),
            "client_secret": application.and_then(|known| known.client_secret.clone()),
        })
    }
}
