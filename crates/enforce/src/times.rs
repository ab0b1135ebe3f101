//! What an operation took until it was decided, as its record tells.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::Ask;

/// What an operation took so far. The names in the record are those of OPA's decision log where it
/// has one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    started: Instant,
    parse: Duration,
    pub(crate) enrich: Duration,
    pub(crate) evaluate: Duration,
}

impl Times {
    /// The gate begins with an operation.
    pub(crate) fn start(ask: &Ask) -> Self {
        Self {
            started: Instant::now(),
            parse: ask.parsing,
            enrich: Duration::ZERO,
            evaluate: Duration::ZERO,
        }
    }

    /// As the record tells them, in nanoseconds.
    pub(crate) fn told(&self) -> BTreeMap<String, u64> {
        let handler = self.parse + self.started.elapsed();
        [
            ("timer_crmgate_parse_ns", self.parse),
            ("timer_crmgate_enrich_ns", self.enrich),
            ("timer_rego_query_eval_ns", self.evaluate),
            ("timer_server_handler_ns", handler),
        ]
        .into_iter()
        .map(|(name, took)| {
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            (name.to_owned(), nanos)
        })
        .collect()
    }
}
