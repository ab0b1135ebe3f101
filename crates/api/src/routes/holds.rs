//! `/v1/holds`: operations that wait for people.

#![expect(
    unused_qualifications,
    reason = "utoipa's macro writes the path of the query's type out"
)]

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use crmgate_domain::{ConnectionName, HoldId};
use crmgate_store::HoldFilter;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::access::Caller;
use crate::body::{Answer, Asked, Named};
use crate::openapi::{HoldBody, HoldPage};
use crate::routes::decisions::PAGE;
use crate::{ErrorBody, Parts};

/// Narrows the list. All that is given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// The connection.
    #[param(value_type = Option<String>)]
    connection: Option<ConnectionName>,
    /// The actor's id.
    actor: Option<String>,
    /// Where the page starts, as the last one said.
    cursor: Option<String>,
    /// How many, 1 to 500; 50 where not given.
    limit: Option<usize>,
}

/// Held operations, newest first.
#[utoipa::path(get, path = "/v1/holds", tag = "holds", params(Wanted),
    responses((status = 200, body = HoldPage), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Asked(wanted): Asked<Wanted>,
) -> Answer {
    let filter = HoldFilter {
        connection: wanted.connection,
        actor: wanted.actor,
        statuses: Vec::new(),
        visible: None,
    };
    let limit = wanted.limit.unwrap_or(PAGE);
    let holds = parts.app.holds();
    let page = holds
        .list(&by, filter, wanted.cursor.as_deref(), limit)
        .await?;
    Ok(axum::Json(page).into_response())
}

/// One held operation.
#[utoipa::path(get, path = "/v1/holds/{id}", tag = "holds",
    params(("id" = String, Path, description = "As the held caller was told.")),
    responses((status = 200, body = HoldBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(id): Named<HoldId>,
) -> Answer {
    let hold = parts.app.holds().show(&by, id).await?;
    Ok(axum::Json(hold).into_response())
}
