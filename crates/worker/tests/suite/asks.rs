//! Operations to be submitted, and the drafts that become of them.

use std::sync::Arc;

use async_trait::async_trait;
use crmgate_app::operations::form::{CanonicalForm, Form};
use crmgate_connector::{Connector, Credential, Draft, Malformed, ParseFailure};
use crmgate_domain::{
    Actor, Ambient, ConnectionRef, Kind, Operation, OperationId, PayloadHash, Point, Timestamp,
};
use crmgate_store::{Dependency, NewOperation, StoredOperation};
use crmgate_worker::{Drafted, Drafts};
use serde_json::{Value, json};

use crate::world::actor;

/// Makes drafts as the application does, of what was asked there.
pub(crate) struct TestDrafts(pub(crate) Arc<dyn Connector>, pub(crate) Point);

#[async_trait]
impl Drafts for TestDrafts {
    async fn draft(
        &self,
        stored: &StoredOperation,
        now: Timestamp,
    ) -> Result<Drafted, ParseFailure> {
        let text = stored.request.as_deref().unwrap_or_default();
        let draft = draft(self.0.as_ref(), (stored.id, &stored.actor), text, now).await?;
        Ok(Drafted {
            draft,
            point: self.1,
            credential: Credential::Service,
        })
    }
}

/// The draft of a stored request, seeded by its operation.
pub(crate) async fn draft(
    connector: &dyn Connector,
    (id, actor): (OperationId, &Actor),
    text: &str,
    now: Timestamp,
) -> Result<Draft, ParseFailure> {
    let form: Form = serde_json::from_str(text)
        .map_err(|error| Malformed::new("unreadable_request", error.to_string()))?;
    let Form::Operation(CanonicalForm {
        kind,
        object,
        id: record_id,
        record,
    }) = form
    else {
        panic!("only canonical forms here");
    };
    let mut mapped = connector.mapped_objects().into_iter();
    let native_object = mapped
        .find(|(canonical, _)| *canonical == object)
        .unwrap()
        .1;
    let operation = Operation {
        id,
        kind,
        requested: None,
        point: Point::Queue,
        at: now,
        connection: ConnectionRef {
            name: connector.name().clone(),
            system: connector.system().to_owned(),
            org: None,
        },
        object,
        native_object,
        record_id,
        actor: actor.clone(),
        request: None,
        purpose: None,
        batch: None,
        name: None,
        arguments: None,
        relation: None,
    };
    let mut draft = connector.draft(&operation, record).await?;
    draft.request = None;
    draft.seed = Some(id);
    Ok(draft)
}

/// What is asked, made up step by step.
#[derive(Clone)]
pub(crate) struct Wish(pub(crate) NewOperation);

impl Wish {
    pub(crate) fn new(ambient: &dyn Ambient, connection: &str, form: &Value) -> Self {
        let request = json!({"operation": form}).to_string();
        let id = form["id"].as_str().map(str::to_owned);
        let kind: Kind = serde_json::from_value(form["kind"].clone()).unwrap();
        Self(NewOperation {
            id: OperationId::fresh(ambient),
            connection: connection.parse().unwrap(),
            client_id: None,
            line: 0,
            actor: actor(),
            kind: kind.as_str().to_owned(),
            object: form["object"].as_str().unwrap().to_owned(),
            lane: id.clone(),
            record_id: id,
            group: None,
            depends_on: Vec::new(),
            priority: 0,
            not_before: None,
            expires_at: None,
            purpose: None,
            callback: None,
            content: PayloadHash::of(&[request.as_bytes()]),
            request,
            trace: None,
        })
    }

    pub(crate) fn id(&self) -> OperationId {
        self.0.id
    }

    pub(crate) fn group(mut self, name: &str) -> Self {
        self.0.group = Some(name.to_owned());
        self
    }

    pub(crate) fn after(mut self, other: OperationId) -> Self {
        self.0.depends_on.push(Dependency::Id(other));
        self
    }

    pub(crate) fn expires(mut self, at: Timestamp) -> Self {
        self.0.expires_at = Some(at);
        self
    }
}
