//! A write at the gateway.

use crmgate_connector::{Matched, NativeRequest, Refusal};
use crmgate_enforce::Answer;

use crate::{App, Connection};

impl App {
    /// Identifies, parses, judges, records, writes. The body must be whole and decoded.
    pub(crate) async fn write(
        &self,
        connection: &Connection,
        matched: &Matched,
        request: NativeRequest,
    ) -> Answer {
        let _ = matched;
        match self.identities().caller(connection, &request.head).await {
            Ok(_) => Answer::refused(
                connection.mode(),
                Refusal::NotUnderstood {
                    message: "not ready".to_owned(),
                },
            ),
            Err(refusal) => Answer::refused(connection.mode(), refusal),
        }
    }
}
