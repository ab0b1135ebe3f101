//! Sets of numbers that mostly lie side by side.

use std::collections::BTreeMap;

/// A set of positions as ranges: the first of each, and its last.
#[derive(Debug, Default)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub(super) fn add(&mut self, mut first: u64, mut last: u64) {
        if first > last {
            return;
        }
        // Those that touch it melt into it.
        while let Some((from, to)) = self.touching(first, last) {
            self.0.remove(&from);
            first = first.min(from);
            last = last.max(to);
        }
        self.0.insert(first, last);
    }

    fn touching(&self, first: u64, last: u64) -> Option<(u64, u64)> {
        let (from, to) = self.0.range(..=last.saturating_add(1)).next_back()?;
        (to.saturating_add(1) >= first).then_some((*from, *to))
    }

    pub(super) fn has(&self, number: u64) -> bool {
        let found = self.0.range(..=number).next_back();
        found.is_some_and(|(_, last)| *last >= number)
    }

    pub(super) fn each(&self) -> Vec<(u64, u64)> {
        self.0.iter().map(|(first, last)| (*first, *last)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_melt() {
        let mut ranges = Ranges::default();
        for (first, last) in [(5, 5), (1, 2), (9, 12), (6, 7), (20, 19), (3, 4)] {
            ranges.add(first, last);
        }
        assert_eq!(ranges.each(), [(1, 7), (9, 12)]);
        assert!(ranges.has(1) && ranges.has(7) && ranges.has(9));
        assert!(!ranges.has(8) && !ranges.has(0) && !ranges.has(13));
        ranges.add(2, 30);
        assert_eq!(ranges.each(), [(1, 30)]);
    }
}
