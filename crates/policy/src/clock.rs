//! The only clock a policy has: `time.now_ns` is the time of the operation.
//!
//! The engine asks its functions without telling them for which evaluation. One evaluation runs
//! on one thread from start to end, so the time of the operation is put there for so long.

use std::cell::Cell;

use crmgate_domain::Timestamp;
use regorus::{Engine, Value};

thread_local! {
    static NOW: Cell<Option<i64>> = const { Cell::new(None) };
}

/// Gives an engine the function.
pub(crate) fn install(engine: &mut Engine) -> Result<(), String> {
    let now = |_: Vec<Value>| NOW.get().map(Value::from).ok_or_else(|| NoOperation.into());
    engine
        .add_extension("time.now_ns".into(), 0, Box::new(now))
        .map_err(|error| error.to_string())
}

#[derive(Debug, thiserror::Error)]
#[error("`time.now_ns` has a value during a decision only")]
struct NoOperation;

/// While it lives, policies on this thread see this time.
pub(crate) struct Now(Option<i64>);

impl Now {
    pub(crate) fn set(at: Timestamp) -> Self {
        let nanoseconds = i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
        Self(NOW.replace(Some(nanoseconds)))
    }
}

impl Drop for Now {
    fn drop(&mut self) {
        NOW.set(self.0);
    }
}
