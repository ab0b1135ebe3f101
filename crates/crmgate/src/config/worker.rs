//! How queued operations are worked on, and how fair that is to each org.

use std::time::Duration;

use config::{Value, ValueKind};
use crmgate_worker::fair::{BreakerRules, CallRules, Quiet, Rules};
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use super::section::Section;
use super::value;

/// How this process works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Worker {
    /// Whether `serve` works on queued operations, too.
    pub(crate) in_serve: bool,
    /// Operations of one connection that are looked at together, in one process.
    pub(crate) concurrency: usize,
    /// How long a process that is silent keeps what it has.
    pub(crate) lease: Duration,
    /// How often an operation is tried before it is dead.
    pub(crate) tries: usize,
}

impl Worker {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let worker = Self {
            in_serve: section.need("in_serve", value::flag),
            concurrency: section.need("concurrency", value::count),
            lease: section.need("lease", value::duration),
            tries: section.need("tries", value::count),
        };
        if worker.lease < Duration::from_secs(1) {
            section.fault("lease", "expected a second or more");
        }
        section.finish();
        worker
    }
}

/// Reads the `queue` table of a connection.
pub(super) fn rules(section: &mut Section<'_>) -> Rules {
    let mut rules = Rules::default();
    let Some(mut section) = section.section("queue") else {
        return rules;
    };
    let mut count = |key, to: &mut u32| {
        if let Some(given) = section.get(key, value::count) {
            *to = u32::try_from(given).unwrap_or(u32::MAX);
        }
    };
    count("burst", &mut rules.burst);
    let CallRules { least, first, most } = &mut rules.calls;
    count("calls_least", least);
    count("calls_first", first);
    count("calls_most", most);
    let BreakerRules { failures, .. } = &mut rules.breaker;
    count("breaker_failures", failures);
    let mut time = |key, to: &mut Duration| {
        if let Some(given) = section.get(key, value::duration) {
            *to = given;
        }
    };
    time("breaker_pause", &mut rules.breaker.pause);
    time("breaker_longest", &mut rules.breaker.longest);
    if let Some(rate) = section.get("rate", |v| number(v, 0.001, 100_000.0)) {
        rules.rate = rate;
    }
    if let Some(reserve) = section.get("reserve", |v| number(v, 0.0, 0.99)) {
        rules.reserve = reserve;
    }
    let daily = section.get("daily", value::count);
    rules.daily = daily.map(|daily| daily as u64);
    let quiet = section.get("quiet", |v| value::list(v, quiet));
    rules.quiet = quiet.unwrap_or_default();
    let calls = rules.calls;
    if !(calls.least <= calls.first && calls.first <= calls.most) {
        let (least, first, most) = (calls.least, calls.first, calls.most);
        section.fault(
            "calls_first",
            format!(
                "expected `calls_least` ({least}), `calls_first` ({first}) and `calls_most` \
                 ({most}) in rising order"
            ),
        );
    }
    if rules.breaker.pause > rules.breaker.longest {
        section.fault(
            "breaker_pause",
            "expected no longer time than `breaker_longest`",
        );
    }
    section.finish();
    rules
}

fn number(value: &Value, from: f64, to: f64) -> Result<f64, String> {
    let number = match &value.kind {
        ValueKind::Float(number) => Some(*number),
        ValueKind::I64(number) => i32::try_from(*number).ok().map(f64::from),
        ValueKind::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|number| (from..=to).contains(number))
        .ok_or_else(|| {
            format!(
                "expected a number from {from} to {to}, found {}",
                value::describe(value)
            )
        })
}

/// `mon-fri 08:00-18:00 Europe/Berlin`.
fn quiet(v: &Value) -> Result<Quiet, String> {
    let given = value::text(v)?;
    let wrong = |what: &str| {
        format!(
            "expected a window such as \"mon-fri 08:00-18:00 Europe/Berlin\" or \"sat,sun \
             00:00-24:00 UTC\", found `{given}`: {what}"
        )
    };
    let parts: Vec<&str> = given.split_whitespace().collect();
    let [days, hours, zone] = parts.as_slice() else {
        return Err(wrong("expected days, hours and a time zone"));
    };
    let (from, to) = hours
        .split_once('-')
        .and_then(|(from, to)| Some((time(from)?, time(to)?)))
        .ok_or_else(|| wrong("expected hours such as `22:00-06:00`"))?;
    let zone = TimeZone::get(zone).map_err(|_| wrong(&format!("`{zone}` is no time zone")))?;
    let days = self::days(days).ok_or_else(|| wrong("expected days such as `mon-fri`"))?;
    Ok(Quiet {
        zone,
        days,
        from,
        to,
    })
}

/// A window until midnight ends at the beginning of the next day.
fn time(text: &str) -> Option<Time> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (i8, i8) = (hours.parse().ok()?, minutes.parse().ok()?);
    if (hours, minutes) == (24, 0) {
        return Some(Time::midnight());
    }
    Time::new(hours, minutes, 0, 0).ok()
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

fn days(text: &str) -> Option<Vec<Weekday>> {
    let place = |word: &str| {
        let word = word.to_ascii_lowercase();
        DAYS.iter().position(|(name, _)| *name == word)
    };
    let mut found = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (place(from)?, place(to)?);
        let length = (to + DAYS.len() - from) % DAYS.len();
        let span = DAYS.iter().cycle().skip(from).take(length + 1);
        found.extend(span.map(|(_, day)| *day));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_people_write_them() {
        let window = |text: &str| quiet(&Value::from(text));
        let work = window("mon-fri 08:00-18:00 Europe/Berlin").unwrap();
        assert_eq!(work.days.len(), 5);
        assert_eq!((work.from.hour(), work.to.hour()), (8, 18));
        assert_eq!(work.zone.iana_name(), Some("Europe/Berlin"));
        let night = window("sat-mon,wed 22:30-06:00 UTC").unwrap();
        let days = [
            Weekday::Saturday,
            Weekday::Sunday,
            Weekday::Monday,
            Weekday::Wednesday,
        ];
        assert_eq!(night.days, days);
        assert_eq!(window("sun 00:00-24:00 UTC").unwrap().to, Time::midnight());
        for wrong in [
            "",
            "mon",
            "mon 8-18 UTC",
            "mo 08:00-18:00 UTC",
            "mon 08:00-25:00 UTC",
        ] {
            let problem = window(wrong).unwrap_err();
            assert!(problem.contains("expected"), "{wrong}: {problem}");
        }
        let problem = window("mon 08:00-18:00 Middle/Earth").unwrap_err();
        assert!(
            problem.contains("`Middle/Earth` is no time zone"),
            "{problem}"
        );
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(number(&Value::from("2.5"), 0.0, 3.0), Ok(2.5));
        assert_eq!(number(&Value::from(2), 0.0, 3.0), Ok(2.0));
        let problem = number(&Value::from(4), 0.0, 3.0).unwrap_err();
        assert!(problem.contains("from 0 to 3"), "{problem}");
    }
}
