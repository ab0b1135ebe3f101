//! Times of one thing.

use std::time::Duration;

use super::Times;

/// More would not be told apart.
const MOST: usize = 100_000;

/// Measured times.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples(Vec<u64>);

impl Samples {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn add(&mut self, time: Duration) {
        if self.0.len() < MOST {
            self.0
                .push(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    pub(super) fn append(&mut self, other: &Self) {
        let left = MOST.saturating_sub(self.0.len());
        self.0.extend(other.0.iter().take(left));
    }

    /// What they say, in microseconds.
    pub(super) fn times(&mut self) -> Times {
        self.0.sort_unstable();
        let runs = self.0.len();
        let at = |of_hundred: usize| {
            // Of a hundred, rounded up: the time that so many did not exceed.
            let index = (runs * of_hundred).div_ceil(100).saturating_sub(1);
            self.0.get(index).map_or(0.0, |time| micros(*time))
        };
        Times {
            median: at(50),
            p99: at(99),
            runs,
        }
    }
}

/// Nanoseconds as microseconds with one digit behind the point.
fn micros(nanos: u64) -> f64 {
    let tenths = u32::try_from(nanos / 100).unwrap_or(u32::MAX);
    f64::from(tenths) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_ninety_ninth_are_those_of_the_sorted_times() {
        let mut samples = Samples::default();
        for micros in (1..=200).rev() {
            samples.add(Duration::from_micros(micros));
        }
        let times = samples.times();
        assert_eq!((times.median, times.p99, times.runs), (100.0, 198.0, 200));
        assert_eq!(Samples::default().times(), Times::default());
        let mut one = Samples::default();
        one.add(Duration::from_nanos(1_250));
        assert_eq!((one.times().median, one.times().p99), (1.2, 1.2));
    }
}
