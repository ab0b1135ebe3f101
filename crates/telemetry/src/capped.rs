//! Metrics whose label somebody else chooses.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

/// The label under which everything beyond the bound is counted.
pub const OTHER: &str = "other";

/// Longer labels are no names.
const LONGEST: usize = 128;

/// Something per value of a label, of so many values; all others share [`OTHER`].
pub struct Capped<T> {
    most: usize,
    make: Box<dyn Fn(&str) -> T + Send + Sync>,
    known: RwLock<HashMap<String, T>>,
    other: T,
}

impl<T> Capped<T> {
    /// With a bound, and how to make what belongs to a value.
    pub fn new(most: usize, make: impl Fn(&str) -> T + Send + Sync + 'static) -> Self {
        Self {
            other: make(OTHER),
            most,
            make: Box::new(make),
            known: RwLock::default(),
        }
    }

    /// Uses what belongs to a value. The first values come first: what is counted stays the same
    /// series for as long as the process lives.
    pub fn with<R>(&self, value: &str, apply: impl Fn(&T) -> R) -> R {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = known.get(value) {
                return apply(found);
            }
            if known.len() >= self.most || !is_name(value) {
                return apply(&self.other);
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Others may have come in between the two locks.
        if known.len() >= self.most && !known.contains_key(value) {
            return apply(&self.other);
        }
        let make = || (self.make)(value);
        apply(known.entry(value.to_owned()).or_insert_with(make))
    }
}

impl<T> fmt::Debug for Capped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capped")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

/// Codes and package names are; sentences, addresses and numbers that somebody made up mostly are
/// not.
fn is_name(value: &str) -> bool {
    let begins = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    begins && value.len() <= LONGEST && value.chars().all(goes_on)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::{Capped, OTHER};

    fn counters(most: usize) -> Capped<(String, AtomicUsize)> {
        Capped::new(most, |value| (value.to_owned(), AtomicUsize::new(0)))
    }

    fn count(capped: &Capped<(String, AtomicUsize)>, value: &str) -> String {
        capped.with(value, |(name, count)| {
            count.fetch_add(1, Ordering::Relaxed);
            name.clone()
        })
    }

    #[test]
    fn what_is_beyond_the_bound_shares_one() {
        let capped = counters(2);
        assert_eq!(count(&capped, "a"), "a");
        assert_eq!(count(&capped, "b"), "b");
        assert_eq!(count(&capped, "c"), OTHER);
        assert_eq!(count(&capped, "a"), "a");
        assert_eq!(count(&capped, "d"), OTHER);
        assert_eq!(capped.other.1.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn what_is_no_name_is_never_one_of_its_own() {
        let capped = counters(10);
        for made_up in [
            "",
            "ada@example.com",
            "a b",
            "1",
            "ä",
            &"x".repeat(129),
            "a\n",
        ] {
            assert_eq!(count(&capped, made_up), OTHER, "{made_up:?}");
        }
        for name in [
            "discount_over_limit",
            "crm.sales.discounts",
            "crmgate/error",
        ] {
            assert_eq!(count(&capped, name), name);
        }
    }

    proptest! {
        #[test]
        fn threads_do_not_get_past_the_bound(values in prop::collection::vec("[a-z]{1,2}", 1..60)) {
            let capped = counters(5);
            std::thread::scope(|scope| {
                for chunk in values.chunks(values.len().div_ceil(3)) {
                    let capped = &capped;
                    scope.spawn(move || {
                        for value in chunk {
                            count(capped, value);
                        }
                    });
                }
            });
            let known = capped.known.read().unwrap();
            prop_assert!(known.len() <= 5);
            let counted: usize = known.values().map(|(_, n)| n.load(Ordering::Relaxed)).sum();
            prop_assert_eq!(counted + capped.other.1.load(Ordering::Relaxed), values.len());
        }
    }
}
