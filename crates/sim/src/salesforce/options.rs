//! What the simulated org is set up with.

use std::time::Duration;

use crate::Options;

/// The org, its connected app and the credentials that it accepts.
///
/// The user `username` is the integration user. The other seeded users log in with the same password and security
/// token.
#[derive(Clone, Debug)]
pub struct SalesforceOptions {
    /// What both simulators can be told.
    pub common: Options,
    /// The integration user's name.
    pub username: String,
    /// The password of all users.
    pub password: String,
    /// The security token of all users: SOAP and password logins send it right after the password.
    pub security_token: String,
    /// The connected app's consumer key.
    pub client_id: String,
    /// The connected app's consumer secret.
    pub client_secret: String,
    /// A refresh token of the integration user; empty: none.
    pub refresh_token: String,
    /// A session of the integration user that is open from the start; empty: none. It idles out like any other.
    pub access_token: String,
    /// More sessions that are open from the start.
    pub tokens: Vec<IssuedToken>,
    /// The key, in PEM, whose holder may log in with signed assertions.
    pub jwt_public_key: Option<String>,
    /// Takes an assertion whoever signed it. For trials only.
    pub any_jwt_signature: bool,
    /// Audiences of assertions taken beside the generic login hosts and the org's own address.
    pub audiences: Vec<String>,
    /// The scopes of the connected app: what a login gets unless it asks for less.
    pub scopes: Vec<String>,
    /// The org's identifier, 15 or 18 characters beginning with `00D`.
    pub org_id: String,
    /// The newest version of the interface, times ten: 660 for 66.0.
    pub max_version: u16,
    /// The last version, times ten, whose SOAP interface knows `login()`: 640 at Salesforce.
    pub last_login_version: u16,
    /// How long a session lives without a call.
    pub session_lifetime: Duration,
    /// Records in a page of query results, unless the client asks for fewer.
    pub page_size: usize,
    /// How many calls may be made in all; the calls after are refused. `None`: any number.
    pub call_quota: Option<u64>,
}

/// A session that is open from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedToken {
    /// The access token.
    pub token: String,
    /// Whose it is.
    pub username: String,
    /// Its scopes.
    pub scopes: Vec<String>,
}

impl SalesforceOptions {
    /// An org whose names are given and whose secrets come from `random`, so that they differ from run to run.
    #[must_use]
    pub fn demo(mut random: impl FnMut() -> [u8; 16]) -> Self {
        let mut secret = || hex::encode(random());
        let org_id = "00DWd0000008AcmMAE".to_owned();
        Self {
            common: Options::default(),
            username: "integration@acme.example".to_owned(),
            password: secret(),
            security_token: secret(),
            client_id: format!("3MVG9{}", secret()),
            client_secret: secret(),
            refresh_token: format!("5Aep861{}", secret()),
            access_token: format!("00DWd0000008Acm!AQ{}", secret()),
            tokens: Vec::new(),
            jwt_public_key: None,
            any_jwt_signature: false,
            audiences: Vec::new(),
            scopes: ["api", "id", "profile", "email", "refresh_token"]
                .map(str::to_owned)
                .to_vec(),
            org_id,
            max_version: 660,
            last_login_version: 640,
            session_lifetime: Duration::from_hours(2),
            page_size: 2000,
            call_quota: None,
        }
    }
}

impl Default for SalesforceOptions {
    /// [`SalesforceOptions::demo`] with the operating system's randomness.
    fn default() -> Self {
        Self::demo(rand::random)
    }
}
