//! Sending a judged write, once, and what its answer means.

use bytes::Bytes;
use crmgate_connector::{Credential, Failure, Outgoing, Written};
use crmgate_domain::{Document, Object};
use crmgate_store::Permit;
use http::StatusCode;

use crate::change::{CREATE_ONLY, OWN_KEY};
use crate::connector::SalesforceConnector;
use crate::failure::{Answer, Effect};
use crate::own_key::Met;
use crate::render::created;
use crate::upstream::Call;

/// What is remembered of a write while its answer is awaited.
pub(crate) struct Sent {
    /// Path of what it is about: of the object, for a create.
    pub(crate) place: String,
    pub(crate) body: Bytes,
    pub(crate) pinned_by_gate: bool,
    /// `Field/value` that a create must not find taken.
    pub(crate) create_only: Option<String>,
    /// `Field/value` that the gate gave a create.
    pub(crate) own_key: Option<String>,
}

impl Sent {
    /// Takes out of a write what is not sent as it is.
    pub(crate) fn of(outgoing: &mut Outgoing) -> Self {
        let mut marker = |name| {
            let value = outgoing.headers.remove(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        Self {
            create_only: marker(CREATE_ONLY),
            own_key: marker(OWN_KEY),
            place: outgoing.path_and_query.clone(),
            body: outgoing.body.clone(),
            pinned_by_gate: outgoing.pinned_by_gate,
        }
    }

    /// Whether an answer to it is understood only after looking at what stands under its key.
    pub(crate) fn looks_at_key(&self, answer: &Answer) -> bool {
        (self.create_only.is_some() || self.own_key.is_some())
            && answer.error().0 == "DUPLICATE_VALUE"
    }

    /// Whether it makes a record.
    fn creates(&self) -> bool {
        !self.body.is_empty() && self.place.split('/').count() == CREATE_SEGMENTS
    }
}

impl SalesforceConnector {
    pub(crate) async fn send_write(
        &self,
        permit: Permit,
        mut outgoing: Outgoing,
        credential: &Credential,
    ) -> Result<Written, Failure> {
        self.admit(permit, &outgoing)?;
        let sent = Sent::of(&mut outgoing);
        let call = Call {
            method: outgoing.method,
            target: outgoing.path_and_query,
            headers: outgoing.headers,
            body: outgoing.body,
        };
        let answer = self
            .upstream
            .call(credential, &call, Effect::Writes)
            .await?;
        self.concluded(&sent, answer, credential).await
    }

    /// Spends a permit on exactly this.
    pub(crate) fn admit(&self, permit: Permit, outgoing: &Outgoing) -> Result<(), Failure> {
        let admitted = permit
            .admit(&self.name, outgoing.hash(), self.ambient.now())
            .map_err(|error| Failure::not_sent(error.to_string()))?;
        tracing::debug!(decision = %admitted.decision, method = %outgoing.method, "writing");
        Ok(())
    }

    /// What the answer to a write means.
    pub(crate) async fn concluded(
        &self,
        sent: &Sent,
        answer: Answer,
        credential: &Credential,
    ) -> Result<Written, Failure> {
        if answer.status.is_success() {
            let record_id = written_id(&answer);
            if let Some(id) = &record_id
                && sent.creates()
            {
                self.made.insert(id.clone(), ()).await;
            }
            return Ok(Written {
                response: answer.native(),
                record_id,
            });
        }
        if answer.status == StatusCode::PRECONDITION_FAILED && sent.pinned_by_gate {
            return Err(Failure::VersionMismatch);
        }
        if !sent.looks_at_key(&answer) {
            return Err(answer.failure(Effect::Writes));
        }
        if let Some(key) = &sent.create_only
            && self.key_is_taken(&sent.place, key, credential).await
        {
            return Err(Failure::VersionMismatch);
        }
        match &sent.own_key {
            Some(key) => self.met_again(sent, key, answer, credential).await,
            None => Err(answer.failure(Effect::Writes)),
        }
    }

    /// Whether an upsert's create met a record that has come into being since it was judged. Its
    /// duplicate may also be in another unique field, which is the client's own affair.
    async fn key_is_taken(&self, object: &str, key: &str, credential: &Credential) -> bool {
        let reader = self.reader().unwrap_or_else(|| credential.clone());
        let call = Call::get(format!("{object}/{key}?fields=Id"));
        let answer = self.upstream.call(&reader, &call, Effect::Reads).await;
        answer.is_ok_and(|answer| answer.status.is_success())
    }

    /// A create's own key is taken: it was sent before, and happened after all; or the duplicate
    /// is in another field.
    async fn met_again(
        &self,
        sent: &Sent,
        key: &str,
        answer: Answer,
        credential: &Credential,
    ) -> Result<Written, Failure> {
        let reader = self.reader().unwrap_or_else(|| credential.clone());
        match self.under_key(&sent.place, key, &sent.body, &reader).await {
            Ok(Met::Ours(id)) => Ok(Written {
                response: created(&sent.place, &id, &answer.headers),
                record_id: Some(id),
            }),
            Ok(Met::Other { id, fields }) => Err(Failure::Unknown {
                reason: format!(
                    "record {id} has this operation's own key and holds other values: {}",
                    fields.join(", ")
                ),
            }),
            Ok(Met::Nothing) => Err(answer.failure(Effect::Writes)),
            Err(failure) => Err(Failure::Repeatable {
                code: "unavailable".to_owned(),
                reason: format!("what has this operation's own key could not be read: {failure}"),
                retry_after: None,
                response: None,
            }),
        }
    }
}

/// `/services/data/v66.0/sobjects/Contact`, split at its slashes.
const CREATE_SEGMENTS: usize = 6;

fn written_id(answer: &Answer) -> Option<String> {
    let Ok(Document::Object(body)) = Document::parse(&answer.body) else {
        return None;
    };
    crate::id::normalize(body.get("id")?.as_str()?)
}

/// The record that a body holds.
pub(crate) fn record_of(body: &[u8]) -> Option<Object> {
    match Document::parse(body) {
        Ok(Document::Object(record)) => Some(record),
        _ => None,
    }
}
