use std::path::Path;

use crmgate_domain::{OperationId, ProcessId, State};
use crmgate_store::suite::{Lives, Ticking, full_record};
use crmgate_store::{Begun, DecisionLog as _, RowLease};
use crmgate_store_sql::{Settings, SqliteStore};

use super::*;

#[tokio::test]
async fn a_mark_is_kept_in_a_file_and_a_cut_one_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::of_folder(dir.path());
    assert_eq!(keeper.read().await.unwrap(), None);
    let mark = Mark {
        position: 7,
        hash: Digest([3; 32]),
    };
    keeper.write(mark).await.unwrap();
    assert_eq!(keeper.read().await.unwrap(), Some(mark));
    std::fs::write(dir.path().join(NAME), "{\"posi").unwrap();
    assert_eq!(keeper.read().await.unwrap(), None);
}

/// A gate's data folder, and a backup of its database.
struct Site {
    data: tempfile::TempDir,
    backup: tempfile::TempDir,
    lives: u64,
}

/// One life of a process on it.
struct Life {
    store: Arc<SqliteStore>,
    ambient: Arc<Ticking>,
    mark: Watermark,
}

impl Site {
    fn new() -> Self {
        Self {
            data: tempfile::tempdir().unwrap(),
            backup: tempfile::tempdir().unwrap(),
            lives: 0,
        }
    }

    async fn start(&mut self) -> Life {
        self.lives += 1;
        let ambient = Arc::new(Ticking::after(self.lives << 32));
        let shared = Arc::clone(&ambient) as _;
        let dir = self.data.path();
        let store = SqliteStore::open(dir, &Settings::default(), shared).await;
        let store = Arc::new(store.unwrap());
        let mark = Watermark::new(Keeper::of_folder(dir), Arc::clone(&store) as _);
        Life {
            store,
            ambient,
            mark,
        }
    }

    fn back_up(&self) {
        copy(self.data.path(), self.backup.path());
    }

    /// What lies beside the database stays as it is.
    fn put_back(&self) {
        for entry in std::fs::read_dir(self.data.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().is_some_and(|name| name != NAME) && path.is_file() {
                std::fs::remove_file(path).unwrap();
            }
        }
        copy(self.backup.path(), self.data.path());
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != NAME && entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

impl Life {
    async fn submit(&self) -> OperationId {
        let lives = Lives::new(Arc::clone(&self.store), Arc::clone(&self.ambient) as _);
        lives.submit("acme", 1).await.remove(0)
    }

    async fn decide(&self, many: usize) {
        for _ in 0..many {
            let record = full_record(self.ambient.as_ref());
            self.store.append_decision(record).await.unwrap();
        }
    }

    async fn check(&self) {
        let ambient = self.ambient.as_ref();
        self.mark.check(self.store.as_ref(), ambient).await.unwrap();
    }

    async fn restored(&self, id: OperationId) -> bool {
        let found = self.store.operation(id).await.unwrap();
        found.unwrap().restored
    }

    /// The end of a process: what it noted last stays.
    async fn end(self) {
        self.mark.note().await.unwrap();
        self.store.close().await;
    }
}

#[tokio::test]
async fn a_restart_marks_nothing() {
    let mut site = Site::new();
    let life = site.start().await;
    life.check().await;
    let id = life.submit().await;
    life.decide(3).await;
    life.end().await;
    let life = site.start().await;
    life.check().await;
    assert!(!life.restored(id).await);
    life.store.close().await;
}

#[tokio::test]
async fn after_a_backup_was_put_back_open_operations_are_found_out_about_first() {
    let mut site = Site::new();
    let life = site.start().await;
    life.check().await;
    let id = life.submit().await;
    life.decide(3).await;
    life.end().await;
    site.back_up();
    let life = site.start().await;
    life.check().await;
    life.decide(2).await;
    life.end().await;

    site.put_back();
    let life = site.start().await;
    life.check().await;
    assert!(life.restored(id).await);
    // Nobody may judge and write it as if it were new.
    let at = life.ambient.now();
    let lease = RowLease {
        owner: ProcessId::fresh(life.ambient.as_ref()),
        until: at + Duration::from_secs(60),
    };
    let by = By("worker w".into());
    let begun = life.store.begin(id, &by, lease, at).await.unwrap();
    let Begun::Settle(taken) = begun else {
        panic!("not {begun:?}");
    };
    assert_eq!(taken[0].state, State::Received);
    life.end().await;

    // It is told once: what was found out meanwhile stays found out.
    let life = site.start().await;
    life.check().await;
    let new = life.submit().await;
    assert!(!life.restored(new).await);
    life.store.close().await;
}

#[tokio::test]
async fn a_backup_that_has_grown_past_the_mark_is_seen_by_what_stands_there() {
    let mut site = Site::new();
    let life = site.start().await;
    life.check().await;
    let id = life.submit().await;
    life.decide(1).await;
    life.end().await;
    site.back_up();
    let life = site.start().await;
    life.decide(1).await;
    life.end().await;
    site.put_back();
    // Somebody used it before it was looked at: it is longer than the mark by now.
    let life = site.start().await;
    life.decide(9).await;
    life.check().await;
    assert!(life.restored(id).await);
    life.store.close().await;
}
