//! Ranges, products, shifts, and numbers from texts.

use regorus::Value;

use super::size;
use super::{Bound, Bounded, MAX_ITEMS, at_most, more_than};

/// Digits of a number that a function reads or makes.
const MAX_DIGITS: usize = 1000;
/// Bits by which a number is shifted.
const MAX_SHIFT: usize = 4096;

pub(super) const BOUNDED: &[Bounded] = &[
    ("numbers.range", range),
    ("numbers.range_step", range_step),
    ("product", product),
    ("bits.lsh", shift),
    ("to_number", number),
    ("units.parse", number),
    ("units.parse_bytes", number),
    ("json.unmarshal", json),
    ("json.is_valid", json),
];

fn range(args: &[Value]) -> Bound {
    steps(args, 1)
}

fn range_step(args: &[Value]) -> Bound {
    let step = args.get(2).and_then(|step| step.as_i64().ok());
    steps(args, step.filter(|step| *step > 0).unwrap_or(1).into())
}

fn steps(args: &[Value], step: i128) -> Bound {
    let [from, to, ..] = args else {
        return Ok(());
    };
    if !matches!((from, to), (Value::Number(_), Value::Number(_))) {
        return Ok(());
    }
    let both = from.as_i128().ok().zip(to.as_i128().ok());
    let Some(distance) = both.and_then(|(from, to)| to.checked_sub(from)) else {
        let whole = |value: &Value| matches!(value, Value::Number(n) if n.is_integer());
        // Fractions are refused by the function itself.
        return if whole(from) && whole(to) {
            Err(more_than("numbers:", MAX_ITEMS))
        } else {
            Ok(())
        };
    };
    let count = distance.unsigned_abs() / step.unsigned_abs().max(1);
    at_most(
        "numbers:",
        usize::try_from(count).unwrap_or(usize::MAX),
        MAX_ITEMS,
    )
}

fn product(args: &[Value]) -> Bound {
    let large = |value: &Value| size::digits(value).saturating_sub(19);
    let digits: usize = match args.first() {
        Some(Value::Array(items)) => items.iter().map(large).sum(),
        Some(Value::Set(items)) => items.iter().map(large).sum(),
        _ => 0,
    };
    let items = match args.first() {
        Some(Value::Array(items)) => items.len(),
        Some(Value::Set(items)) => items.len(),
        _ => 0,
    };
    at_most("factors:", items, MAX_DIGITS)?;
    at_most("digits:", digits, MAX_DIGITS * 20)
}

fn shift(args: &[Value]) -> Bound {
    let Some(by @ Value::Number(_)) = args.get(1) else {
        return Ok(());
    };
    match by.as_i64() {
        Ok(by) => at_most("bits:", usize::try_from(by).unwrap_or(0), MAX_SHIFT),
        Err(_) => Ok(()),
    }
}

fn number(args: &[Value]) -> Bound {
    let text = size::text(args.first());
    at_most("characters:", text.len(), MAX_DIGITS)?;
    let lower = text.to_ascii_lowercase();
    for (at, _) in lower.match_indices('e') {
        exponent(lower.get(at + 1..).unwrap_or_default())?;
    }
    Ok(())
}

/// A power of ten makes as many digits as it says.
fn exponent(rest: &str) -> Bound {
    let digits: String = rest
        .trim_start_matches(['+', '-'])
        .chars()
        .filter(|c| *c != '_')
        .take_while(char::is_ascii_digit)
        .take(12)
        .collect();
    let power = digits.parse().unwrap_or(0);
    at_most("powers of ten:", power, MAX_DIGITS)
}

/// The numbers of a JSON text.
fn json(args: &[Value]) -> Bound {
    let text = size::text(args.first());
    at_most("bytes:", text.len(), super::MAX_TEXT)?;
    let mut quoted = false;
    let mut escaped = false;
    let mut run = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'e' | b'E' if run > 0 => exponent(text.get(at + 1..).unwrap_or_default())?,
            b'0'..=b'9' | b'.' => run += 1,
            _ => run = 0,
        }
        at_most("digits:", run, MAX_DIGITS)?;
        if !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') {
            run = 0;
        }
    }
    Ok(())
}
