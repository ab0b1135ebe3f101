//! What stands in the parentheses of `accounts(…)`.

use crmgate_connector::{Malformed, Target};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::table::{Column, ColumnKind, Property, Table};
use crate::value;

/// All but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A key as written, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// `accounts(5d8a…)`.
    Id(String),
    /// `accounts(accountnumber='A-1',b=2)`.
    Named(Vec<(String, Literal)>),
}

/// A value in a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal {
    /// `'O''Hara'`, without the quotes.
    Quoted(String),
    /// Anything else.
    Bare(String),
}

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        let bad = |why: &str| Malformed::new("invalid_id", format!("the key `({text})`: {why}"));
        if !text.contains(['=', '\'']) {
            let id = value::guid(text).filter(|_| !text.starts_with('{'));
            return id
                .map(Self::Id)
                .ok_or_else(|| bad("expected a GUID or `column=value`"));
        }
        let mut named: Vec<(String, Literal)> = Vec::new();
        let mut rest = text;
        loop {
            let (name, after) = rest
                .split_once('=')
                .ok_or_else(|| bad("expected `column=value`"))?;
            let name = name.trim();
            if !is_name(name) {
                return Err(bad("expected a column's name before `=`"));
            }
            if named.iter().any(|(known, _)| known == name) {
                return Err(bad("a column is named twice"));
            }
            let (literal, after) =
                literal(after.trim_start()).ok_or_else(|| bad("a value that cannot be read"))?;
            named.push((name.to_owned(), literal));
            let after = after.trim_start();
            match after.strip_prefix(',') {
                Some(more) => rest = more,
                None if after.is_empty() => return Ok(Self::Named(named)),
                None => return Err(bad("expected `,` between two values")),
            }
        }
    }

    /// The record that the key names in this table.
    ///
    /// # Errors
    /// When it is none of the table's keys, or a value does not fit its column.
    pub(crate) fn target(&self, table: &Table) -> Result<Target, Malformed> {
        let named = match self {
            Self::Id(id) => return Ok(Target::Id(id.clone())),
            Self::Named(named) => named,
        };
        let mut values = Vec::with_capacity(named.len());
        for (name, literal) in named {
            let column = key_column(table, name)?;
            values.push((column.name.clone(), literal.value(column)?));
        }
        if let [(name, id)] = values.as_slice()
            && *name == table.primary_id
        {
            return Ok(Target::Id(id.clone()));
        }
        let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
        if !table.is_key(&names) {
            return Err(Malformed::new(
                "invalid_id",
                format!(
                    "`{}` is no alternate key of `{}`",
                    names.join(","),
                    table.name
                ),
            ));
        }
        values.sort();
        Ok(Target::Key(values))
    }
}

impl Literal {
    /// The value as normalized text.
    fn value(&self, column: &Column) -> Result<String, Malformed> {
        let wrong = || {
            Malformed::field(
                "invalid_id",
                &column.name,
                format!(
                    "the value of `{}` in the key does not fit the column",
                    column.name
                ),
            )
        };
        let (text, quoted) = match self {
            Self::Quoted(text) => (text, true),
            Self::Bare(text) => (text, false),
        };
        if (column.kind == ColumnKind::Text) != quoted || text.is_empty() {
            return Err(wrong());
        }
        let value = match column.kind {
            ColumnKind::Text => return Ok(text.clone()),
            ColumnKind::Lookup | ColumnKind::Id => return value::guid(text).ok_or_else(wrong),
            ColumnKind::Decimal | ColumnKind::Money => value::number(text),
            _ => value::normalize(column.kind, &text.as_str().into()).ok(),
        };
        value.as_ref().and_then(value::text).ok_or_else(wrong)
    }
}

fn key_column<'t>(table: &'t Table, name: &str) -> Result<&'t Column, Malformed> {
    let column = match table.property(name) {
        Some(Property::Column(column)) if column.kind != ColumnKind::Lookup => Some(column),
        Some(Property::LookupValue(column)) => Some(column),
        _ => None,
    };
    column.ok_or_else(|| {
        let message = format!("`{}` has no column `{name}` to be found by", table.name);
        Malformed::field("invalid_id", name, message)
    })
}

/// A target as it stands in the parentheses, percent-encoded.
pub(crate) fn render(table: &Table, target: &Target) -> String {
    let values = match target {
        Target::New => return String::new(),
        Target::Id(id) => return id.clone(),
        Target::Key(values) => values,
    };
    let parts: Vec<String> = values
        .iter()
        .map(
            |(name, text)| match table.column(name).map(|column| column.kind) {
                Some(ColumnKind::Lookup) => format!("_{name}_value={text}"),
                Some(ColumnKind::Text) => {
                    let doubled = text.replace('\'', "''");
                    format!("{name}='{}'", utf8_percent_encode(&doubled, RESERVED))
                }
                _ => format!("{name}={}", utf8_percent_encode(text, RESERVED)),
            },
        )
        .collect();
    parts.join(",")
}

/// A name of the protocol: a set, a column, a navigation property.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn literal(text: &str) -> Option<(Literal, &str)> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let end = text.find(',').unwrap_or(text.len());
        let (bare, after) = text.split_at(end);
        let bare = bare.trim();
        let plain = !bare.is_empty() && !bare.contains(['\'', '"', '(', ')', '=', '@']);
        return plain.then(|| (Literal::Bare(bare.to_owned()), after));
    };
    let mut out = String::new();
    loop {
        let (part, after) = rest.split_once('\'')?;
        out.push_str(part);
        match after.strip_prefix('\'') {
            Some(more) => {
                out.push('\'');
                rest = more;
            }
            None => return Some((Literal::Quoted(out), after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_ids_and_alternate_keys() {
        let id = "5D8A0E4C-0000-4000-8000-000000000001";
        assert_eq!(Key::parse(id).unwrap(), Key::Id(id.to_ascii_lowercase()));
        assert_eq!(
            Key::parse("a='O''Ha,r=a', _b_value=2").unwrap(),
            Key::Named(vec![
                ("a".into(), Literal::Quoted("O'Ha,r=a".into())),
                ("_b_value".into(), Literal::Bare("2".into())),
            ])
        );
    }

    #[test]
    fn refuses_what_can_be_read_two_ways() {
        for bad in [
            "",
            "1",
            "a=",
            "a='x",
            "a='x'y",
            "a=1,a=2",
            "a=1,,b=2",
            "=1",
            "a b=1",
            "a=@p",
            "{5d8a0e4c-0000-4000-8000-000000000001}",
            "a=(1)",
            "'x'",
            "a==1",
        ] {
            assert!(Key::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_quoted_text_comes_back(text in ".*", noise in ".*") {
            let _ = Key::parse(&noise);
            let written = format!("k='{}'", text.replace('\'', "''"));
            let expected = Key::Named(vec![("k".into(), Literal::Quoted(text))]);
            prop_assert_eq!(Key::parse(&written).unwrap(), expected);
        }
    }
}
