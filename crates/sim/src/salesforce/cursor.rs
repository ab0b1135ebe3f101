//! Query results that are fetched page by page.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::id::RecordId;
use super::soql::Selected;
use crate::clock::Clock;

/// Two days, as documented.
const LIFETIME_MILLIS: i64 = 2 * 24 * 60 * 60 * 1000;
/// The oldest go when there are more.
const MAX_CURSORS: usize = 1000;

/// Open cursors, by locator.
#[derive(Debug)]
pub(crate) struct Cursors {
    open: Mutex<Open>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Open {
    by_locator: HashMap<String, Cursor>,
    by_age: BTreeMap<u64, String>,
    last: u64,
}

/// What a locator stands for.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    pub(crate) selected: Selected,
    pub(crate) user: RecordId,
    pub(crate) page_size: usize,
    expires: i64,
}

impl Cursors {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            open: Mutex::default(),
            clock,
        }
    }

    /// Keeps results; the locator without its offset.
    pub(crate) fn keep(&self, selected: Selected, user: RecordId, page_size: usize) -> String {
        let expires = self.clock.millis().saturating_add(LIFETIME_MILLIS);
        let mut open = self.lock();
        open.last += 1;
        let number = open.last;
        let locator = RecordId::numbered("01g", number).to_string();
        open.by_locator.insert(
            locator.clone(),
            Cursor {
                selected,
                user,
                page_size,
                expires,
            },
        );
        open.by_age.insert(number, locator.clone());
        while open.by_age.len() > MAX_CURSORS {
            let Some((_, oldest)) = open.by_age.pop_first() else {
                break;
            };
            open.by_locator.remove(&oldest);
        }
        locator
    }

    /// What a locator stands for, if it is still open and this user's.
    pub(crate) fn find(&self, locator: &str, user: RecordId) -> Option<Cursor> {
        let now = self.clock.millis();
        let open = self.lock();
        open.by_locator
            .get(locator)
            .filter(|cursor| cursor.expires > now && cursor.user == user)
            .cloned()
    }

    pub(crate) fn clear(&self) {
        let mut open = self.lock();
        open.by_locator.clear();
        open.by_age.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
