//! From an answer to the wire.

use axum::body::Body as Outgoing;
use crmgate_connector::{Body, NativeResponse, Refusal};
use crmgate_domain::{Effect, Mode};
use crmgate_enforce::{Answer, Reply};
use crmgate_store::Basis;
use futures::StreamExt as _;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response};

use crate::doors::Slot;
use crate::headers;

const DECISION: HeaderName = HeaderName::from_static("crmgate-decision");
const EFFECT: HeaderName = HeaderName::from_static("crmgate-effect");
const CHANGED: HeaderName = HeaderName::from_static("crmgate-changed");
const WARNING: HeaderName = HeaderName::from_static("crmgate-warning");
const HOLD: HeaderName = HeaderName::from_static("crmgate-hold");
const OPERATION: HeaderName = HeaderName::from_static("crmgate-operation");
const BASIS: HeaderName = HeaderName::from_static("crmgate-basis");
const MODE: HeaderName = HeaderName::from_static("crmgate-mode");

/// What the `Crmgate-…` headers say; kept apart from the answer, which is taken to pieces.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) effect: Option<Effect>,
    headers: HeaderMap,
}

impl Told {
    /// What there is to tell about an answer.
    pub(crate) fn of(answer: &Answer) -> Self {
        let effect = answer.effect.or_else(|| implied(answer.refusal()?));
        let mut told = HeaderMap::new();
        if let Some(decision) = answer.decision {
            told.insert(DECISION, headers::value(&decision.to_string()));
        }
        if let Some(effect) = effect {
            told.insert(EFFECT, HeaderValue::from_static(effect.as_str()));
        }
        if !answer.changed.is_empty() {
            told.insert(CHANGED, headers::value(&answer.changed.join(", ")));
        }
        if !answer.warnings.is_empty() {
            told.insert(WARNING, headers::value(&answer.warnings.join(", ")));
        }
        if let Some(hold) = answer.hold {
            told.insert(HOLD, headers::value(&hold.to_string()));
        }
        if let Some(Refusal::Held {
            operation: Some(operation),
            ..
        }) = answer.refusal()
        {
            told.insert(OPERATION, headers::value(&operation.to_string()));
        }
        match answer.basis {
            None | Some(Basis::Judged) => {}
            Some(basis) => {
                told.insert(BASIS, HeaderValue::from_static(basis.as_str()));
            }
        }
        if answer.mode == Mode::Observe {
            told.insert(MODE, HeaderValue::from_static(Mode::Observe.as_str()));
        }
        Self {
            effect,
            headers: told,
        }
    }
}

/// What a refusal that rests on no decision comes to.
const fn implied(refusal: &Refusal) -> Option<Effect> {
    match refusal {
        Refusal::Denied { .. }
        | Refusal::NotUnderstood { .. }
        | Refusal::Malformed(_)
        | Refusal::TooLarge { .. }
        | Refusal::Forbidden { .. } => Some(Effect::Deny),
        Refusal::Held { .. } => Some(Effect::RequireApproval),
        Refusal::Inability { .. } => Some(Effect::Error),
        // Not ours to judge: who asks is not known, or the client's own condition does not hold.
        Refusal::Unauthenticated { .. } | Refusal::PreconditionFailed { .. } => None,
    }
}

/// Puts an answer on the wire. `slot` is given back when the last byte has left.
pub(crate) fn send(
    reply: Reply,
    told: Told,
    method: &Method,
    render: impl FnOnce(&Refusal) -> NativeResponse,
    slot: Option<Slot>,
) -> Response<Outgoing> {
    let native = match reply {
        Reply::Native(native) => native,
        Reply::Refused(refusal) => {
            let mut native = render(&refusal);
            if let Refusal::Inability { retry_after, .. } = refusal {
                let seconds = retry_after.as_secs().max(1);
                native
                    .headers
                    .entry(header::RETRY_AFTER)
                    .or_insert_with(|| HeaderValue::from(seconds));
            }
            native
        }
    };
    let mut headers = native.headers;
    headers::clean_response(&mut headers);
    let body = match native.body {
        Body::Full(bytes) => {
            // Ours is worked out from the bytes; of an answer to HEAD there are none to count.
            if method != Method::HEAD {
                headers.remove(header::CONTENT_LENGTH);
            }
            Outgoing::from(bytes)
        }
        Body::Stream(stream) => Outgoing::from_stream(stream.map(move |chunk| {
            // Held for as long as the stream lives.
            let _ = &slot;
            chunk
        })),
    };
    headers.extend(told.headers);
    let mut response = Response::new(body);
    *response.status_mut() = native.status;
    *response.headers_mut() = headers;
    response
}
