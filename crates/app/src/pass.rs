//! Requests that are not judged.

use crmgate_connector::{NativeRequest, Refusal};
use crmgate_enforce::{Answer, Reply};

use crate::{App, Connection};

impl App {
    /// Passes a read, or a request to an open door.
    pub(crate) async fn pass(&self, connection: &Connection, request: NativeRequest) -> Answer {
        let mode = connection.mode();
        let credential = match self
            .identities()
            .credential(connection, &request.head)
            .await
        {
            Ok(credential) => credential,
            Err(refusal) => return Answer::refused(mode, refusal),
        };
        match connection
            .connector()
            .pass(request, &credential, None)
            .await
        {
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
