//! Literals as values of the column that they are compared with.

use rust_decimal::Decimal;
use uuid::Uuid;

use jiff::tz::TimeZone;

use super::super::cell::{Cell, fold, parse_decimal, parse_time};
use super::super::error::{ApiError, Outcome};
use super::super::schema::{Column, Kind};
use super::bind::Place;
use super::expression::{Compare, Literal};

/// What `contains` and its siblings look for: `%`, `_` and `[…]` stand for others, as in the service's SQL.
#[derive(Clone, Debug)]
pub(crate) struct Wildcard {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Letter(char),
    One,
    Any,
    Of(Vec<char>, bool),
}

impl Wildcard {
    pub(super) fn new(function: &str, text: &str) -> Self {
        let mut parts = Vec::new();
        if function != "startswith" {
            parts.push(Part::Any);
        }
        parts.extend(read(&text.to_lowercase()));
        if function != "endswith" {
            parts.push(Part::Any);
        }
        Self { parts }
    }

    /// A whole pattern, as `like` has it.
    pub(super) fn like(text: &str) -> Self {
        Self {
            parts: read(&fold(text)),
        }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let letters: Vec<char> = text.chars().collect();
        // Greedy with one step back to the last `%`: linear in memory, never exponential.
        let (mut at, mut part) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match (self.parts.get(part), letters.get(at)) {
                (Some(Part::Any), _) => {
                    retry = Some((part + 1, at));
                    part += 1;
                }
                (Some(wanted), Some(letter)) if wanted.fits(*letter) => {
                    at += 1;
                    part += 1;
                }
                (None, None) => return true,
                _ => match retry {
                    Some((after, from)) if from < letters.len() => {
                        part = after;
                        at = from + 1;
                        retry = Some((after, from + 1));
                    }
                    _ => return false,
                },
            }
        }
    }
}

impl Part {
    fn fits(&self, letter: char) -> bool {
        match self {
            Self::Letter(wanted) => *wanted == letter,
            Self::One => true,
            Self::Of(letters, not) => letters.contains(&letter) != *not,
            Self::Any => false,
        }
    }
}

fn read(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        parts.push(match letter {
            '%' => Part::Any,
            '_' => Part::One,
            '[' => match letters.as_str().split_once(']') {
                Some((inside, after)) => {
                    letters = after.chars();
                    let (inside, not) = inside
                        .strip_prefix('^')
                        .map_or((inside, false), |inside| (inside, true));
                    Part::Of(inside.chars().collect(), not)
                }
                None => Part::Letter('['),
            },
            other => Part::Letter(other),
        });
    }
    parts
}

/// A literal as a value that can be compared with the place's, or the service's complaint about the types.
pub(super) fn comparable(place: &Place, compare: Compare, literal: &Literal) -> Outcome<Cell> {
    let column = column(place)?;
    convert(column, literal, false)
        .ok_or_else(|| incompatible(column.edm(), literal.edm(), compare))
}

/// Literals of a list; here numbers and the like may stand in quotes.
pub(super) fn list(place: &Place, items: &[Literal]) -> Outcome<Vec<Cell>> {
    let column = column(place)?;
    items
        .iter()
        .map(|item| {
            convert(column, item, true)
                .ok_or_else(|| incompatible(column.edm(), item.edm(), Compare::Eq))
        })
        .collect()
}

pub(super) fn choices(place: &Place, values: Option<&Literal>) -> Outcome<Vec<i64>> {
    let column = column(place)?;
    if !matches!(column.kind, Kind::Choices { .. }) {
        return Err(ApiError::query(format!(
            "ContainValues needs a multiple choice; '{}' is none.",
            column.name
        )));
    }
    let items = match values {
        Some(Literal::List(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let number = |item: &Literal| match item {
        Literal::Number(text) | Literal::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    let wanted: Option<Vec<i64>> = items.iter().map(number).collect();
    wanted.ok_or_else(|| ApiError::query("ContainValues takes whole numbers."))
}

pub(super) fn must_be_text(place: &Place, function: &str) -> Outcome<()> {
    let column = column(place)?;
    if matches!(column.kind, Kind::Text { .. } | Kind::Memo { .. }) {
        return Ok(());
    }
    Err(ApiError::query(format!(
        "No function signature for the function with name '{function}' matches the specified arguments. The function signatures considered are: {function}(Edm.String Nullable=true, Edm.String Nullable=true)."
    )))
}

pub(super) fn same_kind(one: &Place, compare: Compare, two: &Place) -> Outcome<()> {
    let (one, two) = (column(one)?, column(two)?);
    if one.edm() == two.edm() {
        Ok(())
    } else {
        Err(incompatible(one.edm(), two.edm(), compare))
    }
}

fn column(place: &Place) -> Outcome<&Column> {
    place
        .column()
        .ok_or_else(|| ApiError::internal("a filter names a column that is gone"))
}

fn incompatible(one: &str, two: &str, compare: Compare) -> ApiError {
    ApiError::query(format!(
        "A binary operator with incompatible types was detected. Found operand types '{one}' and '{two}' for operator kind '{}'.",
        compare.kind()
    ))
}

/// `None` where the types don't go together. With `lenient`, values may stand in quotes.
fn convert(column: &Column, literal: &Literal, lenient: bool) -> Option<Cell> {
    Some(match (&column.kind, literal) {
        (_, Literal::Null) => Cell::Null,
        (Kind::Text { .. } | Kind::Memo { .. }, Literal::Text(text)) => Cell::Text(text.clone()),
        (Kind::Choices { .. }, Literal::Text(text)) => {
            let mut values: Vec<i64> = text
                .split(',')
                .map(|part| part.trim().parse().ok())
                .collect::<Option<_>>()?;
            values.sort_unstable();
            Cell::Choices(values)
        }
        (Kind::Id | Kind::Guid | Kind::Lookup { .. }, Literal::Guid(id)) => Cell::Guid(*id),
        // The service tolerates identifiers in quotes.
        (Kind::Id | Kind::Guid | Kind::Lookup { .. }, Literal::Text(text)) => {
            Cell::Guid(Uuid::try_parse(text.trim_matches(['{', '}'])).ok()?)
        }
        (
            Kind::Int { .. }
            | Kind::BigInt
            | Kind::Choice { .. }
            | Kind::State { .. }
            | Kind::Status { .. }
            | Kind::Decimal { .. }
            | Kind::Money { .. },
            Literal::Number(text),
        ) => number(text)?,
        (Kind::Bool { .. }, Literal::Bool(value)) => Cell::Bool(*value),
        (Kind::Date, Literal::Date(day)) => Cell::Date(*day),
        (Kind::Date, Literal::Time(at)) => Cell::Date(at.to_zoned(TimeZone::UTC).date()),
        (Kind::Time, Literal::Time(at)) => Cell::Time(*at),
        (Kind::Time, Literal::Date(day)) => {
            Cell::Time(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
        }
        (kind, Literal::Text(text)) if lenient => match kind {
            Kind::Bool { .. } => Cell::Bool(matches!(text.as_str(), "true" | "1")),
            Kind::Date => Cell::Date(text.get(..10)?.parse().ok()?),
            Kind::Time => Cell::Time(parse_time(text)?),
            _ => number(text)?,
        },
        _ => return None,
    })
}

fn number(text: &str) -> Option<Cell> {
    let value: Decimal = parse_decimal(text)?;
    Some(match i64::try_from(value) {
        Ok(whole) if value.fract().is_zero() => Cell::Int(whole),
        _ => Cell::Decimal(value),
    })
}
