//! Faults: switches that make a simulator slow, ill-tempered or silent.

mod rows;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

pub use rows::{RowFault, RowFaults, RowSelector};

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Waits `millis`, then goes on.
    Delay,
    /// Answers `status` in the CRM's own shape, with `retry_after` if given; nothing is done.
    Status,
    /// Closes the connection without an answer; nothing is done.
    DropBeforeCommit,
    /// Does what was asked, then closes the connection without an answer.
    DropAfterCommit,
    /// Ends the session that the call carries, so that the CRM answers as for any dead session.
    ExpireSession,
    /// Answers that someone else holds the row's lock; nothing is done.
    LockRow,
}

/// One fault, as `PUT /_sim/faults` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which method; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Which path: what it begins with, or a pattern in which `*` stands for anything; any if absent. The query is not
    /// looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Which row of a call, be it the only one; if absent, the fault hits the call as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<RowSelector>,
    /// What happens.
    pub kind: Kind,
    /// How many calls, or rows, it hits; until it is cleared if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// For [`Kind::Status`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// For [`Kind::Status`]: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// For [`Kind::Delay`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
}

/// The body of `PUT /_sim/faults`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultList {
    /// In order: the first that decides an answer counts; delays before it add up.
    pub faults: Vec<Fault>,
}

/// Why a list of faults isn't taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// A setting that this kind needs is absent.
    #[error("fault {index}: kind `{kind}` needs `{setting}`")]
    Missing {
        /// Its place in the list.
        index: usize,
        /// Its kind.
        kind: &'static str,
        /// The absent setting.
        setting: &'static str,
    },
    /// Only a whole call can end like this.
    #[error(
        "fault {index}: kind `{kind}` hits whole calls, not a `row`: expected `lock_row` or `status`"
    )]
    WholeOnly {
        /// Its place in the list.
        index: usize,
        /// Its kind.
        kind: &'static str,
    },
    /// The selector selects nothing.
    #[error("fault {index}: `row` must have `index`, `match` or `holds`")]
    EmptyRow {
        /// Its place in the list.
        index: usize,
    },
    /// The status is none that HTTP knows as an error.
    #[error("fault {index}: `status` must be 400 to 599, not `{status}`")]
    Status {
        /// Its place in the list.
        index: usize,
        /// What was given.
        status: u16,
    },
}

