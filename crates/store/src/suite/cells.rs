//! What cells must do.

use std::time::Duration;

use super::Clock;
use crate::{Cell, Cells, Swapped};

async fn swap<C: Cells>(cells: &C, seen: Option<u64>, body: &str) -> Swapped {
    cells
        .swap("bucket", seen, body.to_owned(), None)
        .await
        .unwrap()
}

fn version(swapped: &Swapped) -> u64 {
    match swapped {
        Swapped::Done(version) => *version,
        Swapped::Lost(held) => unreachable!("it should have changed; it holds {held:?}"),
    }
}

pub(super) async fn they_change_only_from_what_was_seen<C: Cells>(cells: &C) {
    assert_eq!(cells.cell("bucket").await.unwrap(), None);
    assert_eq!(swap(cells, Some(1), "x").await, Swapped::Lost(None));
    let first = version(&swap(cells, None, "one").await);
    let held = |version, body: &str| Cell {
        version,
        body: body.to_owned(),
    };
    assert_eq!(
        cells.cell("bucket").await.unwrap(),
        Some(held(first, "one"))
    );
    assert_eq!(
        swap(cells, None, "x").await,
        Swapped::Lost(Some(held(first, "one")))
    );
    let second = version(&swap(cells, Some(first), "two").await);
    assert!(second > first);
    let lost = swap(cells, Some(first), "x").await;
    assert_eq!(lost, Swapped::Lost(Some(held(second, "two"))));
    assert_eq!(
        cells.cell("bucket").await.unwrap(),
        Some(held(second, "two"))
    );
    assert_eq!(cells.cell("other").await.unwrap(), None);
}

pub(super) async fn they_are_forgotten_in_time<C: Cells>(cells: &C, clock: &impl Clock) {
    let keep = Some(Duration::from_millis(400));
    let put = async |seen, keep| {
        let swapped = cells.swap("breaker", seen, "open".to_owned(), keep).await;
        version(&swapped.unwrap())
    };
    let first = put(None, keep).await;
    clock.pass(Duration::from_millis(250)).await;
    let second = put(Some(first), keep).await;
    clock.pass(Duration::from_millis(250)).await;
    let held = cells.cell("breaker").await.unwrap();
    assert_eq!(
        held.map(|cell| cell.version),
        Some(second),
        "a change keeps it"
    );
    clock.pass(Duration::from_millis(250)).await;
    assert_eq!(cells.cell("breaker").await.unwrap(), None);
    let late = cells.swap("breaker", Some(second), "closed".to_owned(), keep);
    assert_eq!(late.await.unwrap(), Swapped::Lost(None));
    let third = put(None, keep).await;
    assert!(third > second, "versions do not come again");
    let kept = put(Some(third), None).await;
    clock.pass(Duration::from_millis(600)).await;
    let held = cells.cell("breaker").await.unwrap();
    assert_eq!(held.map(|cell| cell.version), Some(kept), "for good");
}
