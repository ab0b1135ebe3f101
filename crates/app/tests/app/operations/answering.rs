//! Taking back, trying once more, and saying what became of it.

use crmgate_app::AppError;
use crmgate_app::operations::Found;
use crmgate_domain::State;
use crmgate_store::{OperationFilter, OperationLog as _, Role};

use super::{Queue, create, creates};

fn stands(error: &AppError) -> State {
    match error {
        AppError::Stands { state, .. } => *state,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_has_not_begun_to_be_written_can_be_taken_back() {
    let queue = Queue::new().await;
    let all = queue.take(&creates(&["a", "b", "c"])).await;
    let operations = queue.operations();
    let by = &queue.client;
    let taken = operations
        .cancel(by, all[0].id, Some(" changed my mind "))
        .await
        .unwrap();
    assert_eq!(taken.state, State::Cancelled);
    let why = taken.why.unwrap();
    assert_eq!(
        (why.code.as_str(), why.message.as_str()),
        ("cancelled", "changed my mind")
    );
    let last = queue.log.history(all[0].id).await.unwrap().pop().unwrap();
    assert_eq!(&*last.by.0, "token robot");
    let late = operations.cancel(by, all[0].id, None).await.unwrap_err();
    assert_eq!(stands(&late), State::Cancelled);
    assert!(
        late.to_string()
            .contains("is cancelled (cancelled): only one that is received,"),
        "{late}"
    );
    queue
        .go(
            all[1].id,
            &[State::Deciding, State::Permitted, State::Writing],
        )
        .await;
    let late = operations.cancel(by, all[1].id, None).await.unwrap_err();
    assert_eq!(stands(&late), State::Writing);
    let long = operations
        .cancel(by, all[2].id, Some(&"x".repeat(501)))
        .await
        .unwrap_err();
    assert!(
        long.to_string().starts_with("reason: expected at most 500"),
        "{long}"
    );
}

#[tokio::test]
async fn one_of_a_group_takes_the_others_with_it() {
    let queue = Queue::new().await;
    let g = r#", "group": "g""#;
    let all = queue
        .take(&[create("a", g), create("b", g), create("c", "")].join("\n"))
        .await;
    queue
        .operations()
        .cancel(&queue.client, all[1].id, None)
        .await
        .unwrap();
    let states = async || {
        let mut states = Vec::new();
        for one in &all {
            states.push(queue.one(one.id).await.state);
        }
        states
    };
    assert_eq!(
        states().await,
        [State::Cancelled, State::Cancelled, State::Received]
    );
}

#[tokio::test]
async fn what_came_to_nothing_can_be_tried_once_more() {
    let queue = Queue::new().await;
    let all = queue.take(&creates(&["a", "b"])).await;
    let by = &queue.client;
    let early = queue
        .operations()
        .retry(by, all[0].id, false, None)
        .await
        .unwrap_err();
    assert_eq!(stands(&early), State::Received);
    queue.go(all[0].id, &[State::Deciding, State::Denied]).await;
    let again = queue
        .operations()
        .retry(by, all[0].id, false, Some("mended"))
        .await
        .unwrap();
    assert_eq!(
        (again.state, again.why.unwrap().message.as_str()),
        (State::Received, "mended")
    );
    queue
        .go(
            all[1].id,
            &[
                State::Deciding,
                State::Permitted,
                State::Writing,
                State::Uncertain,
            ],
        )
        .await;
    let blind = queue
        .operations()
        .retry(by, all[1].id, false, None)
        .await
        .unwrap_err();
    assert!(blind.to_string().contains("did_not_happen"), "{blind}");
    let client = queue
        .operations()
        .retry(by, all[1].id, true, None)
        .await
        .unwrap_err();
    assert!(matches!(client, AppError::Forbidden(_)), "{client:?}");
    let operator = queue.world.principal(&[Role::Operator], &[]).await;
    let again = queue
        .operations()
        .retry(&operator, all[1].id, true, None)
        .await
        .unwrap();
    assert_eq!(again.state, State::Received);
}

#[tokio::test]
async fn what_is_uncertain_is_resolved_by_people() {
    let queue = Queue::new().await;
    let operator = queue.world.principal(&[Role::Operator], &[]).await;
    let all = queue.take(&creates(&["a", "b", "c"])).await;
    let operations = queue.operations();
    for one in &all {
        let lost = [
            State::Deciding,
            State::Permitted,
            State::Writing,
            State::Uncertain,
        ];
        queue.go(one.id, &lost).await;
    }
    let wrong = operations
        .resolve(&operator, all[0].id, Found::NotWritten, Some("7"), None)
        .await;
    assert_eq!(
        wrong.unwrap_err().to_string(),
        "record_id: goes with `succeeded` alone"
    );
    let ends = [
        (Found::Succeeded, State::Succeeded),
        (Found::NotWritten, State::Received),
        (Found::Cancelled, State::Cancelled),
    ];
    for (one, (found, state)) in all.iter().zip(ends) {
        let record = (found == Found::Succeeded).then_some("r7");
        let now = operations
            .resolve(&operator, one.id, found, record, Some("looked"))
            .await
            .unwrap();
        assert_eq!((now.state, now.record_id.as_deref()), (state, record));
        let late = operations
            .resolve(&operator, one.id, found, record, None)
            .await
            .unwrap_err();
        assert_eq!(stands(&late), state);
    }
}

#[tokio::test]
async fn many_are_answered_at_once() {
    let queue = Queue::new().await;
    let names: Vec<String> = (0..1_200).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let all = queue.take(&creates(&names)).await;
    let submission = all[0].submission;
    queue.go(all[0].id, &[State::Deciding, State::Denied]).await;
    let operations = queue.operations();
    let by = &queue.client;
    let wide = operations
        .cancel_all(by, OperationFilter::default(), None)
        .await
        .unwrap_err();
    assert!(
        wide.to_string()
            .starts_with("filter: expected at least one"),
        "{wide}"
    );
    let filter = OperationFilter {
        submission: Some(submission),
        ..OperationFilter::default()
    };
    let none = OperationFilter {
        states: vec![State::Succeeded],
        ..filter.clone()
    };
    let none = operations.cancel_all(by, none, None).await.unwrap_err();
    assert!(
        none.to_string()
            .starts_with("filter.states: expected some of received"),
        "{none}"
    );
    let stranger = queue.world.principal(&[Role::Client], &[]).await;
    let swept = operations
        .cancel_all(&stranger, filter.clone(), None)
        .await
        .unwrap();
    assert_eq!((swept.moved, swept.missed), (0, 0));
    let swept = operations
        .cancel_all(by, filter.clone(), Some("all of it"))
        .await
        .unwrap();
    assert_eq!((swept.moved, swept.missed, swept.more), (1_199, 0, false));
    let swept = operations.retry_all(by, filter, None).await.unwrap();
    assert_eq!(swept.moved, 1, "only what was denied");
    let state = operations.submission(by, submission).await.unwrap();
    assert_eq!((state.ended, state.submission.count), (1_199, 1_200));
}
