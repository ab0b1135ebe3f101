use crmgate_store::suite::{Lives, Ticking};
use crmgate_store_sql::{Settings, SqliteStore};

use super::*;
use crate::config::load_text;

/// A gate with these settings, over a store of its own, and a worker of that store.
async fn room(settings: &str) -> (Room, Lives<SqliteStore>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("crmgate.toml");
    let loaded = load_text(Some((&file, settings)), dir.path(), &[]).unwrap();
    let ambient = Arc::new(Ticking::default());
    let shared = Arc::clone(&ambient) as _;
    let data_dir = &loaded.config.data_dir;
    let store = SqliteStore::open(data_dir, &Settings::default(), shared).await;
    let store = Arc::new(store.unwrap());
    let room = Room::new(&loaded.config, Arc::clone(&store) as _);
    (room, Lives::new(store, ambient), dir)
}

async fn pushed_back(room: &Room, connection: Option<&str>) -> Option<Pushback> {
    let connection = connection.map(|name| name.parse().unwrap());
    room.check(connection.as_ref()).await.err()
}

#[test]
fn the_disk_tells_what_it_has_left() {
    let dir = tempfile::tempdir().unwrap();
    assert!(free(dir.path()).is_some_and(|free| free > 0));
    assert_eq!(free(&dir.path().join("absent")), None);
}

#[tokio::test]
async fn a_queue_takes_so_many_and_more_when_some_have_ended() {
    let settings = "[storage]\nmin_free = 1\n[queue]\nmost = 3\nmost_per_connection = 2\n";
    let (room, lives, _dir) = room(settings).await;
    let ids = lives.submit("acme", 2).await;
    // What it saw last holds.
    assert_eq!(pushed_back(&room, Some("acme")).await, None);
    room.look().await;
    let full = pushed_back(&room, Some("acme")).await.unwrap();
    assert!(full.busy, "429 and not 503");
    assert_eq!((full.code, full.retry_after), ("queue_full", FULL));
    assert!(full.message.contains("`acme`"), "{}", full.message);
    assert!(
        full.message.contains("queue.most_per_connection"),
        "{}",
        full.message
    );
    assert_eq!(pushed_back(&room, Some("other")).await, None);
    assert_eq!(pushed_back(&room, None).await, None);

    lives.submit("other", 1).await;
    room.look().await;
    for connection in [None, Some("other"), Some("third")] {
        let full = pushed_back(&room, connection).await.unwrap();
        assert!(full.message.contains("`queue.most`"), "{}", full.message);
    }

    // One that a worker has waits no less.
    let taken = lives.begin(ids[0]).await;
    room.look().await;
    assert!(pushed_back(&room, Some("acme")).await.is_some());
    let taken = lives.permit(taken).await;
    let taken = lives.write(taken).await;
    lives.end(taken).await;
    room.look().await;
    assert_eq!(pushed_back(&room, Some("acme")).await, None);
    assert_eq!(pushed_back(&room, None).await, None);
}

#[tokio::test]
async fn a_disk_that_is_almost_full_takes_none() {
    let (room, _lives, dir) = room("[storage]\nmin_free = \"1000000000 GiB\"\n").await;
    room.look().await;
    let full = pushed_back(&room, None).await.unwrap();
    assert!(!full.busy, "503 and not 429");
    assert_eq!((full.code, full.retry_after), ("disk_full", UNABLE));
    assert!(
        full.message.contains("`storage.min_free`"),
        "{}",
        full.message
    );
    let named = dir.path().display().to_string();
    assert!(full.message.contains(&named), "{}", full.message);
    let told = Arc::new(room).looker()();
    let degraded = told.iter().find(|check| check.name == "disk").unwrap();
    assert_eq!(degraded.state, Condition::Degraded);
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_takes_none() {
    let (room, lives, _dir) = room("").await;
    room.look().await;
    assert_eq!(pushed_back(&room, None).await, None);
    lives.store().close().await;
    room.look().await;
    let lost = pushed_back(&room, None).await.unwrap();
    assert!(!lost.busy);
    assert_eq!(lost.code, "store_unavailable");
}
