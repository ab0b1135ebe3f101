//! Addresses: the segments of a path, keys in parentheses, and references to rows in bodies.

use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::cell::{Cell, parse_decimal, parse_time};
use super::error::{ApiError, Outcome};
use super::schema::{Kind, Schema, Table};
use super::store::{Row, Store};

/// What the web server before the service refuses in a path, wherever it stands.
const DANGEROUS: [char; 8] = ['<', '>', '*', '%', '&', ':', '\\', '?'];

/// One segment of a path: `accounts(…)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) name: String,
    /// What stands in the parentheses, if there are any.
    pub(crate) arguments: Option<Vec<Argument>>,
}

/// `name=value`, or a value alone. The value is as it was written, with its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) name: Option<String>,
    pub(crate) value: String,
}

/// A row as an address names it.
#[derive(Clone, Debug)]
pub(crate) enum RowKey {
    Id(Uuid),
    /// By the table's alternate key with this number.
    Key {
        index: usize,
        values: Vec<(String, Cell)>,
    },
}

impl Segment {
    pub(crate) fn plain(&self) -> Option<&str> {
        self.arguments.is_none().then_some(self.name.as_str())
    }
}

/// Takes a path, still percent-encoded, apart.
pub(crate) fn segments(path: &str) -> Outcome<Vec<Segment>> {
    split_path(path)
        .into_iter()
        .map(|part| {
            let part = percent_decode_str(part)
                .decode_utf8()
                .map_err(|_| syntax("the path is not UTF-8"))?;
            if let Some(bad) = part.chars().find(|letter| DANGEROUS.contains(letter)) {
                return Err(ApiError::query(format!(
                    "A potentially dangerous Request.Path value was detected from the client ({bad})."
                )));
            }
            segment(&part)
        })
        .collect()
}

/// Cuts at the slashes that don't stand in quotes.
fn split_path(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted) = (0, false);
    let bytes = path.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            b'%' if bytes.get(index + 1..index + 3) == Some(b"27") => quoted = !quoted,
            b'/' if !quoted => {
                parts.extend(path.get(start..index));
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.extend(path.get(start..));
    parts.retain(|part| !part.is_empty());
    parts
}

fn segment(text: &str) -> Outcome<Segment> {
    let Some((name, rest)) = text.split_once('(') else {
        return Ok(Segment {
            name: text.to_owned(),
            arguments: None,
        });
    };
    let inner = rest
        .strip_suffix(')')
        .ok_or_else(|| syntax(&format!("'{text}' has no closing parenthesis")))?;
    Ok(Segment {
        name: name.to_owned(),
        arguments: Some(arguments(inner)),
    })
}

fn arguments(inner: &str) -> Vec<Argument> {
    split_outside(inner, ',')
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let named = split_outside(part, '=');
            match named.as_slice() {
                [name, rest @ ..] if !rest.is_empty() => Argument {
                    name: Some(name.trim().to_owned()),
                    value: part
                        .get(name.len() + 1..)
                        .unwrap_or_default()
                        .trim()
                        .to_owned(),
                },
                _ => Argument {
                    name: None,
                    value: part.to_owned(),
                },
            }
        })
        .collect()
}

/// Cuts at `mark` where it stands neither in quotes nor in parentheses or brackets.
pub(crate) fn split_outside(text: &str, mark: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_i32);
    let mut quote: Option<char> = None;
    for (index, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth -= 1,
            (None, _) if letter == mark && depth == 0 => {
                parts.extend(text.get(start..index));
                start = index + letter.len_utf8();
            }
            (None, _) => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

/// `'O''Hara'` → `O'Hara`.
pub(crate) fn unquoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(inner.replace("''", "'"))
}

fn syntax(detail: &str) -> ApiError {
    ApiError::query(format!("Bad Request - Error in query syntax: {detail}."))
}

/// Reads the key in an address of `table`.
pub(crate) fn row_key(table: &Table, arguments: &[Argument]) -> Outcome<RowKey> {
    if let [Argument { name: None, value }] = arguments {
        return Uuid::try_parse(value)
            .map(RowKey::Id)
            .map_err(|_| syntax(&format!("'{value}' is not an Edm.Guid")));
    }
    if let [
        Argument {
            name: Some(name),
            value,
        },
    ] = arguments
        && *name == table.id
        && !matches!(&*table.name, "systemuser" | "team")
    {
        return Uuid::try_parse(value)
            .map(RowKey::Id)
            .map_err(|_| syntax(&format!("'{value}' is not an Edm.Guid")));
    }
    let mut values = Vec::new();
    for argument in arguments {
        let name = argument.name.as_deref().unwrap_or_default();
        let column = match table.lookup_value(name) {
            Some(column) => column,
            None => table
                .column(name)
                .filter(|column| !column.is_lookup())
                .ok_or_else(|| ApiError::no_property(name, &table.type_name()))?,
        };
        let cell = key_value(table, &column.kind, &argument.value)
            .ok_or_else(|| syntax(&format!("'{}' is not an {}", argument.value, column.edm())))?;
        values.push((column.name.clone(), cell));
    }
    let index = table.keys.iter().position(|key| {
        key.columns.len() == values.len()
            && key
                .columns
                .iter()
                .all(|column| values.iter().any(|(name, _)| name == column))
    });
    let index = index.ok_or_else(|| {
        ApiError::query(format!(
            "The specified key attributes are not a defined key for the {} entity",
            table.name
        ))
    })?;
    Ok(RowKey::Key { index, values })
}

