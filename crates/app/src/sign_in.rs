//! Signing in through the gate.

use crmgate_connector::{Body, Failure, Matched, NativeRequest, Refusal};
use crmgate_enforce::{Answer, Reply};

use crate::decide_write::no_answer;
use crate::sightings::{Sight, client_of};
use crate::{App, Connection, IdentityMode};

impl App {
    /// At a pass-through connection the CRM's own sign-in; at a brokered one a crmgate token, in
    /// the place of the client's secret or password, is exchanged for itself.
    pub(crate) async fn sign_in(
        &self,
        connection: &Connection,
        matched: &Matched,
        request: NativeRequest,
    ) -> Answer {
        let route = matched.route.id.clone();
        let sight = Sight::new(client_of(&request.head, None), route, "sign_in");
        self.saw(connection, sight);
        let reply = match connection.identity() {
            IdentityMode::PassThrough => {
                let again = copy(&request);
                match connection.connector().sign_in(request).await {
                    Ok(response) => Reply::Native(response),
                    // One end point serves sign-in and other calls: the body told which it was.
                    Err(Failure::Refused { code, message, .. }) if code == "not_understood" => {
                        return self.unknown(connection, again, &message).await;
                    }
                    Err(failure) => no_answer(connection, failure),
                }
            }
            IdentityMode::Brokered => self.brokered_sign_in(connection, &request).await,
        };
        Answer::undecided(connection.mode(), reply)
    }

    async fn brokered_sign_in(&self, connection: &Connection, request: &NativeRequest) -> Reply {
        let connector = connection.connector();
        let Some(token) = connector.brokered_sign_in(request) else {
            return Reply::Refused(Refusal::Unauthenticated {
                message: "expected a crmgate token as the client secret or the password".to_owned(),
            });
        };
        match self.identities().broker(connection, &token).await {
            Ok(_) => Reply::Native(connector.brokered_answer(request, &token)),
            Err(refusal) => Reply::Refused(refusal),
        }
    }
}

/// The request once more; the body of a sign-in is whole.
fn copy(request: &NativeRequest) -> NativeRequest {
    NativeRequest {
        head: request.head.clone(),
        body: match &request.body {
            Body::Full(bytes) => Body::Full(bytes.clone()),
            Body::Stream(_) => Body::empty(),
        },
    }
}
