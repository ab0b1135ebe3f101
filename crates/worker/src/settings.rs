//! How a worker works.

use std::time::Duration;

use crmgate_enforce::queued::Tries;

/// How one process works on the queues of operations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How many operations of one connection may be in hand at the same time. Twice as many as the
    /// CRM takes in one call, so that the next call fills while one is under way.
    pub concurrency: usize,
    /// How many jobs are claimed at once, at most.
    pub claim: usize,
    /// How long a claimed job is safe without a sign of life.
    pub job_lease: Duration,
    /// How often a queue is looked at where nothing wakes.
    pub poll: Duration,
    /// How long a row is held without a sign of life. What a dead process held is taken over then.
    pub row_lease: Duration,
    /// How long a call waits for the next operation that could go along, while some are being
    /// judged: a few commits of the store. One that comes alone does not wait.
    pub linger: Duration,
    /// How long it waits in all.
    pub linger_most: Duration,
    /// How long an operation waits in memory for a place at its CRM; what would wait longer goes
    /// back to the store.
    pub soon: Duration,
    /// How often an operation is tried, and how soon again.
    pub tries: Tries,
    /// How long the worker may take to stop. It must be longer than a call to a CRM takes, or calls
    /// are cut off and read back by the next process.
    pub drain: Duration,
    /// How often what is stuck, past its time or to be cleared away is looked for, by one process
    /// for all.
    pub sweep: Duration,
    /// How long an operation may stand still that could move before it is woken again.
    pub stuck_after: Duration,
    /// What is kept of operations that have ended.
    pub keep: Keeping,
}

/// How long operations are kept after their end, and submissions that were never closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// What was asked; `None`: as long as the row.
    pub payloads: Option<Duration>,
    /// All of it; `None`: for ever.
    pub rows: Option<Duration>,
    /// What was staged and never accepted.
    pub abandoned: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 400,
            claim: 200,
            job_lease: Duration::from_secs(30),
            poll: Duration::from_secs(1),
            row_lease: Duration::from_secs(30),
            linger: Duration::from_millis(20),
            linger_most: Duration::from_millis(250),
            soon: Duration::from_secs(5),
            tries: Tries::default(),
            drain: Duration::from_secs(20),
            sweep: Duration::from_secs(5),
            stuck_after: Duration::from_secs(30),
            keep: Keeping::default(),
        }
    }
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            payloads: None,
            rows: None,
            abandoned: Duration::from_secs(60 * 60),
        }
    }
}
