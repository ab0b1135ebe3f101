//! What is refused, each with its place; and that nothing of it is left behind.

use std::time::Duration;

use bytes::Bytes;
use crmgate_app::operations::{BrokenOff, Limits, LineError, Submit, SubmitError};
use crmgate_store::{OperationLog as _, Role};
use futures::StreamExt as _;

use super::{Queue, create, creates, lines, skipping, whole};

fn errors(answer: Result<crmgate_app::operations::Submitted, SubmitError>) -> Vec<LineError> {
    match answer {
        Err(SubmitError::Refused { errors, .. }) => errors,
        Ok(taken) => taken.errors,
        other => panic!("{other:?}"),
    }
}

fn told(error: &LineError) -> (&str, &str) {
    (error.code.as_ref(), error.field.as_deref().unwrap_or(""))
}

#[expect(clippy::too_many_lines, reason = "a table of mistakes")]
#[tokio::test]
async fn every_mistake_is_told_with_its_member() {
    let queue = Queue::new().await;
    let native = |request: &str| format!(r#"{{"request": {request}}}"#);
    let canonical = |operation: &str| format!(r#"{{"operation": {operation}}}"#);
    let cases: Vec<(String, (&str, &str), &str)> = vec![
        ("{".into(), ("invalid_json", ""), "column"),
        (
            "7".into(),
            ("invalid_member", ""),
            "an object with `connection`",
        ),
        (
            r#"{"x": "$serde_json::private::Number"}"#.into(),
            ("invalid_json", ""),
            "reserved",
        ),
        (
            r#"{"clientid": "a"}"#.into(),
            ("invalid_member", "clientid"),
            "unknown field",
        ),
        ("{}".into(), ("one_form", "operation"), "exactly one of"),
        (
            canonical(r#"{"kind": "creat", "object": "contact"}"#),
            ("invalid_member", "operation.kind"),
            "creat",
        ),
        (
            canonical(r#"{"kind": "read", "object": "contact"}"#),
            ("invalid_operation", "operation.kind"),
            "writes nothing",
        ),
        (
            canonical(r#"{"kind": "update", "object": "contact"}"#),
            ("invalid_operation", "operation.id"),
            "is needed for `update`",
        ),
        (
            canonical(r#"{"kind": "create", "object": 7}"#),
            ("invalid_member", "operation.object"),
            "string",
        ),
        (
            canonical(r#"{"kind": "create", "object": ""}"#),
            ("invalid_operation", "operation.object"),
            "name",
        ),
        (
            canonical(r#"{"kind": "delete", "object": "contact", "id": "1", "record": {}}"#),
            ("invalid_operation", "operation.record"),
            "no record",
        ),
        (
            canonical(r#"{"kind": "create", "object": "contact", "record": {"a": 1, "a": 2}}"#),
            ("duplicate_field", "operation.record.a"),
            "twice",
        ),
        (
            native(r#"{"method": "GE T", "path": "/records/X"}"#),
            ("invalid_request", "request.method"),
            "no method",
        ),
        (
            native(r#"{"method": "POST", "path": "records/X"}"#),
            ("invalid_request", "request.path"),
            "no path",
        ),
        (
            native(r#"{"method": "GET", "path": "/records/X"}"#),
            ("not_understood", "request"),
            "not a write",
        ),
        (
            native(r#"{"method": "POST", "path": "/batch"}"#),
            ("not_understood", "request"),
            "not understood",
        ),
        (
            native(
                r#"{"method": "POST", "path": "/records/X", "headers": {"Authorization": "Bearer s3cr3t"}}"#,
            ),
            ("credential_in_request", "request.headers.Authorization"),
            "leave it out",
        ),
        (
            native(
                r#"{"method": "POST", "path": "/records/X", "headers": {"X-Api-Key": "s3cr3t"}}"#,
            ),
            ("credential_in_request", "request.headers.X-Api-Key"),
            "leave it out",
        ),
        (
            native(r#"{"method": "POST", "path": "/records/X?access_token=s3cr3t"}"#),
            ("credential_in_request", "request.path"),
            "leave it out",
        ),
        (
            native(r#"{"method": "POST", "path": "/records/X", "body": [1]}"#),
            ("invalid_body", "request.body"),
            "expected an object",
        ),
        (
            native(r#"{"method": "POST", "path": "/records/X", "body": "{\"a\":1,\"a\":2}"}"#),
            ("duplicate_field", "request.body.a"),
            "twice",
        ),
        (
            native(r#"{"method": "POST", "path": "/records/X", "body": "{"}"#),
            ("invalid_body", "request.body"),
            "no JSON",
        ),
        (
            create("c", r#", "connection": "nowhere""#),
            ("unknown_connection", "connection"),
            "`nowhere`",
        ),
        (
            create("c", r#", "connection": "No Where""#),
            ("invalid_member", "connection"),
            "connection name",
        ),
        (
            create("c", r#", "priority": "urgent""#),
            ("invalid_member", "priority"),
            "`low`",
        ),
        (
            create("c", r#", "priority": 1001"#),
            ("invalid_member", "priority"),
            "1001",
        ),
        (
            create("c", r#", "priority": 1.5"#),
            ("invalid_member", "priority"),
            "1.5",
        ),
        (create("", ""), ("invalid_member", "client_id"), "1 to 200"),
        (
            create("c", r#", "group": "a\nb""#),
            ("invalid_member", "group"),
            "control",
        ),
        (
            create("c", r#", "not_before": "tomorrow""#),
            ("invalid_member", "not_before"),
            "",
        ),
        (
            create("c", r#", "expires_at": "2020-01-01T00:00:00Z""#),
            ("already_expired", "expires_at"),
            "has passed",
        ),
        (
            create(
                "c",
                r#", "expires_at": "2027-01-01T00:00:00Z", "not_before": "2028-01-01T00:00:00Z""#,
            ),
            ("never_due", "expires_at"),
            "never",
        ),
        (
            create("c", r#", "depends_on": ["x"]"#),
            ("invalid_member", "depends_on[0]"),
            "",
        ),
        (
            create("c", r#", "depends_on": [{"client_id": "c"}]"#),
            ("circular_dependency", "depends_on"),
            "itself",
        ),
        (
            create("c", r#", "depends_on": [{"client_id": "unheard-of"}]"#),
            ("unknown_dependency", "depends_on"),
            "unheard-of",
        ),
        (
            create("c", r#", "actor": {"id": "u1"}"#),
            ("not_for_others", "actor"),
            "on behalf",
        ),
        (
            create("c", r#", "callback": {"url": "https://evil.example/"}"#),
            ("callback_not_allowed", "callback.url"),
            "`operations.callbacks.hosts`",
        ),
        (
            create("c", r#", "callback": "https://hooks.example/""#),
            ("invalid_member", "callback"),
            "an object with `url`",
        ),
        (
            create("c", r#", "client_id": "d""#),
            ("invalid_member", ""),
            "duplicate field",
        ),
    ];
    for (line, expected, word) in cases {
        let found = errors(queue.send(lines(), &line).await);
        assert_eq!(told(&found[0]), expected, "{line}: {found:?}");
        assert!(
            found[0].message.contains(word),
            "{line}: {}",
            found[0].message
        );
        assert!(!format!("{found:?}").contains("s3cr3t"), "{found:?}");
        assert_eq!((found.len(), found[0].line), (1, 1));
    }
    assert!(queue.all().await.is_empty());
}

#[tokio::test]
async fn a_broken_line_in_the_middle_refuses_all_or_itself() {
    let queue = Queue::new().await;
    let text = format!("{}\nnot JSON\n{}\n", create("a", ""), create("b", ""));
    let answer = queue.send(lines(), &text).await;
    let Err(SubmitError::Refused {
        lines: read,
        refused,
        errors,
        ..
    }) = &answer
    else {
        panic!("{answer:?}");
    };
    assert_eq!((*read, *refused, errors[0].line), (3, 1, 2));
    assert_eq!(
        answer.as_ref().unwrap_err().to_string(),
        "1 of 3 lines are refused, so nothing was taken; line 2: expected ident at column 2"
    );
    assert!(queue.all().await.is_empty());
    let taken = queue.send(skipping(), &text).await.unwrap();
    assert_eq!(
        (taken.accepted, taken.refused, taken.errors[0].line),
        (2, 1, 2)
    );
    let names: Vec<_> = queue
        .all()
        .await
        .into_iter()
        .map(|one| one.client_id.unwrap())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn groups_are_left_out_as_a_whole() {
    let queue = Queue::new().await;
    let g = r#", "group": "g""#;
    let bad = format!(r#"{{"operation": {{"kind": "update", "object": "contact"}}{g}}}"#);
    for place in 0..3 {
        let name = |n: usize| format!("p{place}-{n}");
        let mut text = vec![
            create(&name(0), g),
            create(&name(1), g),
            create(&name(9), ""),
        ];
        text.insert(place, bad.clone());
        let taken = queue.send(skipping(), &text.join("\n")).await.unwrap();
        assert_eq!((taken.accepted, taken.refused), (1, 3), "{taken:?}");
        let codes: Vec<_> = taken
            .errors
            .iter()
            .map(|error| error.code.as_ref())
            .collect();
        assert_eq!(
            codes
                .iter()
                .filter(|code| **code == "group_refused")
                .count(),
            2,
            "{codes:?}"
        );
    }
    assert_eq!(queue.all().await.len(), 3);
    // Of a line that cannot be read nobody knows the group.
    let unreadable = format!(
        "{}\n{{\"group\": \"g\", \n{}",
        create("x", g),
        create("y", "")
    );
    let refused = queue.send(skipping(), &unreadable).await;
    assert!(
        matches!(refused, Err(SubmitError::Refused { .. })),
        "{refused:?}"
    );
    let two = format!(
        "{}\n{}",
        create("x", g),
        create("y", r#", "group": "g", "connection": "lent""#)
    );
    let found = errors(queue.send(lines(), &two).await);
    assert_eq!(told(&found[0]), ("group_of_several_connections", "group"));
    let queue = Queue::with(Limits {
        group: 2,
        ..Limits::default()
    })
    .await;
    let three = [create("x", g), create("y", g), create("z", g)].join("\n");
    let found = errors(queue.send(lines(), &three).await);
    assert_eq!(told(&found[0]), ("group_too_large", "group"));
    queue
        .send(lines(), &[create("x", g), create("y", g)].join("\n"))
        .await
        .unwrap();
    let more = [create("x", g), create("new", g)].join("\n");
    let found = errors(queue.send(lines(), &more).await);
    assert_eq!(told(&found[0]), ("group_partly_known", "group"));
}

#[tokio::test]
async fn circles_and_what_hangs_on_refused_lines_are_left_out() {
    let queue = Queue::new().await;
    let on = |name: &str| format!(r#", "depends_on": [{{"client_id": "{name}"}}]"#);
    let circle = [
        create("a", &on("b")),
        create("b", &on("a")),
        create("c", ""),
    ]
    .join("\n");
    let found = errors(queue.send(lines(), &circle).await);
    assert!(
        found
            .iter()
            .all(|error| error.code == "circular_dependency"),
        "{found:?}"
    );
    assert!(queue.all().await.is_empty());
    let taken = queue.send(skipping(), &circle).await.unwrap();
    assert_eq!((taken.accepted, taken.refused), (1, 2), "{taken:?}");
    // What hangs on a refused line hangs on nothing.
    let chain = [
        "{",
        &create("d", &on("gone")),
        &create("e", &on("d")),
        &create("f", ""),
    ]
    .join("\n");
    let taken = queue.send(skipping(), &chain).await.unwrap();
    assert_eq!((taken.accepted, taken.refused), (1, 3), "{taken:?}");
}

#[tokio::test]
async fn bodies_that_end_too_early_or_never_leave_nothing() {
    let limits = Limits {
        idle: Duration::from_millis(50),
        lines: 600,
        line: 200,
        ..Limits::default()
    };
    let queue = Queue::with(limits).await;
    let names: Vec<String> = (0..550).map(|n| format!("n{n}")).collect();
    let text = creates(&names.iter().map(String::as_str).collect::<Vec<_>>()) + "\n";
    let first = || futures::stream::iter([Ok(Bytes::from(text.clone()))]);
    let submit = async |body| {
        queue
            .operations()
            .submit(&queue.client, lines(), body)
            .await
    };
    let broken = first().chain(futures::stream::iter([Err(BrokenOff("reset".into()))]));
    let error = submit(broken.boxed()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the body broke off (reset): nothing was taken"
    );
    let error = submit(first().chain(futures::stream::pending()).boxed())
        .await
        .unwrap_err();
    assert!(matches!(error, SubmitError::TooSlow(_)), "{error:?}");
    let error = submit(whole(&format!("{text}{}", text.replace("\"n", "\"m"))))
        .await
        .unwrap_err();
    assert!(
        matches!(error, SubmitError::TooLarge { limit: 600, .. }),
        "{error:?}"
    );
    let error = submit(whole(&"\n".repeat(700))).await.unwrap_err();
    assert!(
        matches!(error, SubmitError::TooLarge { limit: 600, .. }),
        "{error:?}"
    );
    let error = submit(whole("\n\n")).await.unwrap_err();
    assert!(matches!(error, SubmitError::Empty), "{error:?}");
    let long = create(&"x".repeat(199), "");
    let found = errors(submit(whole(&long)).await);
    assert_eq!(told(&found[0]), ("line_too_long", ""));
    let single = Submit {
        single: true,
        ..lines()
    };
    let error = queue.send(single, &long).await.unwrap_err();
    assert!(
        matches!(error, SubmitError::TooLarge { limit: 200, .. }),
        "{error:?}"
    );
    let tally = queue
        .log
        .tally(&crmgate_store::OperationFilter::default())
        .await
        .unwrap();
    assert_eq!(tally, [], "nothing is staged any more");
}

#[tokio::test]
async fn pressure_pushes_back_before_and_in_the_middle() {
    let queue = Queue::new().await;
    *queue.full.0.lock().unwrap() = Some(0);
    let error = queue.send(lines(), &creates(&["a"])).await.unwrap_err();
    assert!(
        matches!(error, SubmitError::Pushback(ref back) if back.code == "queue_full"),
        "{error:?}"
    );
    let names: Vec<String> = (0..1_200).map(|n| format!("n{n}")).collect();
    let text = creates(&names.iter().map(String::as_str).collect::<Vec<_>>());
    *queue.full.0.lock().unwrap() = Some(2);
    let error = queue.send(lines(), &text).await.unwrap_err();
    assert!(matches!(error, SubmitError::Pushback(_)), "{error:?}");
    let tally = queue
        .log
        .tally(&crmgate_store::OperationFilter::default())
        .await
        .unwrap();
    assert_eq!(tally, []);
    *queue.full.0.lock().unwrap() = None;
    assert_eq!(queue.send(lines(), &text).await.unwrap().accepted, 1_200);
}

#[tokio::test]
async fn too_many_submissions_of_one_token_wait() {
    let queue = Queue::with(Limits {
        submissions: 1,
        ..Limits::default()
    })
    .await;
    let (feed, body) = futures::channel::mpsc::unbounded::<Result<Bytes, BrokenOff>>();
    let operations = std::sync::Arc::clone(queue.operations());
    let by = queue.client.clone();
    let mut first = Box::pin(async move { operations.submit(&by, lines(), body.boxed()).await });
    assert!(futures::poll!(&mut first).is_pending());
    let second = queue.send(lines(), &creates(&["b"])).await;
    assert!(matches!(second, Err(SubmitError::TooMany(1))), "{second:?}");
    let other = queue.world.principal(&[Role::Operator], &[]).await;
    let text = creates(&["o"]);
    queue
        .operations()
        .submit(&other, lines(), whole(&text))
        .await
        .unwrap();
    feed.unbounded_send(Ok(Bytes::from(creates(&["a"]))))
        .unwrap();
    drop(feed);
    first.await.unwrap();
    queue.send(lines(), &creates(&["b"])).await.unwrap();
}

#[tokio::test]
async fn rights_and_scopes_hold() {
    let queue = Queue::new().await;
    let auditor = queue.world.principal(&[Role::Auditor], &[]).await;
    let text = creates(&["a"]);
    let refused = queue
        .operations()
        .submit(&auditor, lines(), whole(&text))
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("may not submit operations"),
        "{refused}"
    );
    let lent = queue.world.principal(&[Role::Client], &["lent"]).await;
    let refused = queue
        .operations()
        .submit(&lent, lines(), whole(&text))
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("no connection `own`"),
        "{refused}"
    );
    let named = create("a", r#", "connection": "own""#);
    let found = errors(
        queue
            .operations()
            .submit(&lent, Submit::default(), whole(&named))
            .await,
    );
    assert_eq!(told(&found[0]), ("unknown_connection", "connection"));
    let found = errors(
        queue
            .operations()
            .submit(&lent, Submit::default(), whole(&text))
            .await,
    );
    assert_eq!(told(&found[0]), ("no_connection", "connection"));
    let operator = queue.world.principal(&[Role::Operator], &[]).await;
    let spoken = create("a", r#", "actor": {"id": "u9", "username": "ada"}"#);
    queue
        .operations()
        .submit(&operator, lines(), whole(&spoken))
        .await
        .unwrap();
    let all = queue.all().await;
    assert_eq!((all.len(), all[0].actor.id.as_str()), (1, "u9"));
    assert_eq!(all[0].owner, operator.token.id, "who spoke stays on record");
    assert_eq!(all[0].actor.client.as_deref(), Some("robot"));
    let key = Submit {
        key: Some("two words".into()),
        ..lines()
    };
    let refused = queue.send(key, &text).await.unwrap_err();
    assert!(
        refused.to_string().starts_with("Idempotency-Key: expected"),
        "{refused}"
    );
}
