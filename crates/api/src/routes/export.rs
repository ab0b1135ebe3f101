//! `/v1/decisions/export`: all of them, in a stream.

#![expect(
    unused_qualifications,
    reason = "utoipa's macro writes the path of the query's type out"
)]

use std::sync::{Arc, LazyLock};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use crmgate_app::decisions::MAX_PAGE;
use crmgate_app::{AppError, Principal};
use crmgate_decision_log::event::Labels;
use crmgate_decision_log::{Event, Form, table};
use crmgate_domain::{ConnectionName, Effect, Mode, Timestamp};
use crmgate_store::decisions::StoredDecision;
use crmgate_store::{DecisionFilter, OutcomeKind, Page};
use futures::Stream;
use http::header;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::decisions::public;
use crate::access::Caller;
use crate::body::{Answer, Asked};
use crate::{ApiError, ErrorBody, Parts};

/// Narrows the export. All that is given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Exported {
    /// `opa` (events of OPA's decision log, one a line; the default), `crmgate` (as
    /// `/v1/decisions/{id}`, one a line) or `csv`.
    form: Option<String>,
    /// The connection.
    #[param(value_type = Option<String>)]
    connection: Option<ConnectionName>,
    /// The object, by canonical name.
    object: Option<String>,
    /// The record's id.
    record_id: Option<String>,
    /// The actor's id.
    actor: Option<String>,
    /// `allow`, `deny`, `require_approval`, `error`.
    #[param(value_type = Option<String>)]
    effect: Option<Effect>,
    /// A package that spoke.
    package: Option<String>,
    /// A reason's code.
    reason: Option<String>,
    /// `enforce` or `observe`.
    #[param(value_type = Option<String>)]
    mode: Option<Mode>,
    /// What came of the write.
    #[param(value_type = Option<String>)]
    outcome: Option<OutcomeKind>,
    /// From this time on, RFC 3339.
    #[param(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// Before this time, RFC 3339.
    #[param(value_type = Option<String>)]
    until: Option<Timestamp>,
    /// Only those behind this place in the record.
    after: Option<u64>,
    /// Only those before this place in the record, which is `req_id` of an event and `sequence` of
    /// everything else: goes on with an export that broke off.
    before: Option<u64>,
}

/// The labels of events that are exported: which process decided is not kept.
static LABELS: LazyLock<Labels> = LazyLock::new(|| {
    [("app", "crmgate"), ("version", env!("CARGO_PKG_VERSION"))]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
});

/// Decisions, newest first, in a stream that breaks off where the record cannot be read on: only
/// one that ends well is whole.
#[utoipa::path(get, path = "/v1/decisions/export", tag = "decisions", params(Exported),
    responses((status = 200, description = "One decision a line, newest first.", body = String,
        content_type = "application/x-ndjson"), (status = "default", body = ErrorBody)))]
pub(crate) async fn export(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Asked(wanted): Asked<Exported>,
) -> Answer {
    let form = wanted.form.as_deref().map_or(Some(Form::Opa), Form::named);
    let Some(form) = form else {
        let found = wanted.form.unwrap_or_default();
        let message = format!("`form` is `{found}`, expected opa, crmgate or csv");
        return Err(ApiError::new("invalid", message).with(json!({"parameter": "form"})));
    };
    let kind = match form {
        Form::Csv => "text/csv; charset=utf-8; header=present",
        Form::Opa | Form::Crmgate => "application/x-ndjson",
    };
    let mut pages = Pages {
        parts,
        by,
        filter: wanted.filter(),
        cursor: None,
    };
    // The first page is read before anything is answered, so that a refusal is one.
    let first = pages.next().await?;
    let stream = lines(form, pages, first);
    Ok(Response::builder()
        .header(header::CONTENT_TYPE, kind)
        .header(header::CACHE_CONTROL, "no-store")
        .body(Body::from_stream(stream))
        .map_err(|error| ApiError::new("internal", error.to_string()))?
        .into_response())
}

impl Exported {
    fn filter(self) -> DecisionFilter {
        DecisionFilter {
            connection: self.connection,
            object: self.object,
            record_id: self.record_id,
            actor: self.actor,
            effect: self.effect,
            package: self.package,
            reason: self.reason,
            mode: self.mode,
            outcome: self.outcome,
            since: self.since,
            until: self.until,
            after: self.after,
            before: self.before,
            visible: None,
        }
    }
}

/// Reads the decisions page by page.
struct Pages {
    parts: Arc<Parts>,
    by: Principal,
    filter: DecisionFilter,
    cursor: Option<String>,
}

impl Pages {
    async fn next(&mut self) -> Result<Page<StoredDecision>, AppError> {
        let decisions = self.parts.app.decisions();
        let (filter, cursor) = (self.filter.clone(), self.cursor.as_deref());
        let page = decisions.export(&self.by, filter, cursor, MAX_PAGE).await?;
        self.cursor.clone_from(&page.next);
        Ok(page)
    }
}

/// The lines of each page; never more than one page is held.
fn lines(
    form: Form,
    pages: Pages,
    first: Page<StoredDecision>,
) -> impl Stream<Item = Result<Bytes, AppError>> {
    let begin = (pages, Some(first), true);
    futures::stream::try_unfold(begin, move |(mut pages, ready, is_first)| async move {
        let page = match ready {
            Some(page) => page,
            None if pages.cursor.is_none() => return Ok(None),
            None => pages.next().await.inspect_err(|error| {
                tracing::warn!(%error, "an export broke off");
            })?,
        };
        let mut text = Vec::new();
        if is_first && form == Form::Csv {
            text.extend_from_slice(table::head().as_bytes());
        }
        for stored in &page.items {
            line(form, stored, &mut text);
        }
        Ok(Some((Bytes::from(text), (pages, None, false))))
    })
}

fn line(form: Form, stored: &StoredDecision, text: &mut Vec<u8>) {
    match form {
        Form::Csv => text.extend_from_slice(table::row(stored).as_bytes()),
        Form::Crmgate => {
            text.extend_from_slice(public(stored).to_string().as_bytes());
            text.push(b'\n');
        }
        Form::Opa => {
            text.extend_from_slice(&Event::stored(&LABELS, stored).to_json());
            text.push(b'\n');
        }
    }
}
