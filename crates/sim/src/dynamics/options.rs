//! What the simulated environment can be told.

use std::time::Duration;

use uuid::Uuid;

use crate::Options;

/// An application that is registered with the directory.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its identifier in token requests.
    pub client_id: Uuid,
    /// The identifier of its service principal, which tokens carry as `oid`.
    pub object_id: Uuid,
    /// Its name; the application user is called so.
    pub name: String,
    /// The secret by which it signs in, if it has one.
    pub client_secret: Option<String>,
    /// The certificate (or only its public key) by which it signs in, as PEM, if it has one.
    pub certificate_pem: Option<String>,
    /// The security role of its application user. `None`: it is no user of this environment.
    pub role: Option<String>,
}

/// What the simulated environment can be told.
#[derive(Clone, Debug)]
pub struct DynamicsOptions {
    /// Address, clock and randomness.
    pub common: Options,
    /// The directory's tenant.
    pub tenant_id: Uuid,
    /// The environment's organization.
    pub organization_id: Uuid,
    /// Its unique name.
    pub organization_name: String,
    /// The name that people see.
    pub friendly_name: String,
    /// The registered applications.
    pub applications: Vec<Application>,
    /// For how long an access token is good.
    pub token_lifetime: Duration,
    /// The longest page of a list.
    pub page_size: usize,
    /// The only resource for which the directory issues tokens, such as `https://org.crm.dynamics.com`. `None`: any,
    /// since clients that are pointed at a gateway ask for its address.
    pub resource: Option<String>,
    /// Refuse a user's requests beyond 6,000 in five minutes, as the service does.
    pub enforce_limits: bool,
}

impl Default for DynamicsOptions {
    /// An environment with two applications: `Integration`, and `Web Forms`, which may do little.
    fn default() -> Self {
        Self {
            common: Options::default(),
            tenant_id: Uuid::from_u128(0x5d2f_8a1c_6b3e_4f70_9c21_7e8d_4a5b_6c90),
            organization_id: Uuid::from_u128(0xe71c_2b9a_0d54_4c18_8f36_2a9b_1c7d_5e40),
            organization_name: "unqacme".to_owned(),
            friendly_name: "Acme".to_owned(),
            applications: vec![
                Application {
                    client_id: Uuid::from_u128(0x1b7e_4c2d_9a30_4d6f_b582_6c1e_9f04_a7d3),
                    object_id: Uuid::from_u128(0x8c4d_1e7f_2b96_4a05_9d38_5f7a_0c2e_b146),
                    name: "Integration".to_owned(),
                    client_secret: Some("integration-secret".to_owned()),
                    certificate_pem: None,
                    role: Some("Integration".to_owned()),
                },
                Application {
                    client_id: Uuid::from_u128(0x6f3a_9d58_4e1b_4720_8b6c_d2e5_7a19_0f84),
                    object_id: Uuid::from_u128(0xa92b_5c60_7d1e_4f83_b047_1e6c_8d3f_9a25),
                    name: "Web Forms".to_owned(),
                    client_secret: Some("web-forms-secret".to_owned()),
                    certificate_pem: None,
                    role: Some("Web Forms".to_owned()),
                },
            ],
            token_lifetime: Duration::from_secs(3600),
            page_size: 5000,
            resource: None,
            enforce_limits: false,
        }
    }
}
