//! Times and numbers.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as WireBody;
use bytes::Bytes;
use crmgate_connector::{Body, BodyError, NativeResponse};
use crmgate_domain::Mode;
use crmgate_enforce::{Answer, Reply};
use crmgate_gateway::{Doors, Gateway};
use http::StatusCode;
use tower::ServiceExt as _;

use crate::support::{Script, call, ok, peer, read, request, settings};

fn after(time: Duration) -> Arc<Script> {
    Script::new(Mode::Enforce, move || {
        Box::pin(async move {
            tokio::time::sleep(time).await;
            Answer::undecided(Mode::Enforce, Reply::Native(ok()))
        })
    })
}

#[tokio::test(start_paused = true)]
async fn what_is_not_judged_is_given_up_and_what_is_judged_never() {
    let slow = Duration::from_secs(600);
    for (method, path, status) in [
        ("GET", "/records/Contact", 503),
        ("GET", "/versions", 503),
        ("POST", "/sign-in", 503),
        ("POST", "/records/Contact", 200),
        ("POST", "/jobs", 200),
    ] {
        let script = after(slow);
        let got = call(&script.gateway(), request(method, path, "{}")).await;
        assert_eq!(got.status, status, "{method} {path}");
    }
}

/// Answers with a body that goes on until somebody tells it to end.
fn endless(end: &Arc<tokio::sync::Semaphore>) -> Arc<Script> {
    let end = Arc::clone(end);
    Script::new(Mode::Enforce, move || {
        let end = Arc::clone(&end);
        Box::pin(async move {
            let stream = futures::stream::once(async move {
                end.acquire().await.unwrap().forget();
                Ok::<_, BodyError>(Bytes::from_static(b"end"))
            });
            let mut native = NativeResponse::empty(StatusCode::OK);
            native.body = Body::Stream(Box::pin(stream));
            Answer::undecided(Mode::Enforce, Reply::Native(native))
        })
    })
}

#[tokio::test]
async fn a_connection_s_load_ends_at_its_own_limit() {
    let end = Arc::new(tokio::sync::Semaphore::new(0));
    let (busy, quiet) = (endless(&end), Script::fine(Mode::Enforce));
    let doors = Doors::default()
        .with_host("busy.example", busy.door().with_concurrency(2))
        .with_host("quiet.example", quiet.door());
    let gateway = Gateway::new(doors, settings());
    let wanted = |host: &str| {
        let mut wanted = request("GET", "/records/Contact", WireBody::empty());
        wanted.extensions_mut().insert(peer(host));
        wanted
    };
    let mut open = Vec::new();
    for _ in 0..2 {
        let response = gateway
            .clone()
            .oneshot(wanted("busy.example"))
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        open.push(response);
    }
    // Both answers still flow: their places are taken.
    let got = call(&gateway, wanted("busy.example")).await;
    assert_eq!((got.status, got.header("retry-after")), (503, Some("7")));
    assert_eq!(busy.refused().len(), 1);
    assert_eq!(call(&gateway, wanted("quiet.example")).await.status, 200);

    // One ends, one is dropped half way: both places are free again.
    end.add_permits(1);
    assert_eq!(read(open.pop().unwrap()).await.body, "end");
    drop(open);
    for _ in 0..2 {
        end.add_permits(1);
        assert_eq!(call(&gateway, wanted("busy.example")).await.status, 200);
    }
}
