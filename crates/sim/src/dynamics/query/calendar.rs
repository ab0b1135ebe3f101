//! The service's date functions: spans of days around now.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::super::cell::Cell;
use super::super::schema::Kind;
use super::bind::Place;
use super::expression::Literal;

/// From when to when, both included, if the function is one of those that are simulated.
pub(super) fn span(
    function: &str,
    value: Option<&Literal>,
    now: Timestamp,
) -> Option<(Timestamp, Timestamp)> {
    let zoned = now.to_zoned(TimeZone::UTC);
    let midnight = zoned.start_of_day().ok()?;
    let days = |count: i64| midnight.checked_add(Span::new().try_days(count).ok()?).ok();
    let end = |zoned: jiff::Zoned| zoned.timestamp().checked_sub(Span::new().seconds(1)).ok();
    let count = match value {
        Some(Literal::Number(text) | Literal::Text(text)) => text.parse::<i64>().ok(),
        _ => None,
    };
    Some(match function {
        "Today" => (midnight.timestamp(), end(days(1)?)?),
        "Yesterday" => (days(-1)?.timestamp(), end(midnight)?),
        "Tomorrow" => (days(1)?.timestamp(), end(days(2)?)?),
        "Last7Days" => (days(-7)?.timestamp(), now),
        "Next7Days" => (now, end(days(8)?)?),
        "LastXDays" => (days(count?.checked_neg()?)?.timestamp(), now),
        "NextXDays" => (now, end(days(count?.checked_add(1)?)?)?),
        "LastXHours" => (
            now.checked_sub(Span::new().try_hours(count?).ok()?).ok()?,
            now,
        ),
        "NextXHours" => (
            now,
            now.checked_add(Span::new().try_hours(count?).ok()?).ok()?,
        ),
        "OnOrAfter" | "OnOrBefore" | "On" => on(function, value?)?,
        _ => return None,
    })
}

fn on(function: &str, value: &Literal) -> Option<(Timestamp, Timestamp)> {
    let day = match value {
        Literal::Date(day) => *day,
        Literal::Time(at) => at.to_zoned(TimeZone::UTC).date(),
        Literal::Text(text) => text.get(..10)?.parse().ok()?,
        _ => return None,
    };
    let start = day.to_zoned(TimeZone::UTC).ok()?;
    let next = start.checked_add(Span::new().days(1)).ok()?;
    let end = next.timestamp().checked_sub(Span::new().seconds(1)).ok()?;
    Some(match function {
        "OnOrAfter" => (start.timestamp(), Timestamp::MAX),
        "OnOrBefore" => (Timestamp::MIN, end),
        _ => (start.timestamp(), end),
    })
}

/// The span as values of the place's kind.
pub(super) fn bounds(place: &Place, from: Timestamp, to: Timestamp) -> (Cell, Cell) {
    let date_only = place
        .column()
        .is_some_and(|column| matches!(column.kind, Kind::Date));
    if date_only {
        let day = |at: Timestamp| Cell::Date(at.to_zoned(TimeZone::UTC).date());
        (day(from), day(to))
    } else {
        (Cell::Time(from), Cell::Time(to))
    }
}
