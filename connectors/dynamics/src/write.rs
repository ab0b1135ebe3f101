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

/// A write that may be sent.
pub(crate) struct Sending {
    pub(crate) call: Call,
    /// The primary key that the gate gave it.
    pub(crate) own_id: Option<String>,
    pinned_by_gate: bool,
    create_only: bool,
}

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
        let sending = self.admitted(permit, outgoing)?;
        let answer = self.upstream.call(&sending.call, credential).await?;
        self.settled(&sending, answer, credential, &mut 0).await
    }

    /// Spends the permit; gives what may now be sent.
    pub(crate) fn admitted(&self, permit: Permit, outgoing: Outgoing) -> Result<Sending, Failure> {
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
        Ok(Sending {
            create_only: headers.contains_key(IF_NONE_MATCH),
            call: Call {
                method,
                path_and_query,
                headers,
                body,
            },
            own_id,
            pinned_by_gate,
        })
    }

    /// What an answer means for the write that it answers. `calls`: the calls made to find out are
    /// added.
    pub(crate) async fn settled(
        &self,
        sending: &Sending,
        answer: Answer,
        credential: &Credential,
        calls: &mut u32,
    ) -> Result<Written, Failure> {
        let Sending { call, own_id, .. } = sending;
        if answer.status.is_success() {
            return Ok(self.written(call, answer, own_id.clone()).await);
        }
        let (code, _) = fault::code_and_message(&answer);
        if let Some(id) = own_id
            && code == fault::DUPLICATE_ID
        {
            *calls += 1;
            match self.is_there(call, id, credential).await {
                // Nobody else knows this key: our create was sent twice, on the way or by another
                // process.
                Some(true) => return Ok(self.repeated(call, id)),
                Some(false) => {}
                None => {
                    let reason = "the key that the gate gave is taken, and nobody can tell by whom";
                    return Err(Failure::Unknown {
                        reason: reason.to_owned(),
                    });
                }
            }
        }
        if sending.pinned_by_gate
            && self
                .has_changed(sending, &answer, &code, credential, calls)
                .await
        {
            return Err(Failure::VersionMismatch);
        }
        match fault::check(answer, true) {
            Ok(answer) => Ok(self.written(call, answer, own_id.clone()).await),
            Err(failure) => Err(failure),
        }
    }

    /// Whether the record is no longer what was judged.
    async fn has_changed(
        &self,
        sending: &Sending,
        answer: &Answer,
        code: &str,
        credential: &Credential,
        calls: &mut u32,
    ) -> bool {
        if code == fault::VERSION_MISMATCH || fault::is_absent(answer) {
            return true;
        }
        if !sending.create_only {
            return false;
        }
        match code {
            fault::DUPLICATE_ID => true,
            // The key may have been taken meanwhile, or another key of the table is hurt, which is
            // the client's own affair.
            fault::DUPLICATE_KEY => {
                *calls += 1;
                let path = sending.call.path_and_query.split('?').next();
                let read = Call::get(path.unwrap_or_default(), None);
                let answer = self.upstream.call(&read, credential).await;
                answer.is_ok_and(|answer| answer.status.is_success())
            }
            _ => false,
        }
    }

    /// Whether the record exists; `None` where it cannot be told now.
    async fn is_there(&self, call: &Call, id: &str, credential: &Credential) -> Option<bool> {
        let set = set_of(&call.path_and_query)?;
        let table = self.metadata.by_set(set, credential).await.ok()??;
        let row = self
            .probe_row(&table, &Target::Id(id.to_owned()), credential)
            .await;
        row.ok().map(|row| row.is_some())
    }

    /// The answer that a create would have had, had it been the first.
    pub(crate) fn repeated(&self, call: &Call, id: &str) -> Written {
        let path = call.path_and_query.split('?').next().unwrap_or_default();
        let origin = self.upstream.url.origin().ascii_serialization();
        let mut response = NativeResponse::empty(StatusCode::NO_CONTENT);
        let version = HeaderValue::from_static("4.0");
        response.headers.insert("odata-version", version);
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
pub(crate) fn set_of(path_and_query: &str) -> Option<&str> {
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
