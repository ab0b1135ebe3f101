//! Who asks.

use serde::{Deserialize, Serialize};

/// Who asks for an operation, as far as the enforcement point could find out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The CRM's id of the user, normalized (18 characters in Salesforce, lower-case GUID in
    /// Dataverse), or the id of a crmgate token.
    pub id: String,
    /// Login name, where there is one.
    pub username: Option<String>,
    /// E-mail address, where it is known.
    pub email: Option<String>,
    /// Profile, permission sets or security roles, by name, sorted.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Groups or teams, by name, sorted.
    #[serde(default)]
    pub groups: Vec<String>,
    /// OAuth scopes, sorted; `None` when no source could tell them, which a package with
    /// `allow_scopes` refuses as `scopes_unknown`.
    pub scopes: Option<Vec<String>>,
    /// The client program: connected app, application id, or its name for itself.
    pub client: Option<String>,
    /// The user on whose behalf the actor says it acts.
    pub on_behalf_of: Option<String>,
}
