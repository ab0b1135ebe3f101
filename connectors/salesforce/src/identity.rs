//! Who a token belongs to.

use crmgate_connector::{Credential, Failure, Identity};
use crmgate_domain::{Actor, Document, Object, PayloadHash};
use http::{HeaderValue, Method, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};

use crate::connector::SalesforceConnector;
use crate::failure::{Effect, unanswered};
use crate::id;
use crate::records::soql_text;
use crate::upstream::{Call, whole};

/// What a scope memory is keyed by.
pub(crate) fn token_hash(token: &SecretString) -> PayloadHash {
    PayloadHash::of(&[token.expose_secret().as_bytes()])
}

impl SalesforceConnector {
    /// Asks Salesforce. Roles (profile, permission sets) and groups come from queries with the
    /// connection's own credential, so that a caller's own rights do not decide what is seen.
    pub(crate) async fn who_is(&self, token: &SecretString) -> Result<Identity, Failure> {
        let caller = Credential::Caller(token.clone());
        let mut identity = self.userinfo(&caller).await?;
        let actor = &mut identity.actor;
        if self.upstream.session.is_some() && !actor.id.is_empty() {
            self.fill_user(actor).await?;
            actor.roles = self.roles(&actor.id).await?;
            actor.groups = self.groups(&actor.id).await?;
        }
        actor.scopes = match self.scopes.get(&token_hash(token)).await {
            Some(scopes) => Some(scopes),
            None => self.introspect(token, actor).await?,
        };
        Ok(identity)
    }

    /// Who the connection's own credential belongs to; without one, whether the org answers.
    pub(crate) async fn who_are_we(&self) -> Result<Identity, Failure> {
        if self.upstream.session.is_some() {
            return self.userinfo(&Credential::Service).await;
        }
        let call = Call::get("/services/data".to_owned());
        let response = self
            .upstream
            .send(
                &self.upstream.instance,
                &call,
                None,
                crmgate_outbound::Body::empty(),
            )
            .await
            .map_err(|error| unanswered(&error, Effect::Reads))?;
        let answer = whole(response, Effect::Reads).await?;
        if answer.status.is_success() {
            Ok(Identity {
                actor: Actor::default(),
                org: None,
            })
        } else {
            Err(answer.failure(Effect::Reads))
        }
    }

    async fn userinfo(&self, credential: &Credential) -> Result<Identity, Failure> {
        let call = Call::get("/services/oauth2/userinfo".to_owned());
        let answer = self.upstream.call(credential, &call, Effect::Reads).await?;
        // The end point answers 403 with a bare word where REST says 401.
        if answer.session_expired() || answer.status == StatusCode::FORBIDDEN {
            return Err(Failure::Refused {
                code: "INVALID_SESSION_ID".to_owned(),
                message: "Session expired or invalid".to_owned(),
                response: Some(Box::new(crate::render::errors(
                    StatusCode::UNAUTHORIZED,
                    "INVALID_SESSION_ID",
                    "Session expired or invalid",
                    &[],
                ))),
            });
        }
        if !answer.status.is_success() {
            return Err(answer.failure(Effect::Reads));
        }
        let Ok(Document::Object(info)) = Document::parse(&answer.body) else {
            return Err(Failure::not_sent("the answer of `userinfo` cannot be read"));
        };
        let text = |name: &str| info.get(name).and_then(Document::as_str).map(str::to_owned);
        let user = text("user_id")
            .and_then(|id| id::normalize(&id))
            .ok_or_else(|| Failure::not_sent("`userinfo` names no user"))?;
        let org = text("organization_id").and_then(|id| id::normalize(&id));
        if let Some(org) = &org {
            let _ = self.org.set(org.clone());
        }
        Ok(Identity {
            actor: Actor {
                id: user,
                username: text("preferred_username"),
                email: text("email"),
                ..Actor::default()
            },
            org,
        })
    }

