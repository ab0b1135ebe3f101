//! Who a token belongs to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crmgate_connector::secret::{ExposeSecret as _, SecretString};
use crmgate_connector::{Credential, Failure, Identity};
use crmgate_domain::Actor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::connector::Dynamics;

const USER_SELECT: &str = "fullname,internalemailaddress,domainname,applicationid";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WhoAmI {
    pub(crate) user_id: String,
    organization_id: String,
}

#[derive(Deserialize, Default)]
struct User {
    internalemailaddress: Option<String>,
    domainname: Option<String>,
    applicationid: Option<String>,
    #[serde(default)]
    systemuserroles_association: Vec<Named>,
    #[serde(default)]
    teammembership_association: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

/// What a token says of itself. Nothing here is verified: it counts only once the environment has
/// taken the token.
#[derive(Deserialize, Default)]
struct Claims {
    scp: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    appid: Option<String>,
    azp: Option<String>,
}

#[derive(Deserialize)]
struct Users {
    value: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    systemuserid: String,
}

impl Dynamics {
    pub(crate) async fn who_am_i(&self, who: &Credential) -> Result<WhoAmI, Failure> {
        let path = self.upstream.api("WhoAmI");
        let answer = self.upstream.read(&path, None, who).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|_| Failure::not_sent("the environment's answer to WhoAmI cannot be read"))
    }

    pub(crate) async fn identity_of(
        &self,
        who: &Credential,
        token: Option<&SecretString>,
    ) -> Result<Identity, Failure> {
        let me = self.who_am_i(who).await?;
        let id = me.user_id.to_ascii_lowercase();
        // Who may not read users and roles is looked up by the connection.
        let reader = if self.upstream.session.is_some() {
            &Credential::Service
        } else {
            who
        };
        let user = match self.user(&id, reader).await {
            Ok(user) => user,
            Err(Failure::Refused { code, .. }) => {
                tracing::debug!(code, "a caller's roles and teams cannot be read");
                User::default()
            }
            Err(failure) => return Err(failure),
        };
        let claims = token.and_then(claims).unwrap_or_default();
        let mut scopes = match token {
            Some(token) => self.scopes.of(token).await,
            None => None,
        };
        if scopes.is_none() {
            scopes = scopes_of(&claims);
        }
        Ok(Identity {
            actor: Actor {
                id,
                username: user.domainname.filter(|name| !name.is_empty()),
                email: user.internalemailaddress.filter(|email| !email.is_empty()),
                roles: names(user.systemuserroles_association),
                groups: names(user.teammembership_association),
                scopes,
                client: claims.azp.or(claims.appid).or(user.applicationid),
                on_behalf_of: None,
            },
            org: Some(me.organization_id.to_ascii_lowercase()),
        })
    }

    /// The user of that sign-in name who is not disabled; of two, none.
    pub(crate) async fn user_of_name(&self, name: &str) -> Result<Option<String>, Failure> {
        let name = name.replace('\'', "''");
        let filter = format!("domainname eq '{name}' and isdisabled eq false");
        let query = utf8_percent_encode(&filter, NON_ALPHANUMERIC);
        let path = format!("systemusers?$select=systemuserid&$top=2&$filter={query}");
        let path = self.upstream.api(&path);
        let answer = self
            .upstream
            .read(&path, None, &Credential::Service)
            .await?;
        let found: Users = serde_json::from_slice(&answer.body).map_err(|_| {
            Failure::not_sent("the environment's answer about users cannot be read")
        })?;
        let mut users = found.value.into_iter();
        Ok(match (users.next(), users.next()) {
            (Some(only), None) => Some(only.systemuserid.to_ascii_lowercase()),
            _ => None,
        })
    }

    async fn user(&self, id: &str, reader: &Credential) -> Result<User, Failure> {
        let path = self.upstream.api(&format!(
            "systemusers({id})?$select={USER_SELECT}&$expand=\
             systemuserroles_association($select=name),teammembership_association($select=name)"
        ));
        let answer = self.upstream.read(&path, None, reader).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|_| Failure::not_sent("the environment's answer about a user cannot be read"))
    }
}

fn names(rows: Vec<Named>) -> Vec<String> {
    let mut names: Vec<String> = rows.into_iter().filter_map(|row| row.name).collect();
    names.sort();
    names.dedup();
    names
}

fn scopes_of(claims: &Claims) -> Option<Vec<String>> {
    let mut scopes: Vec<String> = match &claims.scp {
        Some(scp) => scp.split_whitespace().map(str::to_owned).collect(),
        None if claims.roles.is_empty() => return None,
        None => claims.roles.clone(),
    };
    scopes.sort();
    scopes.dedup();
    Some(scopes)
}

/// The payload of a token that is a JWT.
fn claims(token: &SecretString) -> Option<Claims> {
    let payload = token.expose_secret().split('.').nth(1)?;
    let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&json).ok()
}
