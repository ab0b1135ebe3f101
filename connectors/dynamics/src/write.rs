//! Sending a judged write, once.

use crmgate_connector::{Credential, Failure, NativeResponse, Outgoing, Target, Written};
use crmgate_domain::{Document, PayloadHash};
use crmgate_store::Permit;
use http::header::{HeaderValue, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::change::ENTITY_ID;
use crate::connector::Dynamics;
use crate::fault;
use crate::upstream::{Answer, Call};
use crate::value;

/// The primary key that the gate gave a create: taken off before anything is sent.
pub(crate) const OWN_ID: HeaderName = HeaderName::from_static("x-crmgate-own-id");

/// Says that the client's version is not the one that was judged: taken off, too.
pub(crate) const STALE: HeaderName = HeaderName::from_static("x-crmgate-stale");

impl Dynamics {
    pub(crate) fn admit(&self, permit: Permit, payload: PayloadHash) -> Result<(), Failure> {
        let admitted = permit.admit(&self.name, payload, self.ambient.now());
        match admitted {
            Ok(admitted) => {
                tracing::debug!(decision = %admitted.decision, "writing");
                Ok(())
            }
            Err(error) => Err(Failure::not_sent(error.to_string())),
        }
    }

    pub(crate) async fn send(
        &self,
        permit: Permit,
        outgoing: Outgoing,
        credential: &Credential,
    ) -> Result<Written, Failure> {
        self.admit(permit, outgoing.hash())?;
        let Outgoing {
            method,
            path_and_query,
            mut headers,
            body,
            pinned_by_gate,
        } = outgoing;
        let own_id = headers
            .remove(OWN_ID)
            .and_then(|id| id.to_str().ok().map(str::to_owned));
        if headers.remove(STALE).is_some() {
            return Err(self.other_version());
        }
        let create_only = headers.contains_key(IF_NONE_MATCH);
        let call = Call {
            method,
            path_and_query,
            headers,
            body,
        };
        let answer = self.upstream.call(&call, credential).await?;
        if answer.status.is_success() {
            return Ok(self.written(&call, answer, own_id).await);
        }
        let (code, _) = fault::code_and_message(&answer);
        if let Some(id) = &own_id
            && code == fault::DUPLICATE_ID
            && self.is_there(&call, id, credential).await
        {
            // Nobody else knows this key: something on the way sent our create twice.
            return Ok(self.repeated(&call, id));
        }
        if pinned_by_gate
            && self
                .has_changed(&call, &answer, &code, create_only, credential)
                .await
        {
            return Err(Failure::VersionMismatch);
        }
        match fault::check(answer, true) {
            Ok(answer) => Ok(self.written(&call, answer, own_id).await),
            Err(failure) => Err(failure),
        }
    }

    /// Whether the record is no longer what was judged.
    async fn has_changed(
        &self,
        call: &Call,
        answer: &Answer,
        code: &str,
        create_only: bool,
        credential: &Credential,
    ) -> bool {
        if code == fault::VERSION_MISMATCH || fault::is_absent(answer) {
            return true;
        }
        if !create_only {
            return false;
        }
        match code {
            fault::DUPLICATE_ID => true,
            // The key may have been taken meanwhile, or another key of the table is hurt, which is
            // the client's own affair.
            fault::DUPLICATE_KEY => {
                let path = call.path_and_query.split('?').next().unwrap_or_default();
                let read = Call::get(path, None);
                let answer = self.upstream.call(&read, credential).await;
                answer.is_ok_and(|answer| answer.status.is_success())
            }
            _ => false,
        }
    }

    async fn is_there(&self, call: &Call, id: &str, credential: &Credential) -> bool {
        let Some(set) = set_of(&call.path_and_query) else {
            return false;
        };
        let Ok(Some(table)) = self.metadata.by_set(set, credential).await else {
            return false;
        };
        let row = self
            .probe_row(&table, &Target::Id(id.to_owned()), credential)
            .await;
        matches!(row, Ok(Some(_)))
    }

    fn repeated(&self, call: &Call, id: &str) -> Written {
        let path = call.path_and_query.split('?').next().unwrap_or_default();
        let origin = self.upstream.url.origin().ascii_serialization();
        let mut response = NativeResponse::empty(StatusCode::NO_CONTENT);
        if let Ok(address) = HeaderValue::from_str(&format!("{origin}{path}({id})")) {
            response.headers.insert(ENTITY_ID, address.clone());
            response.headers.insert(LOCATION, address);
        }
        Written {
            response,
            record_id: Some(id.to_owned()),
        }
    }

    async fn written(&self, call: &Call, answer: Answer, own_id: Option<String>) -> Written {
        let mut record_id = id_in_headers(&answer.headers).or(own_id);
        if record_id.is_none() && !answer.body.is_empty() {
            record_id = self.id_in_body(call, &answer).await;
        }
        Written {
            response: answer.into_response(),
            record_id,
        }
    }

    async fn id_in_body(&self, call: &Call, answer: &Answer) -> Option<String> {
        let set = set_of(&call.path_and_query)?;
        let directory = self.metadata.directory(&Credential::Service).await.ok()?;
        let primary_id = &directory.by_set(set)?.primary_id;
        let body = crate::records::object(answer).ok()?;
        value::guid(body.get(primary_id).and_then(Document::as_str)?)
    }
}

/// `accounts` of `/api/data/v9.2/accounts(…)?…`.
fn set_of(path_and_query: &str) -> Option<&str> {
    let path = path_and_query.split('?').next()?;
    let last = path.split('/').nth(4)?;
    last.split('(').next()
}

/// The GUID at the end of the record's address.
fn id_in_headers(headers: &HeaderMap) -> Option<String> {
    [ENTITY_ID, LOCATION].iter().find_map(|name| {
        let address = headers.get(name)?.to_str().ok()?;
        let (_, rest) = address.rsplit_once('(')?;
        value::guid(rest.strip_suffix(')')?)
    })
}
