//! Signing in through the gate.

use crmgate_connector::{NativeRequest, Refusal};
use crmgate_enforce::{Answer, Reply};

use crate::{App, Connection};

impl App {
    /// At a pass-through connection the CRM's own sign-in, at a brokered one the exchange of a
    /// crmgate token.
    pub(crate) async fn sign_in(&self, connection: &Connection, request: NativeRequest) -> Answer {
        let mode = connection.mode();
        match connection.connector().sign_in(request).await {
            Ok(response) => Answer::undecided(mode, Reply::Native(response)),
            Err(failure) => Answer::refused(
                mode,
                Refusal::Inability {
                    decision: None,
                    message: failure.to_string(),
                    retry_after: connection.gate().settings().retry_after,
                },
            ),
        }
    }
}
