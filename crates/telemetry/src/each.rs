//! One metric for each value of a label that has few.

/// Handles made once, so that counting needs no look-up by name.
#[derive(Debug, Clone)]
pub struct Each<K, H>(Vec<(K, H)>);

impl<K: Copy + PartialEq, H> Each<K, H> {
    /// Makes the handle of every value: a series that is there from the start, at nothing.
    pub fn of(values: &[K], make: impl Fn(K) -> H) -> Self {
        Self(values.iter().map(|value| (*value, make(*value))).collect())
    }

    /// The handle of a value; `None` for one that was not named at the start.
    pub fn get(&self, value: K) -> Option<&H> {
        let mut all = self.0.iter();
        all.find(|(known, _)| *known == value)
            .map(|(_, handle)| handle)
    }
}

#[cfg(test)]
mod tests {
    use super::Each;

    #[test]
    fn every_value_has_its_own() {
        let each = Each::of(&["a", "b"], str::len);
        assert_eq!(each.get("b"), Some(&1));
        assert_eq!(each.get("c"), None);
    }
}
