//! Looking, and waiting.

use std::sync::Arc;
use std::time::Duration;

use crmgate_app::AppError;
use crmgate_app::operations::Until;
use crmgate_app::operations::callbacks::Try;
use crmgate_domain::State;
use crmgate_store::{OperationFilter, Role};

use super::{Queue, create, creates};

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn whoever_waits_is_told_when_it_settles() {
    let queue = Arc::new(Queue::new().await);
    let id = queue.take(&creates(&["a"])).await[0].id;
    let waiting = |until| {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            let operations = queue.operations();
            operations
                .wait(&queue.client, id, until, LONG)
                .await
                .unwrap()
                .state
        })
    };
    let (settled, moved) = (waiting(Until::Settled), waiting(Until::Moved));
    tokio::task::yield_now().await;
    queue.go(id, &[State::Deciding]).await;
    let moved = moved.await.unwrap();
    assert!(
        matches!(moved, State::Received | State::Deciding),
        "{moved}"
    );
    queue.go(id, &[State::Denied]).await;
    assert_eq!(settled.await.unwrap(), State::Denied);
    let none = queue
        .operations()
        .wait(&queue.client, id, Until::Settled, Duration::ZERO);
    assert_eq!(none.await.unwrap().state, State::Denied);
    let long = queue
        .operations()
        .wait(&queue.client, id, Until::Settled, LONG * 3)
        .await;
    assert_eq!(
        long.unwrap_err().to_string(),
        "wait: expected at most 60 seconds"
    );
}

#[tokio::test]
async fn a_submission_tells_where_its_operations_stand() {
    let queue = Arc::new(Queue::new().await);
    let all = queue.take(&creates(&["a", "b", "c"])).await;
    let submission = all[0].submission;
    let waiting = {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            let operations = queue.operations();
            operations
                .wait_for_submission(&queue.client, submission, LONG)
                .await
                .unwrap()
        })
    };
    queue.go(all[0].id, &[State::Deciding, State::Denied]).await;
    queue.go(all[1].id, &[State::Deciding, State::Denied]).await;
    let state = queue
        .operations()
        .submission(&queue.client, submission)
        .await
        .unwrap();
    assert_eq!((state.ended, state.waiting, state.settled), (2, 0, false));
    queue
        .go(all[2].id, &[State::Deciding, State::Unjudged])
        .await;
    let state = waiting.await.unwrap();
    assert_eq!((state.ended, state.waiting, state.settled), (2, 1, true));
    let tally: Vec<_> = state
        .tally
        .iter()
        .map(|entry| (entry.state, entry.code.as_deref().unwrap(), entry.count))
        .collect();
    assert_eq!(
        tally,
        [
            (State::Denied, "because_denied", 2),
            (State::Unjudged, "because_unjudged", 1)
        ]
    );
}

#[tokio::test]
async fn clients_see_their_own_and_scopes_hold() {
    let queue = Queue::new().await;
    let own = queue.take(&creates(&["a"])).await[0].clone();
    let operations = queue.operations();
    let stranger = queue.world.principal(&[Role::Client], &[]).await;
    let elsewhere = queue.world.principal(&[Role::Operator], &["lent"]).await;
    let auditor = queue.world.principal(&[Role::Auditor], &["own"]).await;
    for by in [&stranger, &elsewhere] {
        let hidden = operations.show(by, own.id).await.unwrap_err();
        assert!(matches!(hidden, AppError::NotFound { .. }), "{hidden:?}");
        let hidden = operations.submission(by, own.submission).await.unwrap_err();
        assert!(matches!(hidden, AppError::NotFound { .. }), "{hidden:?}");
        let hidden = operations.life(by, own.id).await.unwrap_err();
        assert!(matches!(hidden, AppError::NotFound { .. }), "{hidden:?}");
        let hidden = operations.cancel(by, own.id, None).await.unwrap_err();
        assert!(matches!(hidden, AppError::NotFound { .. }), "{hidden:?}");
        let page = operations
            .list(by, OperationFilter::default(), None, 10)
            .await
            .unwrap();
        assert!(page.items.is_empty());
    }
    let theirs = OperationFilter {
        owner: Some(queue.client.token.id.clone()),
        ..OperationFilter::default()
    };
    assert!(
        operations
            .list(&stranger, theirs, None, 10)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(operations.show(&auditor, own.id).await.unwrap().id, own.id);
    let refused = operations.cancel(&auditor, own.id, None).await.unwrap_err();
    assert!(matches!(refused, AppError::Forbidden(_)), "{refused:?}");
    let approver = queue.world.principal(&[Role::Author], &[]).await;
    let refused = operations.show(&approver, own.id).await.unwrap_err();
    assert!(matches!(refused, AppError::Forbidden(_)), "{refused:?}");
}

#[tokio::test]
async fn the_whole_life_is_told() {
    let queue = Queue::new().await;
    let on = r#", "depends_on": [{"client_id": "a"}]"#;
    let g = r#", "group": "g""#;
    let text = [
        create("a", r#", "callback": {"url": "https://hooks.example/x"}"#),
        create("b", on),
        create("c", g),
        create("d", g),
    ];
    let all = queue.take(&text.join("\n")).await;
    queue.go(all[0].id, &[State::Deciding, State::Denied]).await;
    let tried = Try {
        at: queue.world.ambient_now(),
        version: 3,
        status: Some(500),
        problem: Some("no".to_owned()),
    };
    let callbacks = queue.operations().callbacks();
    callbacks.note(all[0].id, tried.clone()).await.unwrap();
    let taken = Try {
        status: Some(204),
        problem: None,
        ..tried
    };
    callbacks.note(all[0].id, taken).await.unwrap();
    let life = queue
        .operations()
        .life(&queue.client, all[0].id)
        .await
        .unwrap();
    let states: Vec<State> = life.history.iter().map(|entry| entry.to).collect();
    assert_eq!(states, [State::Received, State::Deciding, State::Denied]);
    assert_eq!(life.dependants, [all[1].id]);
    let tries = life.callback.unwrap();
    assert_eq!((tries.delivered, tries.tries.len()), (Some(3), 2));
    let dependant = queue
        .operations()
        .life(&queue.client, all[1].id)
        .await
        .unwrap();
    assert_eq!(dependant.depends_on, [all[0].id]);
    assert_eq!(dependant.operation.state, State::Cancelled);
    let member = queue
        .operations()
        .life(&queue.client, all[2].id)
        .await
        .unwrap();
    assert_eq!(member.group, [all[3].id]);
}
