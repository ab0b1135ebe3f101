//! Hours in which nothing is begun.

use crmgate_domain::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};

/// Windows that follow on each other are one, up to so many.
const MOST_JOINED: usize = 32;

/// A window of every week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    /// In which time zone.
    pub zone: TimeZone,
    /// The days on which it begins.
    pub days: Vec<Weekday>,
    /// When it begins.
    pub from: Time,
    /// When it ends; on the next day where that is not later than `from`.
    pub to: Time,
}

impl Quiet {
    /// When the window ends that is open at that moment; `None`: none is.
    fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        let local = now.to_zoned(self.zone.clone());
        let today = local.date();
        let yesterday = today.yesterday().ok();
        let mut begins = yesterday.into_iter().chain([today]);
        begins.find_map(|day| {
            if !self.days.contains(&day.weekday()) {
                return None;
            }
            let from = at(&self.zone, day, self.from)?;
            let last = if self.to > self.from {
                day
            } else {
                day.checked_add(1.day()).ok()?
            };
            let to = at(&self.zone, last, self.to)?;
            (from <= local && local < to).then(|| to.timestamp())
        })
    }
}

/// A time that a change of the clocks leaves out is the one after.
fn at(zone: &TimeZone, day: jiff::civil::Date, time: Time) -> Option<Zoned> {
    day.to_datetime(time).to_zoned(zone.clone()).ok()
}

/// When it is not quiet any more; `None`: it is not now.
#[must_use]
pub fn ends(windows: &[Quiet], now: Timestamp) -> Option<Timestamp> {
    let mut at = now;
    for _ in 0..MOST_JOINED {
        let Some(end) = windows.iter().filter_map(|window| window.ends(at)).max() else {
            break;
        };
        at = end;
    }
    (at > now).then_some(at)
}
