//! `crmgate token`: who may call.

use std::sync::Arc;

use crmgate_app::{TokenRequest, Tokens};
use crmgate_connector::secret::ExposeSecret as _;
use crmgate_store::Role;
use http::Method;
use serde_json::{Value, json};

use super::times::short_time;
use crate::ambient;
use crate::cli::{Configured, Remote, Token, TokenCreate};
use crate::client::{Api, segment};
use crate::exit::{Exit, Failure};
use crate::json::{list, text};
use crate::output::{Output, complain, say, say_json, table};
use crate::wiring::store::Memory;

pub(super) async fn run(command: Token) -> Result<Exit, Failure> {
    match command {
        Token::Create(wanted) if wanted.bootstrap => bootstrap(&wanted).await,
        Token::Create(wanted) => create(&wanted).await,
        Token::List(remote) => all(&remote).await,
        Token::Revoke { id, remote } => {
            let path = format!("/v1/tokens/{}", segment(&id));
            Api::open(&remote)?
                .call(Method::DELETE, &path, None)
                .await?;
            complain(format!("revoked {id}"));
            Ok(Exit::Done)
        }
    }
}

async fn create(wanted: &TokenCreate) -> Result<Exit, Failure> {
    let body = json!({
        "name": wanted.name,
        "roles": wanted.roles,
        "connections": wanted.connections,
        "team": wanted.team,
        "scopes": wanted.scopes,
        "person": wanted.person,
        "expires_in_seconds": wanted.expires_in,
    });
    let api = Api::open(&wanted.remote)?;
    let answer = api.call(Method::POST, "/v1/tokens", Some(&body)).await?;
    show(&answer, wanted.remote.form.output);
    Ok(Exit::Done)
}

/// Makes a token straight in the store: how the first one comes to be.
async fn bootstrap(wanted: &TokenCreate) -> Result<Exit, Failure> {
    let usage = |problem: String| Failure::new(Exit::Usage, problem);
    let loaded = super::load(&Configured {
        config: wanted.config.clone(),
    })?;
    let roles = if wanted.roles.is_empty() {
        vec![Role::Admin]
    } else {
        let roles = wanted.roles.iter().map(|word| role(word));
        roles.collect::<Result<_, _>>().map_err(usage)?
    };
    let connections = wanted.connections.iter().map(|name| name.parse());
    let connections = connections
        .collect::<Result<_, crmgate_domain::ids::BadConnectionName>>()
        .map_err(|error| usage(error.to_string()))?;
    let opened = Memory::open(&loaded.config).await;
    let memory = opened.map_err(|failure| Failure {
        message: format!(
            "{}\n`--bootstrap` is for before the gate is started, or while it is stopped; a \
             running one makes tokens for an admin's, without `--bootstrap`",
            failure.message
        ),
        ..failure
    })?;
    let tokens = Tokens::new(Arc::clone(&memory.store), ambient::system());
    let made = tokens
        .issue(TokenRequest {
            name: wanted.name.clone(),
            roles,
            connections,
            team: wanted.team.clone(),
            scopes: wanted.scopes.clone(),
            person: wanted.person.clone(),
            expires_in_seconds: wanted.expires_in,
        })
        .await
        .map_err(|error| usage(error.to_string()))?;
    memory.close().await;
    let answer = json!({"token": made.token.expose_secret(), "info": made.info});
    show(&answer, wanted.remote.form.output);
    Ok(Exit::Done)
}

fn role(word: &str) -> Result<Role, String> {
    let known = Role::ALL.into_iter().find(|role| role.as_str() == word);
    known.ok_or_else(|| {
        let known: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
        format!("`{word}` is no role; expected one of: {}", known.join(", "))
    })
}

/// The token alone on standard output, so that it can be piped; the rest for people beside it.
fn show(answer: &Value, output: Output) {
    if output == Output::Json {
        say_json(answer);
        return;
    }
    let roles: Vec<&str> = list(answer, "/info/roles")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    complain(format!(
        "token {} `{}` ({}); it is shown this once:",
        text(answer, "/info/id"),
        text(answer, "/info/name"),
        roles.join(", ")
    ));
    say(text(answer, "/token"));
}

async fn all(remote: &Remote) -> Result<Exit, Failure> {
    let answer = Api::open(remote)?.get("/v1/tokens").await?;
    if remote.form.output == Output::Json {
        say_json(&answer);
        return Ok(Exit::Done);
    }
    let mut shown = table(&[
        "id",
        "name",
        "roles",
        "connections",
        "made",
        "ends",
        "revoked",
    ]);
    for token in list(&answer, "/items") {
        let words = |pointer: &str| {
            let words: Vec<&str> = list(token, pointer)
                .iter()
                .filter_map(Value::as_str)
                .collect();
            words.join(", ")
        };
        let connections = Some(words("/connections")).filter(|names| !names.is_empty());
        shown.add_row([
            text(token, "/id").to_owned(),
            text(token, "/name").to_owned(),
            words("/roles"),
            connections.unwrap_or_else(|| "all".to_owned()),
            short_time(text(token, "/created_at")),
            short_time(text(token, "/expires_at")),
            short_time(text(token, "/revoked_at")),
        ]);
    }
    say(shown);
    Ok(Exit::Done)
}
