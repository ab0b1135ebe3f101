//! `/v1/policies`: what is in force, and what is broken.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use crmgate_domain::RevisionId;

use crate::access::Caller;
use crate::body::{Answer, Named};
use crate::openapi::{PoliciesBody, ReloadedBody, RevisionBody};
use crate::{ErrorBody, Parts};

/// The revision in force, and why newer sources are not.
#[utoipa::path(get, path = "/v1/policies", tag = "policies",
    responses((status = 200, body = PoliciesBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(State(parts): State<Arc<Parts>>, Caller(by): Caller) -> Answer {
    let status = parts.app.policies().show(&by)?;
    Ok(axum::Json(status).into_response())
}

/// A revision that is or was in force, with its sources.
#[utoipa::path(get, path = "/v1/policies/revisions/{revision}", tag = "policies",
    params(("revision" = String, Path, description = "The whole digest, as decisions tell it.")),
    responses((status = 200, body = RevisionBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn revision(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(digest): Named<Digest>,
) -> Answer {
    let policies = parts.app.policies();
    let stored = policies.revision(&by, &digest.0).await?;
    Ok(axum::Json(stored).into_response())
}

/// The name of a revision, checked.
pub(crate) struct Digest(RevisionId);

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 64 && text.bytes().all(hex) {
            Ok(Self(RevisionId::new(text)))
        } else {
            Err("expected a revision: 64 hexadecimal digits")
        }
    }
}

/// Reads the policies on disk again. Broken ones do not come into force.
#[utoipa::path(post, path = "/v1/policies/reload", tag = "policies",
    responses((status = 200, body = ReloadedBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn reload(State(parts): State<Arc<Parts>>, Caller(by): Caller) -> Answer {
    let reloaded = parts.app.policies().reload_by(&by).await?;
    Ok(axum::Json(reloaded).into_response())
}