    async fn fill_user(&self, actor: &mut Actor) -> Result<(), Failure> {
        let query = format!(
            "SELECT Username, Email FROM User WHERE Id = '{}'",
            soql_text(&actor.id)
        );
        for row in self.all_rows(&query).await? {
            let text = |name: &str| row.get(name).and_then(Document::as_str).map(str::to_owned);
            actor.username = text("Username").or_else(|| actor.username.take());
            actor.email = text("Email").or_else(|| actor.email.take());
        }
        Ok(())
    }

    /// Profile and permission sets, by name.
    async fn roles(&self, user: &str) -> Result<Vec<String>, Failure> {
        let user = soql_text(user);
        let profile = format!("SELECT Profile.Name FROM User WHERE Id = '{user}'");
        let sets = format!(
            "SELECT PermissionSet.Name FROM PermissionSetAssignment \
             WHERE AssigneeId = '{user}' AND PermissionSet.IsOwnedByProfile = false"
        );
        let mut names = self.names(&profile, "Profile").await?;
        names.extend(self.names(&sets, "PermissionSet").await?);
        Ok(sorted(names))
    }

    async fn groups(&self, user: &str) -> Result<Vec<String>, Failure> {
        let query = format!(
            "SELECT Group.Name FROM GroupMember WHERE UserOrGroupId = '{}'",
            soql_text(user)
        );
        Ok(sorted(self.names(&query, "Group").await?))
    }

    async fn names(&self, query: &str, relation: &str) -> Result<Vec<String>, Failure> {
        let rows = self.all_rows(query).await?;
        let name = |row: &Object| {
            let related = row.get(relation)?.as_object()?;
            Some(related.get("Name")?.as_str()?.to_owned())
        };
        Ok(rows.iter().filter_map(name).collect())
    }

    async fn all_rows(&self, query: &str) -> Result<Vec<Object>, Failure> {
        let mut page = self.run_query(query, None).await?;
        let mut rows = std::mem::take(&mut page.rows);
        while let Some(cursor) = page.next.take() {
            page = self.run_query(query, Some(&cursor)).await?;
            rows.append(&mut page.rows);
        }
        Ok(rows)
    }

    /// The scopes of a token that was not given through this gate, where the connection may ask.
    async fn introspect(
        &self,
        token: &SecretString,
        actor: &mut Actor,
    ) -> Result<Option<Vec<String>>, Failure> {
        let Some(client) = &self.introspection else {
            return Ok(None);
        };
        let secret = client
            .client_secret
            .get()
            .map_err(|error| Failure::not_sent(error.to_string()))?;
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token.expose_secret())
            .append_pair("token_type_hint", "access_token")
            .append_pair("client_id", &client.client_id)
            .append_pair("client_secret", secret.expose_secret())
            .finish();
        let mut call = Call::get("/services/oauth2/introspect".to_owned());
        call.method = Method::POST;
        call.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let response = self
            .upstream
            .send(&self.upstream.login, &call, None, form.into())
            .await
            .map_err(|error| unanswered(&error, Effect::Reads))?;
        let answer = whole(response, Effect::Reads).await?;
        if !answer.status.is_success() {
            let (code, _) = answer.error();
            tracing::warn!(code, "the scopes of a token could not be asked");
            return Ok(None);
        }
        let Ok(Document::Object(said)) = Document::parse(&answer.body) else {
            return Ok(None);
        };
        if said.get("active") != Some(&Document::Bool(true)) {
            return Ok(None);
        }
        if let Some(client) = said.get("client_id").and_then(Document::as_str) {
            actor.client = Some(client.to_owned());
        }
        let scope = said.get("scope").and_then(Document::as_str);
        Ok(scope.map(scopes))
    }
}

/// A scope text's words, sorted.
pub(crate) fn scopes(text: &str) -> Vec<String> {
    sorted(text.split_whitespace().map(str::to_owned).collect())
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}
