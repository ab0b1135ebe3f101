//! What loading policies may take, and what becomes of those that take long to evaluate.

use std::time::Duration;

use crmgate_enforce::SlowSettings;

use super::section::Section;
use super::value;

/// What the process that tries policies may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loading {
    /// How long it may take.
    pub(crate) time: Duration,
    /// Bytes of memory it may use.
    pub(crate) memory: usize,
}

impl Default for Loading {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(30),
            memory: 2 << 30,
        }
    }
}

impl Loading {
    /// Reads `load_time` and `load_memory` of `policies`.
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let loading = Self {
            time: section.need("load_time", value::duration),
            memory: section.need("load_memory", value::size),
        };
        if loading.memory < SMALLEST && loading.memory > 0 {
            section.fault("load_memory", "expected at least \"256 MiB\"");
        }
        loading
    }
}

/// Reads `slow_threads`, `slow_deadline` and `slow_bench` of `policies`.
pub(super) fn slow(section: &mut Section<'_>) -> SlowSettings {
    SlowSettings {
        threads: section.need("slow_threads", value::count),
        deadline: section.need("slow_deadline", value::duration),
        bench: section.need("slow_bench", value::duration),
    }
}

/// What the program itself needs, with the stack that it gives policies.
const SMALLEST: usize = 256 << 20;
