//! What is taken, and that it is taken once.

use std::sync::Arc;

use bytes::Bytes;
use crmgate_app::operations::{BrokenOff, Submit, SubmitError};
use crmgate_domain::{ProcessId, State};
use crmgate_store::{Jobs as _, OperationLog as _, queue_of};
use crmgate_store_sql::{PostgresSettings, PostgresStore};
use crmgate_testkit::{Postgres, TestAmbient};
use futures::StreamExt as _;

use super::{Queue, create, creates, keyed, lines, skipping, whole};

#[tokio::test]
async fn lines_become_operations_in_their_order() {
    let queue = Queue::new().await;
    let text = [
        create("a", r#", "priority": "high", "purpose": "moving in""#),
        r#"{"connection": "lent", "operation": {"kind": "update", "object": "Contact", "id": "7", "record": {"name": "x"}}, "client_id": "b"}"#.to_owned(),
        r#"{"request": {"method": "PATCH", "path": "/records/Contact/7", "body": {"Name": "y"}}, "client_id": "c", "priority": -3}"#.to_owned(),
        r#"{"request": {"method": "PUT", "path": "/records/Contact/by/Key__c/k", "body": {"Name": "y"}}, "client_id": "d", "not_before": "2026-04-01T00:00:00Z", "depends_on": [{"client_id": "a"}]}"#.to_owned(),
        r#"{"operation": {"kind": "delete", "object": "thing", "id": "9"}, "client_id": "e", "group": "g"}"#.to_owned(),
    ]
    .join("\n");
    let all = queue.take(&text).await;
    let seen: Vec<_> = all
        .iter()
        .map(|one| {
            (
                one.client_id.as_deref().unwrap(),
                one.kind.as_str(),
                one.object.as_str(),
                one.record_id.as_deref(),
                one.lane.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("a", "create", "contact", None, None),
            ("b", "update", "contact", Some("7"), Some("lent/7")),
            ("c", "update", "contact", Some("7"), Some("own/7")),
            (
                "d",
                "upsert",
                "contact",
                Some("Key__c=k"),
                Some("own/contact/Key__c=k")
            ),
            ("e", "delete", "thing", Some("9"), Some("own/9")),
        ]
    );
    assert_eq!([all[0].priority, all[2].priority], [10, -3]);
    assert_eq!(all[3].open_dependencies, 1);
    assert_eq!(all[4].group, Some(all[4].id));
    assert!(all.iter().all(|one| one.state == State::Received));
    assert_eq!(all[0].actor.id, queue.client.token.id);
    assert_eq!(all[0].owner, queue.client.token.id);
    let jobs = queue
        .log
        .claim(
            &queue_of(&"own".parse().unwrap()),
            "w",
            10,
            std::time::Duration::from_secs(60),
        )
        .await
        .unwrap();
    let woken: Vec<&str> = jobs
        .iter()
        .map(|job| {
            let one = all.iter().find(|one| one.id.to_string() == job.id);
            one.unwrap().client_id.as_deref().unwrap()
        })
        .collect();
    assert_eq!(
        woken,
        ["a", "e", "c"],
        "all but the one that waits, the most urgent first"
    );
    let form: crmgate_app::operations::form::Form =
        serde_json::from_str(all[2].request.as_deref().unwrap()).unwrap();
    assert_eq!(form.name(), "request");
}

#[tokio::test]
async fn numbers_keep_their_digits_on_the_way() {
    let queue = Queue::new().await;
    let record = r#"{"operation": {"kind": "create", "object": "contact", "record": {"size": 12345678901234567890.10, "z": 1, "a": 2}}}"#;
    let all = queue.take(record).await;
    let request = all[0].request.as_deref().unwrap();
    assert!(
        request.contains(r#"{"size":12345678901234567890.10,"z":1,"a":2}"#),
        "{request}"
    );
}

#[tokio::test]
async fn a_single_one_is_told_by_its_id() {
    let queue = Queue::new().await;
    let single = Submit {
        single: true,
        ..lines()
    };
    let pretty = create("a", "").replace(", ", ",\n  ");
    let first = queue.send(single.clone(), &pretty).await.unwrap();
    assert_eq!((first.accepted, first.repeated), (1, 0));
    let again = queue.send(single, &pretty).await.unwrap();
    assert_eq!((again.accepted, again.repeated), (0, 1));
    assert_eq!(first.operation, again.operation);
    let shown = queue
        .operations()
        .show(&queue.client, first.operation.unwrap())
        .await
        .unwrap();
    assert_eq!(shown.state, State::Received);
}

#[tokio::test]
async fn a_key_makes_a_request_one() {
    let queue = Queue::new().await;
    let first = queue
        .send(keyed("k1"), &creates(&["a", "b"]))
        .await
        .unwrap();
    assert!(!first.replayed);
    // Cut otherwise, it is the same.
    let text = creates(&["a", "b"]);
    let (head, tail) = text.split_at(17);
    let pieces = [head, tail].map(|part| Ok(Bytes::copy_from_slice(part.as_bytes())));
    let body = Box::pin(futures::stream::iter(pieces));
    let again = queue
        .operations()
        .submit(&queue.client, keyed("k1"), body)
        .await
        .unwrap();
    assert!(again.replayed);
    assert_eq!((again.submission, again.accepted), (first.submission, 2));
    for (how, text) in [
        (keyed("k1"), creates(&["a"])),
        (keyed("k1"), creates(&["a", "b", "c"])),
        (
            Submit {
                key: Some("k1".to_owned()),
                ..skipping()
            },
            creates(&["a", "b"]),
        ),
    ] {
        let other = queue.send(how, &text).await;
        assert!(
            matches!(other, Err(SubmitError::KeyReused(id)) if id == first.submission),
            "{other:?}"
        );
    }
    assert_eq!(queue.all().await.len(), 2);
    // Another owner's key is another key.
    let other = queue
        .world
        .principal(&[crmgate_store::Role::Client], &[])
        .await;
    let taken = queue
        .operations()
        .submit(&other, keyed("k1"), whole(&creates(&["x"])))
        .await;
    assert_eq!(taken.unwrap().accepted, 1);
}

#[tokio::test]
async fn a_key_under_way_is_told_and_free_again_after_a_failure() {
    let queue = Queue::new().await;
    let (feed, body) = futures::channel::mpsc::unbounded::<Result<Bytes, BrokenOff>>();
    let operations = Arc::clone(queue.operations());
    let by = queue.client.clone();
    let first =
        tokio::spawn(async move { operations.submit(&by, keyed("k"), Box::pin(body)).await });
    let names: Vec<String> = (0..500).map(|n| format!("n{n}")).collect();
    let text = creates(&names.iter().map(String::as_str).collect::<Vec<_>>()) + "\n";
    feed.unbounded_send(Ok(Bytes::from(text))).unwrap();
    let filter = crmgate_store::OperationFilter::default();
    while queue.log.tally(&filter).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let empty = futures::stream::pending().boxed();
    let operations = queue.operations();
    let second = operations.submit(&queue.client, keyed("k"), empty).await;
    assert!(
        matches!(second, Err(SubmitError::UnderWay(_))),
        "{second:?}"
    );
    feed.unbounded_send(Err(BrokenOff("reset".to_owned())))
        .unwrap();
    let broken = first.await.unwrap();
    assert!(
        matches!(broken, Err(SubmitError::BrokenOff(_))),
        "{broken:?}"
    );
    assert!(queue.all().await.is_empty());
    let third = queue.send(keyed("k"), &creates(&["a"])).await.unwrap();
    assert_eq!((third.accepted, third.replayed), (1, false));
}

/// The store is lost while a body comes in: what was begun cannot be dropped at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_free_again_once_the_store_is_back() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    let ambient = Arc::new(TestAmbient::default());
    let settings = PostgresSettings {
        url: address.clone().into(),
        connections: 4,
    };
    let process = ProcessId::fresh(ambient.as_ref());
    let log = PostgresStore::open(&settings, process, Arc::clone(&ambient) as _).await;
    let log = Arc::new(log.unwrap());
    let world = super::world(&ambient, super::parts(&log)).await;
    let by = world.principal(&[crmgate_store::Role::Client], &[]).await;
    let operations = world.app.operations().unwrap();
    let run = |statement: &str| assert_eq!(server.run(&address, statement), "");

    let (feed, body) = futures::channel::mpsc::unbounded::<Result<Bytes, BrokenOff>>();
    let first = {
        let (operations, by) = (Arc::clone(operations), by.clone());
        tokio::spawn(async move { operations.submit(&by, keyed("k"), Box::pin(body)).await })
    };
    let begun = "SELECT count(*) FROM submissions";
    while server.run(&address, begun) != "1" {
        tokio::task::yield_now().await;
    }
    run("ALTER TABLE submissions RENAME TO away");
    feed.unbounded_send(Err(BrokenOff("reset".to_owned())))
        .unwrap();
    let broken = first.await.unwrap();
    assert!(
        matches!(broken, Err(SubmitError::BrokenOff(_))),
        "{broken:?}"
    );
    run("ALTER TABLE away RENAME TO submissions");
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let body = whole(&creates(&["a"]));
        match operations.submit(&by, keyed("k"), body).await {
            Ok(taken) => break assert_eq!((taken.accepted, taken.replayed), (1, false)),
            Err(SubmitError::UnderWay(_)) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            Err(error) => panic!("the key is not free: {error}"),
        }
    }
}

#[tokio::test]
async fn ids_of_the_submitters_own_are_used_once() {
    let queue = Queue::new().await;
    queue.send(lines(), &creates(&["a", "b"])).await.unwrap();
    let again = queue
        .send(lines(), &creates(&["b", "c", "c"]))
        .await
        .unwrap();
    assert_eq!((again.accepted, again.repeated), (1, 2));
    assert_eq!(queue.all().await.len(), 3);
    let changed = create("a", r#", "priority": 5"#);
    let refused = queue
        .send(lines(), &format!("{}\n{changed}", create("d", "")))
        .await;
    let Err(SubmitError::Refused {
        errors, refused, ..
    }) = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(
        (refused, errors[0].line, errors[0].code.as_ref()),
        (1, 2, "client_id_reused")
    );
    assert_eq!(errors[0].client_id.as_deref(), Some("a"));
    assert_eq!(queue.all().await.len(), 3, "nothing of it was taken");
    let skipped = queue
        .send(skipping(), &format!("{}\n{changed}", create("d", "")))
        .await
        .unwrap();
    assert_eq!((skipped.accepted, skipped.refused), (1, 1));
}

#[tokio::test]
async fn many_lines_are_taken_chunk_by_chunk() {
    let queue = Queue::new().await;
    let names: Vec<String> = (0..3_000).map(|n| format!("n{n}")).collect();
    let text = creates(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let pieces: Vec<Result<Bytes, BrokenOff>> = text
        .as_bytes()
        .chunks(1021)
        .map(|part| Ok(Bytes::copy_from_slice(part)))
        .collect();
    let body = Box::pin(futures::stream::iter(pieces));
    let taken = queue
        .operations()
        .submit(&queue.client, lines(), body)
        .await
        .unwrap();
    assert_eq!(taken.accepted, 3_000);
    let state = queue
        .operations()
        .submission(&queue.client, taken.submission)
        .await
        .unwrap();
    assert_eq!(
        state.tally.iter().map(|entry| entry.count).sum::<u64>(),
        3_000
    );
    assert!(
        state
            .tally
            .iter()
            .all(|entry| entry.state == State::Received),
        "{state:?}"
    );
    assert!(!state.settled);
}

#[tokio::test]
async fn what_is_staged_is_seen_by_nobody() {
    let queue = Queue::new().await;
    let (feed, body) = futures::channel::mpsc::unbounded::<Result<Bytes, BrokenOff>>();
    let operations = Arc::clone(queue.operations());
    let by = queue.client.clone();
    let taking = tokio::spawn(async move { operations.submit(&by, lines(), Box::pin(body)).await });
    let names: Vec<String> = (0..500).map(|n| format!("n{n}")).collect();
    let text = creates(&names.iter().map(String::as_str).collect::<Vec<_>>()) + "\n";
    feed.unbounded_send(Ok(Bytes::from(text))).unwrap();
    let staged = loop {
        let tally = queue
            .log
            .tally(&crmgate_store::OperationFilter::default())
            .await
            .unwrap();
        if let Some(entry) = tally.first() {
            break entry.clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((staged.state, staged.count), (State::Staged, 500));
    let page = queue
        .operations()
        .list(
            &queue.client,
            crmgate_store::OperationFilter::default(),
            None,
            10,
        )
        .await
        .unwrap();
    assert!(page.items.is_empty());
    drop(feed);
    assert_eq!(taking.await.unwrap().unwrap().accepted, 500);
}

#[tokio::test]
async fn dependencies_may_stand_later_or_in_another_submission() {
    let queue = Queue::new().await;
    let first = queue.take(&create("base", "")).await[0].clone();
    let on = format!(
        r#", "depends_on": [{{"id": "{}"}}, {{"client_id": "later"}}]"#,
        first.id
    );
    let all = queue
        .take(&format!("{}\n{}", create("top", &on), create("later", "")))
        .await;
    assert_eq!(all[0].open_dependencies, 2);
    let (on, _) = queue.log.related(all[0].id).await.unwrap();
    assert_eq!(on.len(), 2);
}
