//! MUSTs 1, 6 and 7: doors, links, refusals.

use std::time::Duration;

use crmgate_domain::{DecisionId, Document, HoldId, OperationId};
use http::{Method, StatusCode};

use super::{Subject, made, text_of};
use crate::{Class, Malformed, Refusal, RequestHead};

/// Whatever is not in the route table is unknown, whatever the method.
pub async fn doors_are_shut(subject: &dyn Subject) {
    let connector = subject.connector();
    let doors = subject.doors();
    assert!(
        doors.len() >= 20,
        "a suite with too few doors proves little"
    );
    for head in doors {
        let class = connector.classify(&head);
        let name = format!("{} {}", head.method, head.uri);
        assert!(matches!(class, Class::Unknown { .. }), "{name}: {class:?}");
    }
    // Methods that no table lists, on every route that writes.
    let sample = subject.create("x").head;
    for method in ["TRACE", "CONNECT", "MERGE", "PROPFIND", "post", "Patch"] {
        let head = RequestHead {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            ..sample.clone()
        };
        let class = connector.classify(&head);
        assert!(
            matches!(class, Class::Unknown { .. }),
            "{method}: {class:?}"
        );
    }
    std::future::ready(()).await;
}

/// Answers that leave hold no address of the CRM's own.
pub async fn answers_stay_at_the_gate(subject: &dyn Subject) {
    let id = made(subject, "Linked").await;
    let mut requests = subject.linked();
    requests.push(subject.read(&id));
    let crm = subject.crm_url();
    let host = crm.split_once("://").map_or("", |(_, host)| host);
    let mut links = 0;
    for request in requests {
        let name = request.head.uri.to_string();
        let gate = request.head.gate.host_str().unwrap().to_owned();
        let answer = subject
            .connector()
            .pass(request, &subject.caller(), None)
            .await
            .unwrap();
        assert!(answer.status.is_success(), "{name}: {}", answer.status);
        for (header, value) in &answer.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            assert!(!value.contains(host), "{name}: header {header}: {value}");
        }
        let body = text_of(answer.body).await;
        assert!(!body.contains(host), "{name}: {body}");
        links += body.matches(&gate).count();
    }
    let resolved = super::resolve(subject, subject.create("Linked"), &super::Nothing)
        .await
        .unwrap();
    let written = super::send(subject, &resolved.change).await.unwrap();
    for (header, value) in &resolved.change.reply(written.response).headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        assert!(!value.contains(host), "a create: header {header}: {value}");
    }
    assert!(links > 0, "no answer held a link to the gate");
}

/// A refusal, the statuses it may have, and what its body must tell.
type Case = (Refusal, &'static [u16], Vec<String>);

const MESSAGE: &str = "phone \"030\" <is> no number";
const VERDICT: &[u16] = &[400, 403];

/// The gate's own answers have statuses that no real client loops on, retries or swallows, unless
/// trying again is right.
pub async fn refusals_are_the_crms_own(subject: &dyn Subject) {
    let head = subject.create("x").head;
    let cases = decided(subject).into_iter().chain(undecided());
    for (refusal, statuses, texts) in cases {
        let answer = subject.connector().render(&head, &refusal);
        let status = answer.status;
        assert!(statuses.contains(&status.as_u16()), "{refusal:?}: {status}");
        if status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(answer.headers["retry-after"], "1", "{refusal:?}");
        }
        let kind = answer.headers["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("application/json"), "{refusal:?}: {kind}");
        let body = text_of(answer.body).await;
        assert!(Document::parse(body.as_bytes()).is_ok(), "{body}");
        for text in texts {
            let escaped = Document::from(text).to_json();
            assert!(
                body.contains(escaped.trim_matches('"')),
                "{refusal:?}: {body}"
            );
        }
    }
}

fn decided(subject: &dyn Subject) -> Vec<Case> {
    let ambient = subject.ambient();
    let decision = DecisionId::fresh(ambient.as_ref());
    let hold = HoldId::fresh(ambient.as_ref());
    let message = MESSAGE.to_owned();
    let told = vec![message.clone(), decision.to_string()];
    let denied = |about_actor| Refusal::Denied {
        decision,
        message: message.clone(),
        fields: vec!["Phone".to_owned()],
        about_actor,
    };
    let operation = OperationId::fresh(ambient.as_ref());
    let held = |operation| Refusal::Held {
        decision,
        hold,
        operation,
        message: message.clone(),
    };
    let inability = Refusal::Inability {
        decision: Some(decision),
        message: message.clone(),
        retry_after: Duration::from_millis(1500),
    };
    let mut held_told = told.clone();
    held_told.push(hold.to_string());
    let mut taken_told = held_told.clone();
    taken_told.push(operation.to_string());
    vec![
        (denied(false), VERDICT, told.clone()),
        (denied(true), &[403], told.clone()),
        (held(None), VERDICT, held_told),
        (held(Some(operation)), &[202], taken_told),
        (inability, &[503], told),
    ]
}

fn undecided() -> Vec<Case> {
    let message = || MESSAGE.to_owned();
    let malformed = Malformed::new("invalid_json", message());
    let told = || vec![message()];
    vec![
        (
            Refusal::NotUnderstood { message: message() },
            VERDICT,
            told(),
        ),
        (Refusal::Malformed(malformed), VERDICT, told()),
        (Refusal::Forbidden { message: message() }, &[403], told()),
        (
            Refusal::Unauthenticated { message: message() },
            &[401],
            told(),
        ),
        (
            Refusal::PreconditionFailed { message: message() },
            &[412],
            told(),
        ),
        (Refusal::TooLarge { limit: 5 }, &[413], Vec::new()),
    ]
}
