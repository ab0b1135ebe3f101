//! Values as people of the organization's locale see them.

use rust_decimal::Decimal;

use super::super::schema::{Column, Kind};
use super::{Cell, fixed};

/// The formatted value, where a column has one. Lookups need their row's name and are formatted by the reader.
pub(crate) fn formatted(column: &Column, cell: &Cell, symbol: &str) -> Option<String> {
    match (&column.kind, cell) {
        (_, Cell::Null | Cell::Text(_) | Cell::Guid(_) | Cell::Lookup(_)) => None,
        (Kind::Bool { yes, no }, Cell::Bool(value)) => {
            Some(if *value { yes.clone() } else { no.clone() })
        }
        (Kind::Money { .. }, Cell::Decimal(value)) => {
            Some(format!("{symbol}{}", grouped(&fixed(*value, 2))))
        }
        (Kind::Decimal { precision, .. }, Cell::Decimal(value)) => {
            Some(grouped(&fixed(*value, *precision)))
        }
        (_, Cell::Choices(values)) => Some(
            values
                .iter()
                .filter_map(|value| column.label_of(*value))
                .collect::<Vec<_>>()
                .join("; "),
        ),
        (_, Cell::Int(value)) => Some(match column.label_of(*value) {
            Some(label) => label.to_owned(),
            None => grouped(&fixed(Decimal::from(*value), 0)),
        }),
        (_, Cell::Time(at)) => Some(at.strftime("%-m/%-d/%Y %-I:%M %p").to_string()),
        (_, Cell::Date(day)) => Some(day.strftime("%-m/%-d/%Y").to_string()),
        (_, Cell::Bool(_) | Cell::Decimal(_)) => None,
    }
}

/// `1234567.50` → `1,234,567.50`.
fn grouped(number: &str) -> String {
    let (sign, digits) = number
        .strip_prefix('-')
        .map_or(("", number), |digits| ("-", digits));
    let (whole, rest) = digits
        .find('.')
        .map_or((digits, ""), |point| digits.split_at(point));
    let mut out = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped("1234567.50"), "1,234,567.50");
        assert_eq!(grouped("-123"), "-123");
        assert_eq!(grouped("0.5"), "0.5");
    }
}
