//! Numbers kept as the text they were written in.

use std::fmt;

use serde::{Serialize, Serializer};

/// A JSON number as written: `1250.50` stays `1250.50` (only `1e3` becomes `1e+3`).
///
/// Equality is by value: `1.50 == 1.5 == 15e-1`.
#[derive(Clone)]
pub struct Number(String);

impl Number {
    /// Reads a number in JSON's grammar.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_json_number(text.as_bytes()).then(|| Self(text.to_owned()))
    }

    /// A finite float, in its shortest form.
    #[must_use]
    pub fn from_f64(number: f64) -> Option<Self> {
        number.is_finite().then(|| {
            Self(
                serde_json::Number::from_f64(number)
                    .map_or_else(|| number.to_string(), |n| n.to_string()),
            )
        })
    }

    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value, when it is a whole number that fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.scaled(0)
    }

    /// The nearest float.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// The value times ten to the `places`, when that is whole and fits: exact, without floats.
    /// `12.5` at two places is 1250; `12.505` at two places is `None`.
    #[must_use]
    pub fn scaled(&self, places: u32) -> Option<i64> {
        let (negative, digits, exponent) = self.decimal()?;
        let shift = exponent.checked_add(i64::from(places))?;
        let whole = if digits.is_empty() {
            0_i128
        } else if shift >= 0 {
            let zeros = u32::try_from(shift).ok().filter(|zeros| *zeros <= 38)?;
            digits
                .parse::<i128>()
                .ok()?
                .checked_mul(10_i128.checked_pow(zeros)?)?
        } else {
            // `decimal` strips trailing zeros, so a negative shift leaves a fraction.
            return None;
        };
        i64::try_from(if negative { -whole } else { whole }).ok()
    }

    /// The one spelling of this value: plain digits without needless zeros, an exponent only for
    /// numbers of more than forty digits.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let Some((negative, digits, exponent)) = self.decimal() else {
            return self.clone();
        };
        let sign = if negative { "-" } else { "" };
        let small = usize::try_from(exponent.unsigned_abs())
            .ok()
            .filter(|shift| *shift <= 40);
        let Some(shift) = small else {
            return Self(format!("{sign}{digits}e{exponent:+}"));
        };
        if digits.is_empty() {
            return Self("0".to_owned());
        }
        if exponent >= 0 {
            return Self(format!("{sign}{digits}{}", "0".repeat(shift)));
        }
        let padded = format!("{digits:0>width$}", width = shift + 1);
        let (whole, fraction) = padded.split_at(padded.len() - shift);
        Self(format!("{sign}{whole}.{fraction}"))
    }

    /// Sign, significant digits without leading or trailing zeros, and the power of ten they are
    /// multiplied by. Zero has no digits and exponent 0.
    fn decimal(&self) -> Option<(bool, String, i64)> {
        let (negative, rest) = self
            .0
            .strip_prefix('-')
            .map_or((false, self.0.as_str()), |r| (true, r));
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let kept = all.trim_end_matches('0');
        if kept.is_empty() {
            return Some((false, String::new(), 0));
        }
        let dropped = i64::try_from(all.len() - kept.len()).ok()?;
        let fraction = i64::try_from(fraction.len()).ok()?;
        let exponent = exponent.checked_sub(fraction)?.checked_add(dropped)?;
        Some((negative, kept.trim_start_matches('0').to_owned(), exponent))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
            || matches!((self.decimal(), other.decimal()), (Some(mine), Some(theirs)) if mine == theirs)
    }
}

impl Eq for Number {}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.0
            .parse::<serde_json::Number>()
            .map_err(serde::ser::Error::custom)?
            .serialize(out)
    }
}

fn is_json_number(text: &[u8]) -> bool {
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = digits(rest);
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with(b"0")) {
        return false;
    }
    let rest = match rest.strip_prefix(b".") {
        Some(after) => match digits(after) {
            ([], _) => return false,
            (_, rest) => rest,
        },
        None => rest,
    };
    match rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        Some(after) => {
            let after = after
                .strip_prefix(b"+")
                .or_else(|| after.strip_prefix(b"-"))
                .unwrap_or(after);
            matches!(digits(after), ([_, ..], []))
        }
        None => rest.is_empty(),
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}
