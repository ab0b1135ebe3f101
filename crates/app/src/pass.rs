//! Requests that are not judged.

use crmgate_connector::{Class, Credential, NativeRequest, Refusal, RequestHead};
use crmgate_domain::Mode;
use crmgate_enforce::{Answer, Reply};
use secrecy::SecretString;

use crate::decide_write::no_answer;
use crate::sightings::{Sight, client_of, unknown_route};
use crate::{App, Connection};

impl App {
    /// Passes a read, or a request to an open door.
    pub(crate) async fn pass(
        &self,
        connection: &Connection,
        class: &Class,
        request: NativeRequest,
    ) -> Answer {
        let mode = connection.mode();
        let (kind, matched) = match class {
            Class::Open(matched) => ("open", Some(matched)),
            Class::Read(matched) => ("read", Some(matched)),
            _ => ("read", None),
        };
        let route = matched.map_or_else(String::new, |matched| matched.route.id.clone());
        self.saw(
            connection,
            Sight::new(client_of(&request.head, None), route, kind),
        );
        let credential = match class {
            // An open door needs none; a brokered connection's own is not for strangers.
            Class::Open(_) => Ok(Credential::Caller(SecretString::from(""))),
            _ => {
                self.identities()
                    .credential(connection, &request.head)
                    .await
            }
        };
        let credential = match credential {
            Ok(credential) => credential,
            Err(refusal) => return Answer::refused(mode, refusal),
        };
        let reply = match connection
            .connector()
            .pass(request, &credential, None)
            .await
        {
            Ok(response) => Reply::Native(response),
            Err(failure) => no_answer(connection, failure),
        };
        Answer::undecided(mode, reply)
    }

    /// Answers what the gate does not understand.
    pub(crate) async fn unknown(
        &self,
        connection: &Connection,
        request: NativeRequest,
        why: &str,
    ) -> Answer {
        let head = request.head.clone();
        let route = unknown_route(&head);
        let mut sight = Sight::new(client_of(&head, None), route, "unknown");
        if connection.mode() == Mode::Enforce {
            let refusal = Refusal::NotUnderstood {
                message: why.to_owned(),
            };
            // Strangers leave a count and no row: whoever has no token cannot fill the record.
            let answer = match self.whoever(connection, &head).await {
                Ok(caller) => {
                    sight.client = client_of(&head, Some(&caller.actor));
                    let gate = connection.gate();
                    gate.refuse_opaque(&head, &caller, refusal).await
                }
                Err(_) => Answer::refused(Mode::Enforce, refusal),
            };
            self.saw(connection, sight.answered(&answer));
            return answer;
        }
        let answer = match self.whoever(connection, &head).await {
            Ok(caller) => {
                sight.client = client_of(&head, Some(&caller.actor));
                let gate = connection.gate();
                gate.pass_opaque(request, caller, "not_understood", why)
                    .await
            }
            Err(refusal) => Answer::refused(Mode::Observe, refusal),
        };
        self.saw(connection, sight.answered(&answer));
        answer
    }

    /// A refusal that the gateway itself found (a body over the limit, a broken encoding): counted
    /// for the connection's report, and put into the form of an answer.
    pub fn refuse(&self, connection: &Connection, head: &RequestHead, refusal: Refusal) -> Answer {
        let (route, kind) = match connection.classify(head) {
            Class::Write(matched) => (matched.route.id.clone(), "write"),
            Class::Read(matched) => (matched.route.id.clone(), "read"),
            Class::SignIn(matched) => (matched.route.id.clone(), "sign_in"),
            Class::Open(matched) => (matched.route.id.clone(), "open"),
            Class::Unknown { .. } => (unknown_route(head), "unknown"),
        };
        let answer = Answer::refused(connection.mode(), refusal);
        let sight = Sight::new(client_of(head, None), route, kind);
        self.saw(connection, sight.answered(&answer));
        answer
    }

    pub(crate) fn saw(&self, connection: &Connection, sight: Sight) {
        self.sightings().note(connection.name(), sight.into_key());
    }
}
