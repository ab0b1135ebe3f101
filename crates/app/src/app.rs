//! Everything the faces call.

use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{Class, NativeRequest};
use crmgate_domain::{Ambient, ProcessId};
use crmgate_enforce::{Answer, Sweeper};
use crmgate_store::{ProcessKind, Processes, Store};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{
    AppError, Approvals, Connection, ConnectionParts, Connections, Decisions, Health, Holds,
    Identities, Leading, OperationParts, Operations, Policies, Presence, Record, RecordParts,
    Sightings, Tokens, meters,
};

/// How often unfinished writes are looked up.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
/// How often sightings are written down.
const FLUSH_EVERY: Duration = Duration::from_secs(10);
/// How often the CRMs are asked who we are.
const PROBE_EVERY: Duration = Duration::from_secs(60);

/// What the application is made of.
pub struct AppParts {
    /// The memory.
    pub store: Arc<dyn Store>,
    /// Time and randomness.
    pub ambient: Arc<dyn Ambient>,
    /// The policies, started.
    pub policies: Policies,
    /// The configured connections.
    pub connections: Vec<ConnectionParts>,
    /// How the record is looked after.
    pub record: RecordParts,
    /// The queue of operations, where there is one.
    pub operations: Option<OperationParts>,
    /// The processes that share the store, and which of them this is.
    pub processes: Option<ProcessParts>,
    /// Whether this process does the work that one does for all.
    pub leading: Leading,
}

/// What is known of the processes that share a store.
pub struct ProcessParts {
    /// Where they say that they live.
    pub store: Arc<dyn Processes>,
    /// This one.
    pub id: ProcessId,
    /// What it does.
    pub kind: ProcessKind,
    /// The machine's name.
    pub host: String,
}

/// The use cases, bundled. Share it in an [`Arc`].
pub struct App {
    connections: Arc<Connections>,
    identities: Identities,
    tokens: Arc<Tokens>,
    decisions: Decisions,
    holds: Holds,
    approvals: Approvals,
    record: Arc<Record>,
    policies: Arc<Policies>,
    health: Health,
    sightings: Arc<Sightings>,
    sweeper: Sweeper,
    operations: Option<Arc<Operations>>,
    presence: Option<Arc<Presence>>,
    leading: Leading,
    ambient: Arc<dyn Ambient>,
    winding_down: CancellationToken,
}

impl App {
    /// Puts the parts together. Nothing runs yet: see [`Self::run`].
    #[must_use]
    pub fn new(parts: AppParts) -> Self {
        let AppParts {
            store,
            ambient,
            policies,
            connections,
            record,
            operations,
            processes,
            leading,
        } = parts;
        meters::describe();
        let policies = Arc::new(policies);
        let sightings = Arc::new(Sightings::new(Arc::clone(&store), Arc::clone(&ambient)));
        let tokens = Arc::new(Tokens::new(Arc::clone(&store), Arc::clone(&ambient)));
        let connections = Connections::new(connections, &store, &ambient, &policies, &sightings);
        let connections = Arc::new(connections);
        let record = Record::new(Arc::clone(&store), Arc::clone(&ambient), record);
        let record = Arc::new(record);
        let presence = processes.map(|of| {
            let own = (of.id, of.kind, of.host);
            let (clock, policies) = (Arc::clone(&ambient), Arc::clone(&policies));
            Arc::new(Presence::new(of.store, clock, policies, own))
        });
        let health = Health::new(
            Arc::clone(&store),
            Arc::clone(&ambient),
            Arc::clone(&policies),
            Arc::clone(&connections),
            Arc::clone(&record),
        );
        if let Some(presence) = &presence {
            let presence = Arc::clone(presence);
            health.look_at(Box::new(move || vec![presence.check()]));
        }
        let winding_down = CancellationToken::new();
        let operations = operations.map(|parts| {
            let (store, ambient) = (Arc::clone(&store), Arc::clone(&ambient));
            let connections = Arc::clone(&connections);
            let winding_down = winding_down.clone();
            Arc::new(Operations::new(
                parts,
                store,
                connections,
                ambient,
                winding_down,
            ))
        });
        Self {
            health,
            presence,
            leading,
            identities: Identities::new(Arc::clone(&tokens)),
            decisions: Decisions::new(Arc::clone(&store)),
            approvals: Approvals::new(
                Arc::clone(&store),
                Arc::clone(&connections),
                operations.as_ref().map(|all| Arc::clone(all.log())),
                Arc::clone(&ambient),
                winding_down.clone(),
            ),
            holds: Holds::new(Arc::clone(&store), Arc::clone(&ambient)),
            record: Arc::clone(&record),
            sweeper: Sweeper::new(
                Arc::clone(&store),
                connections.iter().map(|c| Arc::clone(c.gate())),
            ),
            connections,
            tokens,
            policies,
            sightings,
            operations,
            ambient,
            winding_down,
        }
    }

