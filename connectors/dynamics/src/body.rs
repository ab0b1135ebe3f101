//! The body of a write: one record, flat.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crmgate_connector::Malformed;
use crmgate_domain::{Document, Object};
use url::Url;

use crate::key::Key;
use crate::metadata::Directory;
use crate::table::{ColumnKind, Property, Table};
use crate::value;

/// Where references in bodies may point.
pub(crate) struct Origins<'a> {
    pub(crate) gate: &'a Url,
    pub(crate) crm: &'a Url,
}

/// A lookup that is set by another record's key and must be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    /// The lookup column.
    pub(crate) column: String,
    /// The body's member that sets it.
    pub(crate) member: String,
    /// The other record's table.
    pub(crate) table: String,
    /// Its key as written.
    pub(crate) key: Key,
}

/// A body, read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Parsed {
    /// Columns and normalized values.
    pub(crate) change: Object,
    /// What would be sent: the members as they came, references relative.
    pub(crate) members: Object,
    /// Which member sets which column.
    pub(crate) member_of: BTreeMap<String, String>,
    /// Whether `members` differs from what came.
    pub(crate) rewritten: bool,
    /// Lookups still to be found.
    pub(crate) pending: Vec<Pending>,
}

/// Why a body cannot be read.
#[derive(Debug)]
pub(crate) enum BadBody {
    /// The table has no property of this name, as far as is known.
    UnknownField(Malformed),
    /// Anything else.
    Malformed(Malformed),
}

impl From<Malformed> for BadBody {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// Reads a body of one record.
///
/// # Errors
/// When it is not one record's flat body that can be read in one way only.
pub(crate) fn parse(
    body: &Object,
    table: &Table,
    directory: &Directory,
    origins: &Origins<'_>,
) -> Result<Parsed, BadBody> {
    if let Some(name) = body.first_duplicate(str::to_owned) {
        return Err(Malformed::field(
            "duplicate_field",
            name,
            format!("`{name}` stands in the body twice"),
        )
        .into());
    }
    let mut parsed = Parsed::default();
    for (name, value) in body.iter() {
        match name.split_once('@') {
            None => parsed.plain(table, name, value)?,
            Some(("", annotation)) => parsed.about_record(table, annotation, name, value)?,
            Some((nav, "odata.bind")) => {
                parsed.bind(table, directory, origins, (nav, name), value)?;
            }
            Some((column, "odata.type")) if value.as_str().is_some() => {
                known(table, column)?;
                parsed.members.push(name.to_owned(), value.clone());
            }
            // What reads add for people to look at, sent back.
            Some((_, rest))
                if rest.starts_with("OData.Community.")
                    || rest.starts_with("Microsoft.Dynamics.") =>
            {
                parsed.rewritten = true;
            }
            Some(_) => {
                return Err(not_understood(name, "an annotation that writes do not have").into());
            }
        }
    }
    Ok(parsed)
}

impl Parsed {
    fn plain(&mut self, table: &Table, name: &str, value: &Document) -> Result<(), BadBody> {
        let nested = matches!(value, Document::Object(_) | Document::Array(_));
        let column = match table.property(name) {
            Some(Property::Nav(column, _)) if value.is_null() => column,
            Some(Property::Nav(..)) => {
                let why = "a record inside a record would write a second one; write it by itself \
                           and refer to it with `@odata.bind`";
                return Err(not_understood(name, why).into());
            }
            Some(Property::LookupValue(_)) => {
                let message = format!(
                    "`{name}` is for reading: set the lookup by its navigation property and \
                     `@odata.bind`"
                );
                return Err(Malformed::field("invalid_value", name, message).into());
            }
            Some(Property::Column(column))
                if column.kind == ColumnKind::Lookup && !value.is_null() =>
            {
                let message = format!("`{name}` is a lookup: set it by `@odata.bind`");
                return Err(Malformed::field("invalid_value", name, message).into());
            }
            Some(Property::Column(column)) => column,
            None if nested => {
                let why = "records inside a record would be written, too; write each by itself";
                return Err(not_understood(name, why).into());
            }
            None => return Err(unknown(table, name)),
        };
        let normal = value::normalize(column.kind, value).map_err(|expected| {
            Malformed::field("invalid_value", name, format!("`{name}`: {expected}"))
        })?;
        self.put(&column.name, name, normal, value.clone())
    }

    fn bind(
        &mut self,
        table: &Table,
        directory: &Directory,
        origins: &Origins<'_>,
        (nav, member): (&str, &str),
        value: &Document,
    ) -> Result<(), BadBody> {
        let (column, targets) = match table.property(nav) {
            Some(Property::Nav(column, targets)) => (column.name.clone(), targets),
            _ if matches!(value, Document::Array(_)) => {
                let why = "it would change the records it names; change each by itself";
                return Err(not_understood(member, why).into());
            }
            _ => return Err(unknown(table, nav)),
        };
        if value.is_null() {
            return self.put(&column, member, Document::Null, Document::Null);
        }
        let text = value.as_str().ok_or_else(|| {
            let message = format!("`{member}`: expected a record's address or null");
            Malformed::field("invalid_value", member, message)
        })?;
        let (set, key) = reference(text, origins).map_err(|why| {
            Malformed::field("invalid_reference", member, format!("`{member}`: {why}"))
        })?;
        let entry = directory
            .by_set(&set)
            .filter(|entry| targets.contains(&entry.name.as_str()))
            .ok_or_else(|| {
                let message = format!("`{member}` does not lead to `{set}`");
                Malformed::field("invalid_reference", member, message)
            })?;
        match key {
            Key::Id(id) => {
                let written = format!("/{set}({id})");
                self.rewritten |= written != text;
                self.put(
                    &column,
                    member,
                    value::reference(&entry.name, &id),
                    written.into(),
                )
            }
            Key::Named(_) => {
                self.rewritten = true;
                // Until it is looked up, what was written stands for it: two drafts that differ in
                // it must not look alike.
                let mut unresolved = Object::new();
                unresolved.set("type", entry.name.as_str().into());
                unresolved.set("key", text.into());
                self.pending.push(Pending {
                    column: column.clone(),
                    member: member.to_owned(),
                    table: entry.name.clone(),
                    key,
                });
                self.put(&column, member, unresolved.into(), Document::Null)
            }
        }
    }

