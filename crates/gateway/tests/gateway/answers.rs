//! What reaches a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body as WireBody;
use bytes::Bytes;
use crmgate_connector::{Body, BodyError, Malformed, NativeResponse, Refusal};
use crmgate_domain::{DecisionId, Effect, HoldId, Mode};
use crmgate_enforce::{Answer, Reply};
use crmgate_store::Basis;
use crmgate_testkit::TestAmbient;
use futures::StreamExt as _;
use http::{HeaderValue, StatusCode};
use tower::ServiceExt as _;

use crate::support::{Script, call, ok, request};

fn write() -> http::Request<WireBody> {
    request("POST", "/records/Contact", "{}")
}

async fn answered(
    mode: Mode,
    make: impl Fn() -> Answer + Send + Sync + 'static,
) -> crate::support::Got {
    let make = Arc::new(make);
    let script = Script::new(mode, move || {
        let make = Arc::clone(&make);
        Box::pin(async move { make() })
    });
    call(&script.gateway(), write()).await
}

#[tokio::test]
async fn callers_are_told_everything() {
    let ambient = TestAmbient::default();
    let (decision, hold) = (DecisionId::fresh(&ambient), HoldId::fresh(&ambient));
    let got = answered(Mode::Enforce, move || Answer {
        decision: Some(decision),
        effect: Some(Effect::Allow),
        changed: vec!["Phone".to_owned(), "Größe".to_owned()],
        warnings: vec!["old_code".to_owned(), "break\r\nout: 1".to_owned()],
        hold: Some(hold),
        basis: Some(Basis::Judged),
        ..Answer::undecided(Mode::Enforce, Reply::Native(ok()))
    })
    .await;
    assert_eq!(got.status, 200);
    assert_eq!(got.body, "{\"ok\":true}");
    assert_eq!(
        got.header("crmgate-decision"),
        Some(decision.to_string().as_str())
    );
    assert_eq!(got.header("crmgate-effect"), Some("allow"));
    assert_eq!(got.header("crmgate-hold"), Some(hold.to_string().as_str()));
    assert_eq!(
        got.header("crmgate-warning"),
        Some("old_code, break??out: 1")
    );
    assert!(got.header("out").is_none());
    assert_eq!(got.header("crmgate-basis"), None);
    assert_eq!(got.header("crmgate-mode"), None);
    let changed = got.headers["crmgate-changed"].as_bytes();
    assert!(changed.starts_with(b"Phone, Gr"), "{changed:?}");
}

#[tokio::test]
async fn whatever_passed_unjudged_says_so() {
    for (basis, word) in [
        (Basis::Observed, "observed"),
        (Basis::Opaque, "opaque"),
        (Basis::FailedOpen, "failed_open"),
    ] {
        let got = answered(Mode::Observe, move || Answer {
            basis: Some(basis),
            effect: Some(Effect::Deny),
            ..Answer::undecided(Mode::Observe, Reply::Native(ok()))
        })
        .await;
        assert_eq!(got.header("crmgate-basis"), Some(word));
        assert_eq!(got.header("crmgate-mode"), Some("observe"));
        assert_eq!(got.header("crmgate-effect"), Some("deny"));
    }
}

#[tokio::test]
async fn a_crm_can_not_speak_in_our_name() {
    let got = answered(Mode::Enforce, || {
        let mut native = ok();
        for (name, value) in [
            ("crmgate-effect", "allow"),
            ("crmgate-decision", "forged"),
            ("alt-svc", "h3=\":443\""),
            ("connection", "close"),
            ("content-length", "99999"),
            ("etag", "W/\"1\""),
        ] {
            native.headers.insert(name, HeaderValue::from_static(value));
        }
        Answer::undecided(Mode::Enforce, Reply::Native(native))
    })
    .await;
    let mut names: Vec<_> = got.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-type", "etag"]);
}

