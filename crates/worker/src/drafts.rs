//! What a stored operation asks, as the gate wants it.

use std::sync::Arc;

use async_trait::async_trait;
use crmgate_app::Connections;
use crmgate_app::operations::form::{Form, Subject, draft_of};
use crmgate_connector::{Credential, Draft, Malformed, ParseFailure};
use crmgate_domain::{Point, Timestamp};
use crmgate_store::StoredOperation;

/// What a stored operation asks.
#[derive(Debug)]
pub struct Drafted {
    /// The draft. INVARIANT: it has the operation's id as its seed, so that a create that is judged
    /// again has the same key.
    pub draft: Draft,
    /// Where it was asked, and is judged.
    pub point: Point,
    /// What it is written with.
    pub credential: Credential,
}

/// Makes a draft of what was submitted.
#[async_trait]
pub trait Drafts: Send + Sync + 'static {
    /// What it asks.
    ///
    /// # Errors
    /// What is wrong with the request, or what could not be looked up.
    async fn draft(
        &self,
        stored: &StoredOperation,
        now: Timestamp,
    ) -> Result<Drafted, ParseFailure>;
}

/// Of the forms that the API takes.
pub struct FormDrafts(pub Arc<Connections>);

#[async_trait]
impl Drafts for FormDrafts {
    async fn draft(
        &self,
        stored: &StoredOperation,
        now: Timestamp,
    ) -> Result<Drafted, ParseFailure> {
        let connection = self.0.get(&stored.connection).ok_or_else(|| {
            let name = &stored.connection;
            Malformed::new(
                "unknown_connection",
                format!("no connection `{name}` is configured here"),
            )
        })?;
        let form = form_of(stored)?;
        let (point, credential) = match &form {
            Form::Gateway(kept) => (Point::Gateway, kept.credential()),
            Form::Operation(_) | Form::Request(_) => (Point::Queue, Credential::Service),
        };
        let subject = Subject {
            id: stored.id,
            actor: &stored.actor,
            point,
            at: now,
        };
        Ok(Drafted {
            draft: draft_of(connection, form, &subject).await?,
            point,
            credential,
        })
    }
}

fn form_of(stored: &StoredOperation) -> Result<Form, Malformed> {
    let request = stored.request.as_deref().ok_or_else(|| {
        Malformed::new(
            "request_gone",
            "what was asked is not stored any more: it was erased or cleared away",
        )
    })?;
    serde_json::from_str(request).map_err(|error| {
        Malformed::new(
            "unreadable_request",
            format!("what was asked cannot be read by this version: {error}"),
        )
    })
}