    fn about_record(
        &mut self,
        table: &Table,
        annotation: &str,
        name: &str,
        value: &Document,
    ) -> Result<(), BadBody> {
        match annotation {
            // What a read gave, sent back: it says nothing in a write.
            "odata.etag" | "odata.context" => {
                self.rewritten = true;
                Ok(())
            }
            "odata.type" => {
                let text = value.as_str().unwrap_or_default();
                let text = text.strip_prefix('#').unwrap_or(text);
                let written = text
                    .strip_prefix("Microsoft.Dynamics.CRM.")
                    .or_else(|| text.strip_prefix("mscrm."));
                if written != Some(&table.name) {
                    let message = format!("`{name}`: expected the type of `{}`", table.name);
                    return Err(Malformed::field("invalid_value", name, message).into());
                }
                self.members.push(name.to_owned(), value.clone());
                Ok(())
            }
            _ => Err(not_understood(name, "an annotation that writes do not have").into()),
        }
    }

    /// Notes a column's value, which may be set once.
    fn put(
        &mut self,
        column: &str,
        member: &str,
        normal: Document,
        written: Document,
    ) -> Result<(), BadBody> {
        if let Some(other) = self.member_of.insert(column.to_owned(), member.to_owned()) {
            return Err(Malformed::field(
                "duplicate_field",
                column,
                format!("`{other}` and `{member}` both set `{column}`"),
            )
            .into());
        }
        self.change.push(column.to_owned(), normal);
        self.members.push(member.to_owned(), written);
        Ok(())
    }
}

/// A column's normalized value as a body's member.
pub(crate) fn member(
    table: &Table,
    directory: &Directory,
    column: &str,
    normal: &Document,
) -> (String, Document) {
    let is_lookup = table
        .column(column)
        .is_some_and(|column| column.kind == ColumnKind::Lookup);
    if !is_lookup {
        return (column.to_owned(), normal.clone());
    }
    let parts = value::parts(normal);
    let nav = table
        .nav(column, parts.map(|(target, _)| target))
        .unwrap_or(column);
    match parts {
        None => (nav.to_owned(), Document::Null),
        Some((target, id)) => {
            let set = directory
                .by_name(target)
                .map_or("", |entry| entry.set.as_str());
            (format!("{nav}@odata.bind"), format!("/{set}({id})").into())
        }
    }
}

/// Set and key of a reference: `/contacts(…)`, with the API's root before it, or absolute.
///
/// # Errors
/// Why it is none.
pub(crate) fn reference(text: &str, origins: &Origins<'_>) -> Result<(String, Key), String> {
    let expected = || "expected a record's address such as `/contacts(GUID)`".to_owned();
    let path = if text.contains("://") {
        let url = Url::parse(text).map_err(|_| expected())?;
        let own = [origins.gate, origins.crm]
            .iter()
            .any(|known| known.origin() == url.origin());
        if !own || !url.username().is_empty() || url.password().is_some() {
            return Err("it leads to another host".to_owned());
        }
        let after = text.split_once("://").map_or("", |(_, rest)| rest);
        after
            .find('/')
            .and_then(|at| after.get(at..))
            .ok_or_else(expected)?
    } else {
        text
    };
    if path.contains(['?', '#', '\\', '$']) || path.starts_with("//") {
        return Err(expected());
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = below_root(path).ok_or_else(expected)?;
    let decoded = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| expected())?;
    let (set, rest) = decoded.split_once('(').ok_or_else(expected)?;
    let inner = rest.strip_suffix(')').ok_or_else(expected)?;
    if !crate::key::is_name(set) {
        return Err(expected());
    }
    let key = Key::parse(inner).map_err(|malformed| malformed.message)?;
    Ok((set.to_owned(), key))
}

/// What follows `api/data/v9.2/`, where that stands; the whole otherwise.
fn below_root(path: &str) -> Option<&str> {
    let starts_with_root = path
        .get(..9)
        .is_some_and(|head| head.eq_ignore_ascii_case("api/data/"));
    if !starts_with_root {
        return Some(path);
    }
    let (version, rest) = path.get(9..)?.split_once('/')?;
    crate::settings::is_version(version).then_some(rest)
}

fn known(table: &Table, column: &str) -> Result<(), BadBody> {
    table
        .property(column)
        .map(|_| ())
        .ok_or_else(|| unknown(table, column))
}

/// In the environment's own words, which clients and people know.
fn unknown(table: &Table, name: &str) -> BadBody {
    let kind = format!("Microsoft.Dynamics.CRM.{}", table.name);
    let message = format!(
        "Error identified in Payload provided by the user for Entity :'{}', For more information \
         on this error please follow this help link \
         https://go.microsoft.com/fwlink/?linkid=2195293  ---->  InnerException : \
         Microsoft.OData.ODataException: Invalid property '{name}' was found in entity '{kind}'. \
         The property '{name}' does not exist on type '{kind}'. Make sure to only use property \
         names that are defined by the type.",
        table.set
    );
    BadBody::UnknownField(Malformed::field("unknown_field", name, message))
}

fn not_understood(name: &str, why: &str) -> Malformed {
    Malformed::field("not_understood", name, format!("`{name}`: {why}"))
}