#[tokio::test]
async fn refusals_come_in_the_crm_s_shape_with_their_effect() {
    let decision = DecisionId::fresh(&TestAmbient::default());
    let hold = HoldId::fresh(&TestAmbient::default());
    let text = || "because".to_owned();
    let inability = Refusal::Inability {
        decision: None,
        message: text(),
        retry_after: Duration::from_millis(200),
    };
    let denied = Refusal::Denied {
        decision,
        message: text(),
        fields: Vec::new(),
        about_actor: false,
    };
    let held = Refusal::Held {
        decision,
        hold,
        operation: None,
        message: text(),
    };
    let operation = crmgate_domain::OperationId::fresh(&TestAmbient::default());
    let taken = Refusal::Held {
        decision,
        hold,
        operation: Some(operation),
        message: text(),
    };
    for (refusal, status, effect) in [
        (denied, 400, Some("deny")),
        (held, 400, Some("require_approval")),
        (taken, 202, Some("require_approval")),
        (inability, 503, Some("error")),
        (
            Refusal::NotUnderstood { message: text() },
            400,
            Some("deny"),
        ),
        (
            Refusal::Malformed(Malformed::new("x", "because")),
            400,
            Some("deny"),
        ),
        (Refusal::TooLarge { limit: 9 }, 413, Some("deny")),
        (Refusal::Forbidden { message: text() }, 403, Some("deny")),
        (Refusal::Unauthenticated { message: text() }, 401, None),
        (Refusal::PreconditionFailed { message: text() }, 412, None),
    ] {
        let given = refusal.clone();
        let got = answered(Mode::Enforce, move || {
            Answer::refused(Mode::Enforce, given.clone())
        })
        .await;
        assert_eq!(got.status, status, "{refusal:?}");
        assert_eq!(got.header("crmgate-effect"), effect, "{refusal:?}");
        let retry = matches!(refusal, Refusal::Inability { .. });
        assert_eq!(
            got.header("retry-after"),
            retry.then_some("1"),
            "{refusal:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_flows() {
    let (send, receive) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let receive = Arc::new(std::sync::Mutex::new(Some(receive)));
    let script = Script::new(Mode::Enforce, move || {
        let mut receive = receive.lock().unwrap().take().unwrap();
        Box::pin(async move {
            let stream = futures::stream::poll_fn(move |cx| receive.poll_recv(cx));
            let mut native = NativeResponse::empty(StatusCode::OK);
            native.body = Body::Stream(Box::pin(stream.map(Ok::<_, BodyError>)));
            Answer::undecided(Mode::Enforce, Reply::Native(native))
        })
    });
    let wanted = request("GET", "/records/Contact", WireBody::empty());
    let response = script.gateway().oneshot(wanted).await.unwrap();
    let mut body = response.into_body().into_data_stream();
    for text in ["first", "second"] {
        send.send(Bytes::from(text)).unwrap();
        assert_eq!(body.next().await.unwrap().unwrap(), text);
    }
    drop(send);
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn an_answer_to_head_keeps_its_length() {
    let script = Script::new(Mode::Enforce, || {
        Box::pin(async {
            let mut native = NativeResponse::empty(StatusCode::OK);
            native
                .headers
                .insert("content-length", HeaderValue::from_static("42"));
            Answer::undecided(Mode::Enforce, Reply::Native(native))
        })
    });
    let got = call(
        &script.gateway(),
        request("HEAD", "/records/Contact", WireBody::empty()),
    )
    .await;
    assert_eq!(got.header("content-length"), Some("42"));
}

#[tokio::test]
async fn a_fault_of_ours_is_an_inability_and_ends_nothing_else() {
    let broken = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&broken);
    let script = Script::new(Mode::Enforce, move || {
        let broken = flag.load(Ordering::SeqCst);
        Box::pin(async move {
            assert!(!broken, "told to");
            Answer::undecided(Mode::Enforce, Reply::Native(ok()))
        })
    });
    let gateway = script.gateway();
    let got = call(&gateway, write()).await;
    assert_eq!(
        (got.status, got.header("crmgate-effect")),
        (503, Some("error"))
    );
    assert_eq!(got.header("retry-after"), Some("7"));
    assert!(!got.body.contains("told to"), "{}", got.body);
    broken.store(false, Ordering::SeqCst);
    assert_eq!(call(&gateway, write()).await.status, 200);
}