    /// Answers a request at a connection's gateway.
    ///
    /// `class` is what [`Connection::classify`] said of the request's head; it is asked first
    /// because it tells how to read the body: whole, decoded and within the limit for
    /// [`Class::Write`] and [`Class::SignIn`], flowing for everything else. A write whose body is
    /// over the limit is refused as `TooLarge` by the gateway when the connection enforces; when
    /// it observes, hand it in as [`Class::Unknown`] with a flowing body.
    ///
    /// Dropping the future does not undo or stop what was decided.
    pub async fn serve(
        &self,
        connection: &Arc<Connection>,
        class: Class,
        request: NativeRequest,
    ) -> Answer {
        match class {
            Class::Open(_) | Class::Read(_) => self.pass(connection, &class, request).await,
            Class::SignIn(matched) => self.sign_in(connection, &matched, request).await,
            Class::Write(matched) => self.write(connection, &matched, request).await,
            Class::Unknown { why } => self.unknown(connection, request, &why).await,
        }
    }

    /// The connections.
    #[must_use]
    pub const fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// Who callers are.
    #[must_use]
    pub const fn identities(&self) -> &Identities {
        &self.identities
    }

    /// crmgate's own tokens.
    #[must_use]
    pub const fn tokens(&self) -> &Arc<Tokens> {
        &self.tokens
    }

    /// The decisions.
    #[must_use]
    pub const fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// The held operations.
    #[must_use]
    pub const fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Queued operations.
    ///
    /// # Errors
    /// `Unavailable` where there is no queue.
    pub fn operations(&self) -> Result<&Arc<Operations>, AppError> {
        let none = || AppError::Unavailable("this crmgate has no queue of operations".to_owned());
        self.operations.as_ref().ok_or_else(none)
    }

    /// What people are asked to agree to.
    #[must_use]
    pub const fn approvals(&self) -> &Approvals {
        &self.approvals
    }

    /// The record: entries, checkpoints, erasure.
    #[must_use]
    pub const fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// The policies.
    #[must_use]
    pub const fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// Whether the gate can do its work.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// Which processes there are, where they are known.
    #[must_use]
    pub const fn presence(&self) -> Option<&Arc<Presence>> {
        self.presence.as_ref()
    }

    /// A name that nothing else has.
    #[must_use]
    pub fn fresh_id(&self) -> String {
        hex::encode(self.ambient.random())
    }

    pub(crate) fn ambient(&self) -> &dyn Ambient {
        self.ambient.as_ref()
    }

    pub(crate) const fn sightings(&self) -> &Arc<Sightings> {
        &self.sightings
    }

    /// Does the standing work until `stop` is cancelled: finds out what came of writes with an
    /// unknown outcome (also of an earlier process), writes sightings down, probes the CRMs. Run
    /// it in a task of its own.
    pub async fn run(&self, stop: CancellationToken) {
        let every = |period: Duration| {
            let mut ticks = tokio::time::interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut flush, mut probe) = (every(FLUSH_EVERY), every(PROBE_EVERY));
        let sweeping = self.sweeper.run(SWEEP_EVERY, stop.clone());
        let flushing = async {
            loop {
                flush.tick().await;
                if let Err(error) = self.approvals.expire().await {
                    tracing::warn!(%error, "holds past their time could not be ended");
                }
                self.measure_holds().await;
                if let Err(error) = self.sightings.flush().await {
                    tracing::warn!(%error, "what was seen could not be written down");
                }
            }
        };
        let probing = async {
            loop {
                probe.tick().await;
                self.health.probe_all().await;
            }
        };
        let recording = self
            .leading
            .clone()
            .run(stop.clone(), |stop| self.record.run(stop));
        let following = self.policies.follow_always(stop.clone());
        let living = async {
            if let Some(presence) = &self.presence {
                presence.run(stop.clone()).await;
            }
        };
        tokio::select! {
            () = async { tokio::join!(recording, sweeping, flushing, probing, following, living); } => {}
            () = stop.cancelled() => {}
        }
    }

    /// Says that this process ends, and keeps nobody waiting any more.
    pub fn wind_down(&self) {
        if let Some(presence) = &self.presence {
            presence.drain();
        }
        self.winding_down.cancel();
    }

    /// Waits for the writes that were judged. Call it when no request comes in any more; bound it
    /// by a time-out.
    pub async fn finish(&self) {
        for connection in self.connections.iter() {
            connection.gate().finish().await;
        }
    }

    /// Ends well: takes leave, and writes down what is still in memory.
    pub async fn close(&self) {
        if let Some(presence) = &self.presence {
            presence.leave().await;
        }
        if let Err(error) = self.sightings.flush().await {
            tracing::warn!(%error, "what was seen last could not be written down");
        }
        self.record.close().await;
    }
}
