use std::time::Duration;

use crmgate_connector::Body;
use crmgate_domain::{DecisionId, HoldId};
use http::HeaderMap;

use super::*;

const DECISION: &str = "01890000-0000-7000-8000-000000000001";

fn head(path: &str) -> RequestHead {
    RequestHead {
        method: http::Method::POST,
        uri: path.parse().unwrap(),
        headers: HeaderMap::new(),
        gate: "https://127.0.0.1:8701".parse().unwrap(),
    }
}

fn refusals() -> Vec<Refusal> {
    let decision: DecisionId = DECISION.parse().unwrap();
    let hold: HoldId = "01890000-0000-7000-8000-000000000002".parse().unwrap();
    let denied = |about_actor| Refusal::Denied {
        decision,
        message: "Discount above 30 % needs \"approval\" <P-7>".to_owned(),
        fields: vec!["Discount__c".to_owned()],
        about_actor,
    };
    vec![
        denied(false),
        denied(true),
        Refusal::Held {
            decision,
            hold,
            operation: Some("01890000-0000-7000-8000-000000000003".parse().unwrap()),
            message: "Waits for finance; the gate writes it then".to_owned(),
        },
        Refusal::Held {
            decision,
            hold,
            operation: None,
            message: "Waits for finance; send it again once approved".to_owned(),
        },
        Refusal::Inability {
            decision: Some(decision),
            message: "no judgement could be made".to_owned(),
            retry_after: Duration::from_secs(5),
        },
        Refusal::NotUnderstood {
            message: "`POST /x` is no route that the gate understands".to_owned(),
        },
        Refusal::Malformed(Malformed::field("unknown_field", "X__c", "No such column")),
        Refusal::Malformed(Malformed::new("invalid_json", "expected value")),
        Refusal::Malformed(Malformed::new("invalid_id", "no id")),
        Refusal::Malformed(Malformed::new("unsupported_media_type", "XML")),
        Refusal::Malformed(Malformed::new("bypass_refused", "no")),
        Refusal::TooLarge { limit: 10 },
        Refusal::Unauthenticated {
            message: "Session expired or invalid".to_owned(),
        },
        Refusal::Forbidden {
            message: "no".to_owned(),
        },
        Refusal::PreconditionFailed {
            message: "no".to_owned(),
        },
    ]
}

fn show(response: NativeResponse) -> String {
    let Body::Full(body) = response.body else {
        panic!("whole")
    };
    let retry = response
        .headers
        .get("retry-after")
        .map(|seconds| format!(" (again in {})", seconds.to_str().unwrap()));
    format!(
        "{}{}\n{}",
        response.status,
        retry.unwrap_or_default(),
        String::from_utf8_lossy(&body)
    )
}

fn all(path: &str) -> String {
    let shown: Vec<String> = refusals()
        .iter()
        .map(|refusal| show(render(&head(path), refusal)))
        .collect();
    shown.join("\n")
}

#[test]
fn rest() {
    insta::assert_snapshot!(all("/services/data/v66.0/sobjects/Contact"));
}

#[test]
fn sign_in() {
    insta::assert_snapshot!(all("/services/oauth2/token"));
}

#[test]
fn soap() {
    insta::assert_snapshot!(all("/services/Soap/u/59.0"));
}

#[test]
fn only_bad_credentials_are_401_and_only_inabilities_are_retried() {
    for refusal in refusals() {
        let status = render(&head("/services/data/v66.0/sobjects/Contact"), &refusal).status;
        let unauthenticated = matches!(refusal, Refusal::Unauthenticated { .. });
        assert_eq!(status == 401, unauthenticated, "{refusal:?}");
        let inability = matches!(refusal, Refusal::Inability { .. });
        assert_eq!(status.is_server_error(), inability, "{refusal:?}");
        assert!(![404, 420, 429].contains(&status.as_u16()), "{refusal:?}");
    }
}
