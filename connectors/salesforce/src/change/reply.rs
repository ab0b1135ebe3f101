//! From the answer to what was sent to the answer to what was asked.

use bytes::Bytes;
use crmgate_connector::{Body, NativeResponse};
use crmgate_domain::{Document, Kind, Object};
use http::{HeaderValue, StatusCode, header};

use super::SalesforceChange;
use crate::headers;

/// From this version on an upsert that updated answers with a body.
const UPSERT_SAYS_CREATED: u32 = 460;

impl SalesforceChange {
    pub(super) fn answered(&self, mut response: NativeResponse) -> NativeResponse {
        let base = &self.base;
        base.links
            .headers(&mut response.headers, &[header::LOCATION]);
        headers::stay_at(&mut response.headers, &base.gate);
        if base.requested != Kind::Upsert || !response.status.is_success() {
            return response;
        }
        let says_created = base.version.number >= UPSERT_SAYS_CREATED;
        match base.kind {
            Kind::Create if says_created => add_created(response),
            Kind::Update if says_created => {
                let id = base.values.record_id.as_deref();
                let mut answer = saved(StatusCode::OK, id, Some(false));
                response.headers.extend(answer.headers.drain());
                answer.headers = response.headers;
                answer
            }
            _ => response,
        }
    }

    pub(super) fn confirmation(&self, record_id: Option<&str>) -> NativeResponse {
        let base = &self.base;
        if base.kind != Kind::Create {
            return self.answered(NativeResponse::empty(StatusCode::NO_CONTENT));
        }
        let mut response = saved(StatusCode::CREATED, record_id, None);
        let place = record_id.map(|id| format!("{}/{id}", self.place()));
        if let Some(place) = place.and_then(|place| HeaderValue::from_str(&place).ok()) {
            response.headers.insert(header::LOCATION, place);
        }
        self.answered(response)
    }
}

fn saved(status: StatusCode, id: Option<&str>, created: Option<bool>) -> NativeResponse {
    let mut body = Object::new();
    body.set("id", id.map_or(Document::Null, Document::from));
    body.set("success", true.into());
    body.set("errors", Document::Array(Vec::new()));
    if let Some(created) = created {
        body.set("created", created.into());
    }
    json(status, &body.into())
}

fn json(status: StatusCode, body: &Document) -> NativeResponse {
    NativeResponse::full(status, "application/json;charset=UTF-8", body.to_json())
}

fn add_created(mut response: NativeResponse) -> NativeResponse {
    if let Body::Full(bytes) = &response.body
        && let Ok(Document::Object(mut body)) = Document::parse(bytes)
    {
        body.set("created", true.into());
        response.body = Body::Full(Bytes::from(Document::from(body).to_json()));
    }
    response
}
