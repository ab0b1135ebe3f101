//! One line becomes an operation.

use std::sync::Arc;

use crmgate_domain::{Actor, OperationId};
use crmgate_store::{NewOperation, Role};

use super::super::form::Form;
use super::super::request::{self, About, OperationRequest, Placed, Wrong};
use super::Intake;

impl Intake {
    pub(super) async fn row(
        &mut self,
        request: OperationRequest,
        line: u64,
    ) -> Result<NewOperation, Wrong> {
        let operations = Arc::clone(&self.operations);
        request.check(self.submission.at)?;
        let name = request
            .connection
            .as_ref()
            .or(self.submit.connection.as_ref())
            .cloned()
            .ok_or_else(|| Wrong::at("no_connection", "connection", "is missing"))?;
        let connection = operations
            .connections
            .visible(&self.by, &name)
            .map_err(|_| {
                let message = format!("there is no connection `{name}`");
                Wrong::at("unknown_connection", "connection", message)
            })?;
        if !connection.connector().has_service_credential() {
            let message = format!(
                "connection `{name}` has no credential of its own, which queued operations are written with"
            );
            return Err(Wrong::at("no_service_credential", "connection", message));
        }
        let actor = self.speak_for(request.actor.as_ref())?;
        if let Some(callback) = &request.callback {
            operations.callbacks.check(&callback.url)?;
        }
        let form = Form::one(request.operation.clone(), request.request.clone())?;
        let about = About::of(connection, &form)?;
        let names = self.names.of(connection, &about.named).await?;
        if let Some(group) = &request.group {
            let most = operations.limits.group;
            self.groups.join(group, &name, line, most)?;
        }
        let placed = Placed {
            id: OperationId::fresh(operations.ambient.as_ref()),
            line,
            connection: &name,
            object: names.canonical.clone(),
            native: &names.native,
            actor,
            trace: self.submit.trace.clone(),
        };
        request::row(request, &form, &about, placed)
    }

    /// Who asks. Only some may speak for others; who spoke stays on record as the owner.
    fn speak_for(&self, actor: Option<&Actor>) -> Result<Actor, Wrong> {
        let Some(actor) = actor else {
            return Ok(self.actor.clone());
        };
        if !self.by.has(Role::Admin) && !self.by.has(Role::Operator) {
            let message = format!(
                "token `{}` may not submit on behalf of another actor",
                self.by.token.name
            );
            return Err(Wrong::at("not_for_others", "actor", message));
        }
        if actor.id.is_empty() {
            return Err(Wrong::at("invalid_member", "actor.id", "is empty"));
        }
        let mut actor = actor.clone();
        actor
            .client
            .get_or_insert_with(|| self.by.token.name.clone());
        Ok(actor)
    }
}
