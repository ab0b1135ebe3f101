//! Who may call what: every `/v1` route with the action it takes.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use crmgate_app::{Action, Principal};
use crmgate_listen::Peer;
use http::request::Parts as Head;
use http::{HeaderMap, header};
use secrecy::SecretString;

use crate::{ApiError, Parts};

/// One route and what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The method.
    pub method: &'static str,
    /// The path's template.
    pub path: &'static str,
    /// What a caller must be allowed to do.
    pub action: Action,
}

const fn route(method: &'static str, path: &'static str, action: Action) -> Access {
    Access {
        method,
        path,
        action,
    }
}

/// Every `/v1` route.
///
/// INVARIANT: a request that this table does not know is answered before any handler runs.
pub const ROUTES: &[Access] = &[
    route("POST", "/v1/validate", Action::Validate),
    route("GET", "/v1/decisions", Action::ReadDecisions),
    route("POST", "/v1/decisions/erase", Action::Erase),
    route("GET", "/v1/record/entries", Action::ReadRecord),
    route("GET", "/v1/record/checkpoints", Action::ReadRecord),
    route("GET", "/v1/record/key", Action::ReadRecord),
    route("GET", "/v1/record/check", Action::ReadRecord),
    route("GET", "/v1/decisions/export", Action::ExportDecisions),
    route("GET", "/v1/decisions/{id}", Action::ReadDecisions),
    route("GET", "/v1/holds", Action::ReadHolds),
    route("GET", "/v1/holds/{id}", Action::ReadHolds),
    route("GET", "/v1/approvals", Action::ReadApprovals),
    route("GET", "/v1/approvals/{id}", Action::ReadApprovals),
    route("POST", "/v1/approvals/{id}/approve", Action::Vote),
    route("POST", "/v1/approvals/{id}/reject", Action::Vote),
    route("GET", "/v1/connections", Action::ReadConnections),
    route("GET", "/v1/connections/{name}", Action::ReadConnections),
    route("GET", "/v1/connections/{name}/report", Action::ReadReport),
    route("PUT", "/v1/connections/{name}/mode", Action::SwitchMode),
    route("GET", "/v1/policies", Action::ReadPolicies),
    route("POST", "/v1/policies/reload", Action::ReloadPolicies),
    route(
        "GET",
        "/v1/policies/revisions/{revision}",
        Action::ReadPolicies,
    ),
    route("GET", "/v1/processes", Action::ReadProcesses),
    route("POST", "/v1/operations", Action::Submit),
    route("GET", "/v1/operations", Action::ReadOperations),
    route("POST", "/v1/operations/cancel", Action::CancelOperations),
    route("POST", "/v1/operations/retry", Action::RetryOperations),
    route("GET", "/v1/operations/{id}", Action::ReadOperations),
    route("GET", "/v1/operations/{id}/history", Action::ReadOperations),
    route(
        "POST",
        "/v1/operations/{id}/cancel",
        Action::CancelOperations,
    ),
    route("POST", "/v1/operations/{id}/retry", Action::RetryOperations),
    route(
        "POST",
        "/v1/operations/{id}/resolve",
        Action::ResolveOperations,
    ),
    route("GET", "/v1/submissions/{id}", Action::ReadOperations),
    route("GET", "/v1/tokens", Action::ReadTokens),
    route("POST", "/v1/tokens", Action::ManageTokens),
    route("DELETE", "/v1/tokens/{id}", Action::ManageTokens),
];

/// Lets a request of the table pass whose token allows its action; before its body is read.
pub(crate) async fn authorize(
    State(parts): State<Arc<Parts>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let principal = principal(&parts, request.headers()).await?;
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map(MatchedPath::as_str);
    // A handler for GET answers HEAD, too.
    let method = match request.method().as_str() {
        "HEAD" => "GET",
        other => other,
    };
    let known = ROUTES
        .iter()
        .find(|route| Some(route.path) == path && route.method == method);
    let Some(route) = known else {
        return Err(ApiError::new(
            "method_not_allowed",
            format!("this path does not take {method}"),
        ));
    };
    principal.demand(route.action)?;
    request.extensions_mut().insert(principal);
    Ok(next.run(request).await)
}

/// The holder of the request's token.
async fn principal(parts: &Parts, headers: &HeaderMap) -> Result<Principal, ApiError> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let token = given
        .next()
        .filter(|_| given.next().is_none())
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| SecretString::from(token.trim()));
    let Some(token) = token else {
        return Err(ApiError::new(
            "unauthenticated",
            "there is no API token: send one header `Authorization: Bearer crmgate_…`",
        ));
    };
    Ok(parts.app.tokens().verify(&token).await?)
}

/// A caller of health or metrics, who may have no token.
pub(crate) struct Prober {
    local: bool,
    headers: HeaderMap,
}

impl Prober {
    /// Demands that the caller is on this machine, or holds a token that allows the action.
    pub(crate) async fn demand(
        &self,
        parts: &Parts,
        action: Option<Action>,
    ) -> Result<(), ApiError> {
        if parts.open_probes || self.local {
            return Ok(());
        }
        let principal = principal(parts, &self.headers).await?;
        Ok(action.map_or(Ok(()), |action| principal.demand(action))?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Prober {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(head: &mut Head, _: &S) -> Result<Self, Self::Rejection> {
        let peer = head.extensions.get::<Peer>();
        Ok(Self {
            local: peer.is_some_and(|peer| peer.ip.is_loopback()),
            headers: head.headers.clone(),
        })
    }
}

/// The caller, in a handler behind [`authorize`].
pub(crate) struct Caller(pub(crate) Principal);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(head: &mut Head, _: &S) -> Result<Self, Self::Rejection> {
        head.extensions
            .get::<Principal>()
            .cloned()
            .map(Self)
            .ok_or_else(|| ApiError::new("unauthenticated", "there is no API token"))
    }
}