impl FaultList {
    /// Whether each fault has what its kind needs.
    ///
    /// # Errors
    /// The first fault that can't work.
    pub fn check(&self) -> Result<(), FaultError> {
        for (index, fault) in self.faults.iter().enumerate() {
            rows::check(index, fault)?;
            match (fault.kind, fault.status, fault.millis) {
                (Kind::Delay, _, None) => {
                    return Err(FaultError::Missing {
                        index,
                        kind: "delay",
                        setting: "millis",
                    });
                }
                (Kind::Status, None, _) => {
                    return Err(FaultError::Missing {
                        index,
                        kind: "status",
                        setting: "status",
                    });
                }
                (Kind::Status, Some(status), _) if !(400..600).contains(&status) => {
                    return Err(FaultError::Status { index, status });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The faults in force.
#[derive(Debug, Default)]
pub struct Faults {
    // Looked at before the lock, so that a simulator without faults pays nothing for having them.
    any: AtomicBool,
    list: Mutex<Vec<Fault>>,
}

/// What the faults want done with one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Wait this long first.
    pub delay: Duration,
    /// The fault that decides how the call ends.
    pub ending: Option<Ending>,
}

/// A fault that decides how a call ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Which.
    pub kind: Kind,
    /// For [`Kind::Status`].
    pub status: StatusCode,
    /// For [`Kind::Status`].
    pub retry_after: Option<u64>,
}

impl Faults {
    /// Puts this list in place of the former.
    pub fn set(&self, faults: Vec<Fault>) {
        let mut list = self.lock();
        self.any.store(!faults.is_empty(), Ordering::Release);
        *list = faults;
    }

    /// What is still in force.
    #[must_use]
    pub fn list(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    /// Finds, and counts down, the faults that hit this call.
    #[must_use]
    pub fn strike(&self, method: &Method, path: &str) -> Verdict {
        let mut verdict = Verdict::default();
        if !self.any.load(Ordering::Acquire) {
            return verdict;
        }
        let mut list = self.lock();
        for fault in list
            .iter_mut()
            .filter(|fault| fault.row.is_none() && fault.hits(method, path))
        {
            if !fault.take_one() {
                continue;
            }
            if fault.kind == Kind::Delay {
                verdict.delay += Duration::from_millis(fault.millis.unwrap_or_default());
                continue;
            }
            verdict.ending = Some(Ending {
                kind: fault.kind,
                status: fault.status_code(),
                retry_after: fault.retry_after,
            });
            break;
        }
        list.retain(|fault| fault.times != Some(0));
        self.any.store(!list.is_empty(), Ordering::Release);
        verdict
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fault {
    /// Counts down; whether there was something left.
    fn take_one(&mut self) -> bool {
        match &mut self.times {
            Some(0) => false,
            Some(times) => {
                *times -= 1;
                true
            }
            None => true,
        }
    }

    fn status_code(&self) -> StatusCode {
        self.status
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    fn hits(&self, method: &Method, path: &str) -> bool {
        let method_fits = self
            .method
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method.as_str()));
        method_fits && self.path.as_ref().is_none_or(|pattern| fits(pattern, path))
    }
}

/// A pattern without `*` fits what it begins; one with `*` must fit the whole path.
fn fits(pattern: &str, path: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return path.starts_with(pattern);
    };
    let Some(mut left) = path.strip_prefix(head) else {
        return false;
    };
    let Some((middle, tail)) = rest.rsplit_once('*').map_or(Some(("", rest)), Some) else {
        return false;
    };
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some((_, after)) = left.split_once(part) else {
            return false;
        };
        left = after;
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(json: &str) -> FaultList {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn patterns_fit_as_documented() {
        assert!(fits("/services/data", "/services/data/v66.0/sobjects"));
        assert!(!fits("/services/data/v65", "/services/data/v66.0/sobjects"));
        assert!(fits(
            "/services/data/*/sobjects/Account*",
            "/services/data/v66.0/sobjects/Account/001"
        ));
        assert!(!fits(
            "/services/data/*/sobjects/Account",
            "/services/data/v66.0/sobjects/Account/001"
        ));
        assert!(fits("*/batches", "/jobs/1/batches"));
        assert!(fits("/a/*/b/*/c", "/a/1/b/2/c"));
        assert!(!fits("/a/*/b/*/c", "/a/1/x/2/c"));
        assert!(fits("*", "/"));
    }

    #[test]
    fn faults_count_down_and_delays_add_up() {
        let faults = Faults::default();
        faults.set(
            list(
                r#"{"faults":[{"kind":"delay","millis":5},{"kind":"delay","millis":6,"method":"post"},
                {"kind":"status","status":429,"retry_after":2,"times":1,"path":"/x"},{"kind":"lock_row","times":1}]}"#,
            )
            .faults,
        );
        let first = faults.strike(&Method::POST, "/x/y");
        assert_eq!(first.delay, Duration::from_millis(11));
        assert_eq!(
            first
                .ending
                .map(|e| (e.kind, e.status.as_u16(), e.retry_after)),
            Some((Kind::Status, 429, Some(2)))
        );
        let second = faults.strike(&Method::GET, "/x/y");
        assert_eq!(second.ending.map(|e| e.kind), Some(Kind::LockRow));
        assert_eq!(faults.strike(&Method::GET, "/x/y").ending, None);
        assert_eq!(faults.list().len(), 2);
    }

    #[test]
    fn a_fault_that_cannot_work_is_named() {
        let error = list(r#"{"faults":[{"kind":"lock_row"},{"kind":"delay"}]}"#)
            .check()
            .unwrap_err();
        assert_eq!(error.to_string(), "fault 1: kind `delay` needs `millis`");
        assert!(
            list(r#"{"faults":[{"kind":"status","status":200}]}"#)
                .check()
                .is_err()
        );
        assert!(
            serde_json::from_str::<FaultList>(r#"{"faults":[{"kind":"status","statsu":500}]}"#)
                .is_err()
        );
    }
}
