//! Date literals such as `TODAY` and `LAST_N_DAYS:7`, as the days they cover.

use jiff::civil::{Date, Weekday};
use jiff::{Span, Timestamp, tz};

const PLAIN: [&str; 16] = [
    "YESTERDAY",
    "TODAY",
    "TOMORROW",
    "LAST_WEEK",
    "THIS_WEEK",
    "NEXT_WEEK",
    "LAST_MONTH",
    "THIS_MONTH",
    "NEXT_MONTH",
    "LAST_90_DAYS",
    "NEXT_90_DAYS",
    "LAST_QUARTER",
    "THIS_QUARTER",
    "LAST_YEAR",
    "THIS_YEAR",
    "NEXT_YEAR",
];

const COUNTED: [&str; 10] = [
    "LAST_N_DAYS",
    "NEXT_N_DAYS",
    "N_DAYS_AGO",
    "LAST_N_WEEKS",
    "NEXT_N_WEEKS",
    "LAST_N_MONTHS",
    "NEXT_N_MONTHS",
    "LAST_N_YEARS",
    "NEXT_N_YEARS",
    "N_MONTHS_AGO",
];

/// Whether this is a date literal's name.
pub(super) fn known(name: &str) -> bool {
    PLAIN.contains(&name) || COUNTED.contains(&name)
}

/// The days from the first up to, but without, the second. The org's time zone is UTC.
pub(super) fn range(name: &str, count: Option<i64>, now: Timestamp) -> Option<(Date, Date)> {
    if COUNTED.contains(&name) != count.is_some() {
        return None;
    }
    let today = tz::Offset::UTC.to_datetime(now).date();
    let n = count.unwrap_or_default();
    let week = today
        .checked_sub(Span::new().days(i64::from(today.weekday().since(Weekday::Sunday))))
        .ok()?;
    let month = today.first_of_month();
    let year = today.first_of_year();
    let quarter = Date::new(today.year(), (today.month() - 1) / 3 * 3 + 1, 1).ok()?;
    match name {
        "YESTERDAY" => days(today, -1, 0),
        "TODAY" => days(today, 0, 1),
        "TOMORROW" => days(today, 1, 2),
        "LAST_WEEK" => days(week, -7, 0),
        "THIS_WEEK" => days(week, 0, 7),
        "NEXT_WEEK" => days(week, 7, 14),
        "LAST_MONTH" => months(month, -1, 0),
        "THIS_MONTH" => months(month, 0, 1),
        "NEXT_MONTH" => months(month, 1, 2),
        "LAST_QUARTER" => months(quarter, -3, 0),
        "THIS_QUARTER" => months(quarter, 0, 3),
        "LAST_YEAR" => months(year, -12, 0),
        "THIS_YEAR" => months(year, 0, 12),
        "NEXT_YEAR" => months(year, 12, 24),
        "LAST_90_DAYS" => days(today, -90, 1),
        "NEXT_90_DAYS" => days(today, 1, 91),
        "LAST_N_DAYS" => days(today, n.checked_neg()?, 1),
        "NEXT_N_DAYS" => days(today, 1, n.checked_add(1)?),
        "N_DAYS_AGO" => days(today, n.checked_neg()?, n.checked_neg()?.checked_add(1)?),
        "LAST_N_WEEKS" => days(week, n.checked_mul(-7)?, 0),
        "NEXT_N_WEEKS" => days(week, 7, n.checked_mul(7)?.checked_add(7)?),
        "LAST_N_MONTHS" => months(month, n.checked_neg()?, 0),
        "NEXT_N_MONTHS" => months(month, 1, n.checked_add(1)?),
        "N_MONTHS_AGO" => months(month, n.checked_neg()?, n.checked_neg()?.checked_add(1)?),
        "LAST_N_YEARS" => months(year, n.checked_mul(-12)?, 0),
        "NEXT_N_YEARS" => months(year, 12, n.checked_mul(12)?.checked_add(12)?),
        _ => None,
    }
}

fn days(from: Date, start: i64, end: i64) -> Option<(Date, Date)> {
    let moved = |by: i64| from.checked_add(Span::new().try_days(by).ok()?).ok();
    Some((moved(start)?, moved(end)?))
}

fn months(from: Date, start: i64, end: i64) -> Option<(Date, Date)> {
    let moved = |by: i64| from.checked_add(Span::new().try_months(by).ok()?).ok();
    Some((moved(start)?, moved(end)?))
}

/// The first second of a day.
pub(super) fn midnight(day: Date) -> i64 {
    day.to_zoned(tz::TimeZone::UTC)
        .map_or(0, |zoned| zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_cover_the_days_they_name() {
        let now: Timestamp = "2026-03-18T15:00:00Z".parse().unwrap();
        let text = |name: &str, count| {
            let (from, to) = range(name, count, now).unwrap();
            format!("{from}..{to}")
        };
        assert_eq!(text("TODAY", None), "2026-03-18..2026-03-19");
        assert_eq!(text("THIS_WEEK", None), "2026-03-15..2026-03-22");
        assert_eq!(text("LAST_MONTH", None), "2026-02-01..2026-03-01");
        assert_eq!(text("THIS_QUARTER", None), "2026-01-01..2026-04-01");
        assert_eq!(text("LAST_N_DAYS", Some(7)), "2026-03-11..2026-03-19");
        assert_eq!(text("NEXT_N_DAYS", Some(2)), "2026-03-19..2026-03-21");
        assert_eq!(range("LAST_N_DAYS", None, now), None);
        assert_eq!(range("LAST_N_DAYS", Some(i64::MAX), now), None);
    }
}
