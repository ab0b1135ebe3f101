//! A write at the gateway.

use std::sync::Arc;

use crmgate_connector::{
    Body, Credential, Failure, Matched, NativeRequest, ParseFailure, Refusal, RequestHead,
};
use crmgate_domain::{Mode, Point};
use crmgate_enforce::{Answer, Ask, Caller, Later, Reply, Stage};
use http::StatusCode;
use tracing::Instrument as _;

use crate::operations::kept;
use crate::sightings::{Sight, client_of};
use crate::{App, Connection, IdentityMode};

/// Says why an operation is asked for.
const PURPOSE: &str = "crmgate-purpose";
/// The longest purpose that is kept.
const MOST_PURPOSE: usize = 500;

impl App {
    /// Identifies, parses, judges, records, writes. The body must be whole and decoded.
    pub(crate) async fn write(
        &self,
        connection: &Connection,
        matched: &Matched,
        mut request: NativeRequest,
    ) -> Answer {
        let at = self.ambient().now();
        let purpose = purpose(&mut request.head);
        let head = request.head.clone();
        let mut sight = Sight::new(client_of(&head, None), matched.route.id.clone(), "write");
        let caller = match self.whoever(connection, &head).await {
            Ok(caller) => caller,
            Err(refusal) => {
                let answer = Answer::refused(connection.mode(), refusal);
                self.saw(connection, sight.answered(&answer));
                return answer;
            }
        };
        sight.client = client_of(&head, Some(&caller.actor));
        let copy = copy(connection.mode(), &request);
        let later = self.later(connection, &request);
        let timer = connection.gate().time(Stage::Parse);
        let parsing = connection.connector().parse(request);
        let parsed = parsing.instrument(timer.span().clone()).await;
        let parsing = timer.stop();
        let answer = match parsed {
            Ok(draft) => {
                let ask = Ask {
                    draft,
                    caller,
                    point: Point::Gateway,
                    at,
                    purpose,
                    parsing,
                    later,
                };
                connection.gate().write(ask).await
            }
            Err(failure) => not_parsed(connection, &head, copy, caller, failure).await,
        };
        let expired = |response: &crmgate_connector::NativeResponse| {
            response.status == StatusCode::UNAUTHORIZED
        };
        if answer.native().is_some_and(expired) {
            self.identities().forget(connection, &head).await;
        }
        self.saw(connection, sight.answered(&answer));
        answer
    }

    /// Where the connection's own credential writes, what must wait can be written without the
    /// caller.
    fn later(&self, connection: &Connection, request: &NativeRequest) -> Option<Arc<Later>> {
        let operations = self.operations().ok()?;
        let brokered = connection.identity() == IdentityMode::Brokered;
        let later =
            brokered.then(|| kept::later(operations.log(), connection.connector(), request));
        later.flatten().map(Arc::new)
    }

    /// Who the caller is. In observe mode nobody is stopped because the gate cannot find out, where
    /// it is the CRM that looks at the token; a brokered connection never lends its credential to
    /// somebody unknown.
    pub(crate) async fn whoever(
        &self,
        connection: &Connection,
        head: &RequestHead,
    ) -> Result<Caller, Refusal> {
        let refusal = match self.identities().caller(connection, head).await {
            Ok(caller) => return Ok(caller),
            Err(refusal) => refusal,
        };
        let observed = connection.mode() == Mode::Observe
            && connection.identity() == IdentityMode::PassThrough;
        match connection.connector().caller_token(head) {
            Some(token) if observed => Ok(Caller::unknown(Credential::Caller(token))),
            _ => Err(refusal),
        }
    }
}

/// In observe mode, what to pass when the request cannot be parsed.
fn copy(mode: Mode, request: &NativeRequest) -> Option<NativeRequest> {
    match (&request.body, mode) {
        (Body::Full(bytes), Mode::Observe) => Some(NativeRequest {
            head: request.head.clone(),
            body: Body::Full(bytes.clone()),
        }),
        _ => None,
    }
}

async fn not_parsed(
    connection: &Connection,
    head: &RequestHead,
    copy: Option<NativeRequest>,
    caller: Caller,
    failure: ParseFailure,
) -> Answer {
    let gate = connection.gate();
    if let Some(request) = copy {
        let (code, why) = match &failure {
            ParseFailure::Malformed(malformed) => (malformed.code, malformed.message.clone()),
            ParseFailure::Failure(failure) => ("look_up_failed", failure.to_string()),
        };
        return gate.pass_opaque(request, caller, code, &why).await;
    }
    let reply = match failure {
        ParseFailure::Malformed(malformed) => {
            let refusal = Refusal::Malformed(malformed);
            return gate.refuse_opaque(head, &caller, refusal).await;
        }
        ParseFailure::Failure(failure) => no_answer(connection, failure),
    };
    Answer::undecided(connection.mode(), reply)
}

/// What a caller gets when the CRM did not answer, or refused.
pub(crate) fn no_answer(connection: &Connection, failure: Failure) -> Reply {
    let by_default = connection.gate().settings().retry_after;
    match failure {
        Failure::Refused {
            response: Some(response),
            ..
        }
        | Failure::Repeatable {
            response: Some(response),
            ..
        } => Reply::Native(*response),
        Failure::Repeatable {
            reason,
            retry_after,
            ..
        } => Reply::Refused(Refusal::Inability {
            decision: None,
            message: reason,
            retry_after: retry_after.unwrap_or(by_default),
        }),
        other => Reply::Refused(Refusal::Inability {
            decision: None,
            message: other.to_string(),
            retry_after: by_default,
        }),
    }
}

/// Takes the purpose out of the request: it is for the gate, not for the CRM.
fn purpose(head: &mut RequestHead) -> Option<String> {
    let value = head.headers.remove(PURPOSE)?;
    let text = value.to_str().ok()?.trim();
    (!text.is_empty()).then(|| text.chars().take(MOST_PURPOSE).collect())
}
