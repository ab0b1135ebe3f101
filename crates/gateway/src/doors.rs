//! Which connection a client asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crmgate_app::{App, Connection};
use crmgate_connector::{Class, NativeRequest, NativeResponse, Refusal, RequestHead};
use crmgate_domain::{ConnectionName, Mode};
use crmgate_enforce::Answer;
use futures::future::BoxFuture;
use metrics::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::observe::Meters;

/// What stands behind a door: a connection, and whoever answers for it.
pub trait Behind: Send + Sync {
    /// The connection's name.
    fn name(&self) -> &ConnectionName;

    /// Whether verdicts are carried out.
    fn mode(&self) -> Mode;

    /// A name for a request whose caller gave it none.
    fn request_id(&self) -> String;

    /// When callers are told to come back, where nothing better is known.
    fn retry_after(&self) -> Duration;

    /// Which door of the CRM's a request knocks at.
    fn classify(&self, head: &RequestHead) -> Class;

    /// Answers a request; its body is as [`App::serve`] says.
    fn serve(&self, class: Class, request: NativeRequest) -> BoxFuture<'_, Answer>;

    /// Makes an answer of a refusal that the gateway itself found.
    fn refuse(&self, head: &RequestHead, refusal: Refusal) -> Answer;

    /// Puts a refusal into the CRM's shape.
    fn render(&self, head: &RequestHead, refusal: &Refusal) -> NativeResponse;
}

struct Served {
    app: Arc<App>,
    connection: Arc<Connection>,
}

impl Behind for Served {
    fn name(&self) -> &ConnectionName {
        self.connection.name()
    }

    fn mode(&self) -> Mode {
        self.connection.mode()
    }

    fn request_id(&self) -> String {
        self.app.fresh_id()
    }

    fn retry_after(&self) -> Duration {
        self.connection.gate().settings().retry_after
    }

    fn classify(&self, head: &RequestHead) -> Class {
        self.connection.classify(head)
    }

    fn serve(&self, class: Class, request: NativeRequest) -> BoxFuture<'_, Answer> {
        Box::pin(self.app.serve(&self.connection, class, request))
    }

    fn refuse(&self, head: &RequestHead, refusal: Refusal) -> Answer {
        self.app.refuse(&self.connection, head, refusal)
    }

    fn render(&self, head: &RequestHead, refusal: &Refusal) -> NativeResponse {
        self.connection.connector().render(head, refusal)
    }
}

/// A connection as its clients reach it.
#[derive(Clone)]
pub struct Door {
    pub(crate) behind: Arc<dyn Behind>,
    pub(crate) public_url: Option<Url>,
    slots: Arc<Semaphore>,
    pub(crate) meters: Arc<Meters>,
}

/// How many requests may be under way at one connection, where nothing else is said.
const CONCURRENCY: usize = 4096;

/// A place among the requests under way; held until the last byte of the answer has left.
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
    under_way: Gauge,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.under_way.decrement(1);
    }
}

impl Door {
    /// A door to a connection of the application.
    #[must_use]
    pub fn new(app: &Arc<App>, connection: &Arc<Connection>) -> Self {
        Self::to(Arc::new(Served {
            app: Arc::clone(app),
            connection: Arc::clone(connection),
        }))
    }

    /// A door to anything.
    #[must_use]
    pub fn to(behind: Arc<dyn Behind>) -> Self {
        Self {
            meters: Arc::new(Meters::new(behind.name())),
            behind,
            public_url: None,
            slots: Arc::new(Semaphore::new(CONCURRENCY)),
        }
    }

    /// How many requests may be under way at this connection, whatever goes on at others; more are
    /// told to come back.
    #[must_use]
    pub fn with_concurrency(mut self, most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        self.slots = Arc::new(Semaphore::new(most));
        self
    }

    /// A place for one more request, if there is one.
    pub(crate) fn enter(&self) -> Option<Slot> {
        let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() else {
            self.meters.turned_away.increment(1);
            return None;
        };
        let under_way = self.meters.under_way.clone();
        under_way.increment(1);
        Some(Slot {
            _permit: permit,
            under_way,
        })
    }

    /// The gate's address as clients see it, where it can't be told from their requests.
    #[must_use]
    pub fn with_public_url(mut self, url: Option<Url>) -> Self {
        self.public_url = url;
        self
    }
}

/// The connections behind one listener.
#[derive(Clone, Default)]
pub struct Doors {
    by_host: BTreeMap<String, Arc<Door>>,
    only: Option<Arc<Door>>,
}

impl Doors {
    /// A listener of one connection's own: whatever host a client asks for.
    #[must_use]
    pub fn only(door: Door) -> Self {
        Self {
            by_host: BTreeMap::new(),
            only: Some(Arc::new(door)),
        }
    }

    /// Adds a connection that is reached by a host name.
    #[must_use]
    pub fn with_host(mut self, host: &str, door: Door) -> Self {
        self.by_host.insert(fold(host), Arc::new(door));
        self
    }

    /// The connection for that host, which is without a port.
    pub(crate) fn find(&self, host: Option<&str>) -> Option<&Arc<Door>> {
        let named = host.and_then(|host| {
            // Most clients write it as the configuration does.
            self.by_host
                .get(host)
                .or_else(|| self.by_host.get(&fold(host)))
        });
        named.or(self.only.as_ref())
    }
}

fn fold(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}
