//! Queued operations, on a real store.

mod answering;
mod looking;
mod refusing;
mod submitting;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use crmgate_app::operations::callbacks::HostPattern;
use crmgate_app::operations::{
    BrokenOff, CallbackSettings, Incoming, Limits, OnError, Pressure, Pushback, Submit,
    SubmitError, Submitted,
};
use crmgate_app::{IdentitySettings, OperationParts, Operations, Principal};
use crmgate_domain::{ConnectionName, Mode, OperationId, State};
use crmgate_store::{
    By, Cells, Jobs, Move, Moved, OperationFilter, OperationLog, Role, StoredOperation, Why,
};
use crmgate_store_sql::{Settings, SqliteStore};
use crmgate_testkit::TestAmbient;

use crate::world::World;

/// Pushes back from its nth question on.
#[derive(Default)]
struct Full(Mutex<Option<u32>>);

#[async_trait]
impl Pressure for Full {
    async fn check(&self, _: Option<&ConnectionName>) -> Result<(), Pushback> {
        let mut left = self.0.lock().unwrap();
        match left.as_mut() {
            None => Ok(()),
            Some(0) => Err(Pushback {
                busy: true,
                code: "queue_full",
                message: "too much is waiting".to_owned(),
                retry_after: Duration::from_secs(7),
            }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

struct Queue {
    world: World,
    log: Arc<SqliteStore>,
    full: Arc<Full>,
    client: Principal,
    _dir: tempfile::TempDir,
}

impl Queue {
    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ambient = Arc::new(TestAmbient::default());
        let settings = Settings::default();
        let log = SqliteStore::open(dir.path(), &settings, Arc::clone(&ambient) as _).await;
        let log = Arc::new(log.unwrap());
        let full = Arc::new(Full::default());
        let parts = OperationParts {
            pressure: Arc::clone(&full) as _,
            limits,
            ..parts(&log)
        };
        let world = world(&ambient, parts).await;
        let client = world.principal(&[Role::Client], &[]).await;
        Self {
            world,
            log,
            full,
            client,
            _dir: dir,
        }
    }

    fn operations(&self) -> &Arc<Operations> {
        self.world.app.operations().unwrap()
    }

    async fn send(&self, how: Submit, text: &str) -> Result<Submitted, SubmitError> {
        let body = whole(text);
        self.operations().submit(&self.client, how, body).await
    }

    /// All that is queued, oldest first.
    async fn all(&self) -> Vec<StoredOperation> {
        let filter = OperationFilter::default();
        let page = self.log.operations(&filter, None, 500).await.unwrap();
        let mut all = page.items;
        all.reverse();
        all
    }

    /// Takes one lines of text in: its operations.
    async fn take(&self, text: &str) -> Vec<StoredOperation> {
        let submitted = self.send(lines(), text).await.unwrap();
        while self
            .log
            .unfold(self.world.ambient_now(), 100)
            .await
            .unwrap()
            .more
        {}
        let all = self.all().await.into_iter();
        all.filter(|one| one.submission == submitted.submission)
            .collect()
    }

    async fn one(&self, id: OperationId) -> StoredOperation {
        self.log.operation(id).await.unwrap().unwrap()
    }

    /// Moves an operation along these states, as a worker does.
    async fn go(&self, id: OperationId, states: &[State]) {
        for to in states {
            let now = self.one(id).await;
            let by = By("worker w".into());
            let mut change = Move::new(&now, *to, self.world.ambient_now(), by);
            change.why = Some(Why {
                code: format!("because_{to}"),
                message: "as the test says".to_owned(),
            });
            let moved = self.log.shift(vec![change]).await.unwrap();
            assert!(matches!(moved[..], [Moved::Done(_)]), "{to}: {moved:?}");
        }
    }
}

/// What queued operations need, all of it in one store.
fn parts<S: OperationLog + Jobs + Cells + 'static>(log: &Arc<S>) -> OperationParts {
    OperationParts {
        log: Arc::clone(log) as _,
        jobs: Arc::clone(log) as _,
        cells: Some(Arc::clone(log) as _),
        pressure: Arc::new(Full::default()),
        limits: Limits::default(),
        callbacks: CallbackSettings {
            hosts: vec![HostPattern::Exact("hooks.example".to_owned())],
            ..CallbackSettings::default()
        },
    }
}

async fn world(ambient: &Arc<TestAmbient>, parts: OperationParts) -> World {
    let identities = IdentitySettings::default();
    World::queued(Mode::Enforce, identities, Arc::clone(ambient), Some(parts)).await
}

fn whole(text: &str) -> Incoming {
    let text = Bytes::copy_from_slice(text.as_bytes());
    Box::pin(futures::stream::iter([Ok::<_, BrokenOff>(text)]))
}

/// One operation a line.
fn lines() -> Submit {
    Submit {
        connection: Some("own".parse().unwrap()),
        ..Submit::default()
    }
}

fn skipping() -> Submit {
    Submit {
        on_error: OnError::Skip,
        ..lines()
    }
}

fn keyed(key: &str) -> Submit {
    Submit {
        key: Some(key.to_owned()),
        ..lines()
    }
}

/// A create, with more members.
fn create(name: &str, more: &str) -> String {
    format!(
        r#"{{"operation": {{"kind": "create", "object": "contact", "record": {{"name": "{name}"}}}}, "client_id": "{name}"{more}}}"#
    )
}

fn creates(names: &[&str]) -> String {
    let all: Vec<String> = names.iter().map(|name| create(name, "")).collect();
    all.join("\n")
}
