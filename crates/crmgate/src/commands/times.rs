//! Times, as people write and read them.

use jiff::{Span, SpanRelativeTo, Timestamp};

use crate::ambient;
use crate::exit::{Exit, Failure};

/// A time as the API takes it: RFC 3339, or so long ago.
///
/// # Errors
/// When it is neither.
pub(super) fn moment(option: &str, text: Option<&str>) -> Result<Option<String>, Failure> {
    let now = ambient::system().now();
    text.map(|text| parse(text, now))
        .transpose()
        .map_err(|problem| Failure::new(Exit::Usage, format!("{option}: {problem}")))
}

fn parse(text: &str, now: Timestamp) -> Result<String, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.to_string());
    }
    let expected = || {
        format!(
            "`{text}` is no time: expected one such as 2026-03-01T12:00:00Z, or how long ago, such \
             as 2h or 7d"
        )
    };
    let span: Span = text.parse().map_err(|_| expected())?;
    let ago = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| expected())?;
    if ago.is_negative() {
        return Err(expected());
    }
    let at = now.checked_sub(ago).map_err(|_| expected())?;
    Ok(at.to_string())
}

/// `2026-03-01 12:00:00`: the rest is for programs.
pub(super) fn short_time(at: &str) -> String {
    at.get(..19).unwrap_or(at).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_moments_or_so_long_ago() {
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        assert_eq!(parse("2h", now).unwrap(), "2026-03-01T10:00:00Z");
        assert_eq!(parse("7d", now).unwrap(), "2026-02-22T12:00:00Z");
        assert_eq!(
            parse("2026-01-01T00:00:00+01:00", now).unwrap(),
            "2025-12-31T23:00:00Z"
        );
        for wrong in ["", "yesterday", "-2h", "12", "2026-01-01"] {
            assert!(
                parse(wrong, now).unwrap_err().contains("expected"),
                "{wrong}"
            );
        }
    }
}
