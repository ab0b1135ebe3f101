//! What a judgement is at, for whoever waits for it from outside.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Follows one judgement from another thread, and keeps packages out of it.
#[derive(Debug, Default)]
pub struct Watch {
    /// Packages that are not asked, and why.
    benched: BTreeMap<String, String>,
    at: Mutex<Option<String>>,
}

impl Watch {
    /// One that keeps packages out: whatever they govern is in error, for the reason given.
    #[must_use]
    pub fn without(benched: BTreeMap<String, String>) -> Self {
        Self {
            benched,
            at: Mutex::default(),
        }
    }

    /// The package that is being evaluated.
    #[must_use]
    pub fn at(&self) -> Option<String> {
        let at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        at.clone()
    }

    /// Why a package is not asked.
    pub(crate) fn why_not(&self, package: &str) -> Option<&str> {
        self.benched.get(package).map(String::as_str)
    }

    pub(crate) fn enter(&self, package: &str) {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        *at = Some(package.to_owned());
    }

    pub(crate) fn leave(&self) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
