//! Sending a judged write, once.

use crmgate_connector::{Credential, Failure, Outgoing, Written};
use crmgate_domain::Document;
use crmgate_store::Permit;
use http::StatusCode;

use crate::change::CREATE_ONLY;
use crate::connector::SalesforceConnector;
use crate::failure::{Answer, Effect};
use crate::upstream::Call;

impl SalesforceConnector {
    pub(crate) async fn send_write(
        &self,
        permit: Permit,
        outgoing: Outgoing,
        credential: &Credential,
    ) -> Result<Written, Failure> {
        let admitted = permit
            .admit(&self.name, outgoing.hash(), self.ambient.now())
            .map_err(|error| Failure::not_sent(error.to_string()))?;
        tracing::debug!(decision = %admitted.decision, method = %outgoing.method, "writing");
        let Outgoing {
            method,
            path_and_query,
            mut headers,
            body,
            pinned_by_gate,
        } = outgoing;
        let create_only = headers.remove(CREATE_ONLY);
        let call = Call {
            method,
            target: path_and_query,
            headers,
            body,
        };
        let answer = self
            .upstream
            .call(credential, &call, Effect::Writes)
            .await?;
        if answer.status.is_success() {
            let record_id = written_id(&answer);
            return Ok(Written {
                response: answer.native(),
                record_id,
            });
        }
        if answer.status == StatusCode::PRECONDITION_FAILED && pinned_by_gate {
            return Err(Failure::VersionMismatch);
        }
        if let Some(key) = create_only.as_ref().and_then(|key| key.to_str().ok())
            && answer.error().0 == "DUPLICATE_VALUE"
            && self.key_is_taken(&call.target, key, credential).await
        {
            return Err(Failure::VersionMismatch);
        }
        Err(answer.failure(Effect::Writes))
    }

    /// Whether an upsert's create met a record that has come into being since it was judged. Its
    /// duplicate may also be in another unique field, which is the client's own affair.
    async fn key_is_taken(&self, object: &str, key: &str, credential: &Credential) -> bool {
        let reader = self.reader().unwrap_or_else(|| credential.clone());
        let call = Call::get(format!("{object}/{key}?fields=Id"));
        let answer = self.upstream.call(&reader, &call, Effect::Reads).await;
        answer.is_ok_and(|answer| answer.status.is_success())
    }
}

fn written_id(answer: &Answer) -> Option<String> {
    let Ok(Document::Object(body)) = Document::parse(&answer.body) else {
        return None;
    };
    crate::id::normalize(body.get("id")?.as_str()?)
}
