//! Whose policies are evaluated when, and where.
//!
//! Policies that are quick, as nearly all are, are evaluated on the thread that has the request:
//! at a tenth of a millisecond a hop costs more than it saves. Each connection has as many of
//! these turns at a time as there are threads, so that one connection's queue is not everybody's.
//! Policies that have been slow lately, or may outrun the engine's time limit, are evaluated
//! aside, on threads that the connection has few of; what does not come back by the deadline is
//! given up, and the package it hangs in is not asked again for a while.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crmgate_domain::{Candidate, Operation, RevisionId};
use crmgate_policy::{JudgeOptions, Judged, PolicySet, Target, Watch};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Gate;
use crate::settings::SlowSettings;

/// An average judgement that takes longer is made aside.
const SLOW: Duration = Duration::from_millis(2);
/// The share that the newest judgement has in the average: one part in so many.
const SHARE: u64 = 8;
/// The longest that a package is left out: an hour.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The turns of one connection.
#[derive(Debug)]
pub(crate) struct Turns {
    here: Semaphore,
    aside: Arc<Semaphore>,
    /// Nanoseconds that a judgement takes on average.
    pace: AtomicU64,
    benched: Mutex<BTreeMap<String, Benched>>,
    settings: SlowSettings,
}

/// A package that did not come back.
#[derive(Debug, Clone)]
struct Benched {
    revision: RevisionId,
    until: Instant,
    times: u32,
}

/// A package that is left out for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchedPackage {
    /// Its name.
    pub package: String,
    /// For how long.
    pub left: Duration,
}

impl Turns {
    pub(crate) fn new(settings: SlowSettings) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            here: Semaphore::new(threads),
            aside: Arc::new(Semaphore::new(settings.threads)),
            pace: AtomicU64::new(0),
            benched: Mutex::default(),
            settings,
        }
    }

    fn is_slow(&self) -> bool {
        u128::from(self.pace.load(Ordering::Relaxed)) > SLOW.as_nanos()
    }

    /// Two at a time may lose each other's mark; the average does not mind.
    fn took(&self, time: Duration) {
        let new = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / SHARE);
        let old = self.pace.load(Ordering::Relaxed);
        let average = old - old / SHARE + new / SHARE;
        self.pace.store(average, Ordering::Relaxed);
    }

    fn all_benched(&self) -> MutexGuard<'_, BTreeMap<String, Benched>> {
        self.benched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The packages that are left out under this revision.
    pub(crate) fn benched(&self, revision: &RevisionId) -> Vec<BenchedPackage> {
        let now = Instant::now();
        let mut all = self.all_benched();
        if all.is_empty() {
            return Vec::new();
        }
        // Another revision may have mended it.
        all.retain(|_, benched| benched.revision == *revision);
        let out = all.iter().filter_map(|(package, benched)| {
            let left = benched.until.checked_duration_since(now)?;
            Some(BenchedPackage {
                package: package.clone(),
                left,
            })
        });
        out.collect()
    }

    fn bench(&self, package: &str, revision: &RevisionId) -> Duration {
        let mut all = self.all_benched();
        let times = all.get(package).map_or(0, |benched| benched.times) + 1;
        let time = self.settings.bench * 2_u32.saturating_pow((times - 1).min(12));
        let time = time.min(LONGEST);
        let benched = Benched {
            revision: revision.clone(),
            until: Instant::now() + time,
            times,
        };
        all.insert(package.to_owned(), benched);
        time
    }
}

/// One judgement to be made.
pub(crate) struct Question {
    pub(crate) set: Arc<PolicySet>,
    pub(crate) operation: Operation,
    pub(crate) candidate: Arc<dyn Candidate>,
    pub(crate) options: JudgeOptions,
}

impl Question {
    fn ask(&self) -> (Judged, Duration) {
        let started = Instant::now();
        let judged = self
            .set
            .judge(&self.operation, &self.candidate, &self.options);
        (judged, started.elapsed())
    }
}

impl Gate {
    /// Judges when it is the connection's turn. Fails when its policies do not come back.
    pub(crate) async fn think(&self, mut question: Question) -> (Question, Result<Judged, String>) {
        let turns = self.turns();
        let benched = turns.benched(question.set.revision());
        if !benched.is_empty() {
            let why = benched
                .iter()
                .map(|out| (out.package.clone(), left_out(out)));
            question.options.watch = Some(Arc::new(Watch::without(why.collect())));
        }
        let heavy = question.set.is_heavy(&Target::from(&question.operation));
        if heavy || turns.is_slow() {
            return self.think_aside(question).await;
        }
        let waiting = tokio::time::timeout(self.settings().judge_within, turns.here.acquire());
        let Ok(Ok(_turn)) = waiting.await else {
            self.meters().budget_spent();
            return (question, Err(CROWDED.to_owned()));
        };
        let (judged, took) = question.ask();
        turns.took(took);
        (question, Ok(judged))
    }

    async fn think_aside(&self, mut question: Question) -> (Question, Result<Judged, String>) {
        let turns = self.turns();
        let waiting = Arc::clone(&turns.aside).acquire_owned();
        let waiting = tokio::time::timeout(self.settings().judge_within, waiting);
        let Ok(Ok(turn)) = waiting.await else {
            self.meters().budget_spent();
            return (question, Err(CROWDED.to_owned()));
        };
        let watch = Arc::clone(question.options.watch.get_or_insert_default());
        let question = Arc::new(question);
        let thinking = aside(Arc::clone(&question), turn);
        let judged = match tokio::time::timeout(turns.settings.deadline, thinking).await {
            Ok(Ok((judged, took))) => {
                turns.took(took);
                Ok(judged)
            }
            Ok(Err(error)) => Err(format!("the judgement broke off: {error}")),
            Err(_) => Err(self.give_up(&watch, question.set.revision())),
        };
        (taken_back(question), judged)
    }

    fn give_up(&self, watch: &Watch, revision: &RevisionId) -> String {
        let deadline = self.turns().settings.deadline;
        let Some(package) = watch.at() else {
            self.meters().budget_spent();
            return format!("the policies did not come back within {deadline:?}");
        };
        let time = self.turns().bench(&package, revision);
        self.meters().benched(&package);
        tracing::error!(
            connection = %self.connection(),
            package,
            "a policy did not stop within {deadline:?} and is not asked for {time:?}"
        );
        format!("`{package}` did not stop within {deadline:?}")
    }

    /// The packages that are not asked for now, because they did not come back.
    #[must_use]
    pub fn benched(&self) -> Vec<BenchedPackage> {
        self.turns().benched(&self.revision())
    }
}

/// Everything that the connection's policies may take is taken.
const CROWDED: &str = "the connection's policies take longer than there is time for them";

fn left_out(out: &BenchedPackage) -> String {
    format!(
        "`{}` did not come back lately and is not asked for another {} s, or until it is changed",
        out.package,
        out.left.as_secs() + 1
    )
}

/// On a thread of its own. It keeps its turn until it really ends, however long that takes.
async fn aside(
    question: Arc<Question>,
    turn: OwnedSemaphorePermit,
) -> Result<(Judged, Duration), tokio::task::JoinError> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let _span = span.entered();
        question.ask()
    })
    .await
}

/// The question, shared with a thread that may never end.
fn taken_back(question: Arc<Question>) -> Question {
    Arc::try_unwrap(question).unwrap_or_else(|shared| Question {
        set: Arc::clone(&shared.set),
        operation: shared.operation.clone(),
        candidate: Arc::clone(&shared.candidate),
        options: shared.options.clone(),
    })
}