fn key_value(table: &Table, kind: &Kind, text: &str) -> Option<Cell> {
    Some(match kind {
        Kind::Text { .. } | Kind::Memo { .. } | Kind::Choices { .. } => Cell::Text(unquoted(text)?),
        Kind::Int { .. }
        | Kind::BigInt
        | Kind::Choice { .. }
        | Kind::State { .. }
        | Kind::Status { .. } => Cell::Int(text.parse().ok()?),
        Kind::Decimal { .. } | Kind::Money { .. } => Cell::Decimal(parse_decimal(text)?),
        Kind::Bool { .. } => Cell::Bool(text.parse().ok()?),
        Kind::Id | Kind::Guid => Cell::Guid(Uuid::try_parse(text).ok()?),
        Kind::Date => Cell::Date(text.parse().ok()?),
        Kind::Time => Cell::Time(parse_time(text)?),
        Kind::Lookup { targets } => Cell::Lookup(super::cell::Reference {
            table: targets
                .first()
                .map_or_else(|| table.name.clone(), |target| target.table.clone()),
            id: Uuid::try_parse(text).ok()?,
        }),
    })
}

impl RowKey {
    /// The row, if there is one.
    pub(crate) fn find<'a>(
        &self,
        store: &'a Store,
        table: &Table,
    ) -> Option<&'a std::sync::Arc<Row>> {
        match self {
            Self::Id(id) => store.row(&table.name, *id),
            Self::Key { index, values } => {
                let key = table.keys.get(*index)?;
                let texts: Option<Vec<String>> = key
                    .columns
                    .iter()
                    .map(|column| {
                        let (_, cell) = values.iter().find(|(name, _)| name == column)?;
                        cell.key_text()
                    })
                    .collect();
                store.by_key(table, *index, &texts?)
            }
        }
    }

    /// The row, or the service's answer that there is none.
    pub(crate) fn require<'a>(
        &self,
        store: &'a Store,
        table: &Table,
    ) -> Outcome<&'a std::sync::Arc<Row>> {
        self.find(store, table).ok_or_else(|| match self {
            Self::Id(id) => ApiError::no_row(&table.name, *id),
            Self::Key { .. } => ApiError::no_row_by_key(&table.name),
        })
    }
}

/// What a reference such as `/contacts(…)` or `https://host/api/data/v9.2/contacts(…)` names. Addresses of other hosts
/// are none of this service's.
pub(crate) fn reference(
    schema: &Schema,
    base_url: &str,
    text: &str,
) -> Outcome<(std::sync::Arc<Table>, RowKey)> {
    let path = relative(base_url, text)?;
    if path.starts_with('$') {
        return Err(ApiError::query(format!(
            "Content-ID Reference: '{path}' does not exist in the batch context."
        )));
    }
    let parts = segments(path)?;
    let [
        Segment {
            name,
            arguments: Some(arguments),
        },
    ] = parts.as_slice()
    else {
        return Err(ApiError::query(format!(
            "Invalid URI '{text}': expected an entity set with a key."
        )));
    };
    let table = schema.set(name).ok_or_else(|| ApiError::no_segment(name))?;
    let key = row_key(table, arguments)?;
    Ok((std::sync::Arc::clone(table), key))
}

fn relative<'a>(base_url: &str, text: &'a str) -> Outcome<&'a str> {
    let path = if text.contains("://") {
        text.strip_prefix(base_url)
            .filter(|rest| rest.starts_with("/api/data/v"))
            .ok_or_else(|| {
                ApiError::query(format!(
                    "The URI '{text}' is not valid because it is not based on '{base_url}/api/data/v9.2/'."
                ))
            })?
    } else {
        text
    };
    let path = path.trim_start_matches('/');
    Ok(match path.strip_prefix("api/data/v") {
        Some(rest) => rest.split_once('/').map_or("", |(_, rest)| rest),
        None => path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_commas_slashes_and_equals_together() {
        let parts = segments("accounts(accountnumber='a/b,c=d''e')/name").unwrap();
        assert_eq!(parts.len(), 2);
        let arguments = parts[0].arguments.as_ref().unwrap();
        assert_eq!(arguments.len(), 1);
        assert_eq!(arguments[0].name.as_deref(), Some("accountnumber"));
        assert_eq!(unquoted(&arguments[0].value).as_deref(), Some("a/b,c=d'e"));
        assert_eq!(segments("accounts(a=%27x%2Fy%27)").unwrap().len(), 1);
    }

    #[test]
    fn other_hosts_are_refused() {
        let schema = Schema::shipped().unwrap();
        let base = "http://127.0.0.1:1";
        let id = Uuid::nil();
        for good in [
            format!("/contacts({id})"),
            format!("contacts({id})"),
            format!("{base}/api/data/v9.2/contacts({id})"),
            format!("/api/data/v9.1/contacts({id})"),
        ] {
            let (table, _) = reference(&schema, base, &good).unwrap();
            assert_eq!(&*table.name, "contact", "{good}");
        }
        for bad in [
            format!("http://127.0.0.2:1/api/data/v9.2/contacts({id})"),
            "$1".to_owned(),
            "/contacts".to_owned(),
            format!("/nothings({id})"),
        ] {
            assert!(reference(&schema, base, &bad).is_err(), "{bad}");
        }
    }
}
