//! A body's members.

use crmgate_connector::Malformed;
use crmgate_domain::{Document, Object};

use crate::draft::NestedLookup;
use crate::metadata::{Describe, Field, is_name};
use crate::values::normalize;

/// A body's members: the change under native names, and lookups that have to be looked up.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) change: Object,
    pub(super) lookups: Vec<NestedLookup>,
}

/// Why a body cannot be taken as it is.
pub(super) enum Unfit {
    /// The description may be too old for this field.
    Unknown(String),
    Malformed(Malformed),
}

impl From<Malformed> for Unfit {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

pub(super) fn body_object(raw: &[u8], deletes: bool) -> Result<Object, Malformed> {
    if deletes {
        return Ok(Object::new());
    }
    match Document::parse(raw) {
        Ok(Document::Object(object)) => Ok(object),
        Ok(other) => Err(Malformed::new(
            "invalid_json",
            format!(
                "expected an object with the record's fields, found {}",
                other.type_name()
            ),
        )),
        Err(error) => Err(Malformed::new("invalid_json", error.to_string())),
    }
}

pub(super) fn told(unfit: Unfit, describe: &Describe) -> Malformed {
    match unfit {
        Unfit::Malformed(malformed) => malformed,
        // As Salesforce answers it: without `fields`.
        Unfit::Unknown(name) => Malformed::new(
            "unknown_field",
            format!(
                "No such column '{name}' on sobject of type {}",
                describe.name
            ),
        ),
    }
}

pub(super) fn members(body: &Object, describe: &Describe) -> Result<Members, Unfit> {
    if let Some(name) = body.first_duplicate(str::to_ascii_lowercase) {
        return Err(duplicate(name).into());
    }
    let mut members = Members::default();
    for (name, value) in body.iter() {
        if name.eq_ignore_ascii_case("attributes") {
            check_attributes(value, describe)?;
            continue;
        }
        if name.eq_ignore_ascii_case("Id") {
            let message = "The Id field should not be specified in the sobject data.";
            return Err(Malformed::field("invalid_field", "Id", message).into());
        }
        if let Some(field) = describe.field(name) {
            let value = normalize(field, value).map_err(|expected| {
                Malformed::field(
                    "invalid_value",
                    &field.name,
                    format!("field `{}`: expected {expected}", field.name),
                )
            })?;
            members.change.push(field.name.clone(), value);
        } else if let Some(field) = describe.relationship(name) {
            let nested = value.as_object().ok_or_else(|| {
                Malformed::field(
                    "invalid_value",
                    name,
                    format!("`{name}` is a relationship: expected `{{\"KEY_FIELD\": \"VALUE\"}}`"),
                )
            })?;
            let lookup = nested_lookup(name, field, nested)?;
            members.lookups.push(lookup);
        } else if matches!(value, Document::Object(_) | Document::Array(_)) {
            let message = format!(
                "`{name}` would write other records than `{}`, which is not understood",
                describe.name
            );
            return Err(Malformed::field("not_understood", name, message).into());
        } else {
            return Err(Unfit::Unknown(name.to_owned()));
        }
    }
    let twice = members
        .lookups
        .iter()
        .find(|lookup| members.change.contains(&lookup.field));
    match twice {
        Some(lookup) => Err(duplicate(&lookup.member).into()),
        None => Ok(members),
    }
}

fn duplicate(name: &str) -> Malformed {
    Malformed::field(
        "duplicate_field",
        name,
        format!("field `{name}` stands twice in the body"),
    )
}

/// `attributes.type` does not decide what is written, so it must not say otherwise.
fn check_attributes(value: &Document, describe: &Describe) -> Result<(), Malformed> {
    let said = value.as_object().into_iter().flat_map(Object::iter);
    let mut types = said.filter(|(name, _)| name.eq_ignore_ascii_case("type"));
    let agrees = |(_, said): (&str, &Document)| {
        said.as_str()
            .is_some_and(|said| said.eq_ignore_ascii_case(&describe.name))
    };
    if types.all(agrees) {
        return Ok(());
    }
    Err(Malformed::field(
        "bypass_refused",
        "attributes",
        format!(
            "`attributes.type` names another object than `{}`",
            describe.name
        ),
    ))
}

fn nested_lookup(member: &str, field: &Field, nested: &Object) -> Result<NestedLookup, Malformed> {
    let refuse = |message: String| Malformed::field("invalid_value", member, message);
    if let Some(name) = nested.first_duplicate(str::to_ascii_lowercase) {
        return Err(duplicate(&format!("{member}.{name}")));
    }
    let mut keys = nested
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("attributes"));
    let (Some((key_field, key)), None) = (keys.next(), keys.next()) else {
        return Err(refuse(format!(
            "`{member}` must name one key field of the record it points to"
        )));
    };
    let key = match key {
        Document::String(text) => text.clone(),
        Document::Number(number) => number.as_str().to_owned(),
        other => {
            return Err(refuse(format!(
                "`{member}.{key_field}`: expected a text, found {}",
                other.type_name()
            )));
        }
    };
    let said = nested
        .get("attributes")
        .and_then(|attributes| attributes.as_object()?.get("type")?.as_str());
    let object = match (field.reference_to.as_slice(), said) {
        ([only], None) => only,
        (all, Some(said)) => all
            .iter()
            .find(|object| object.eq_ignore_ascii_case(said))
            .ok_or_else(|| refuse(format!("`{member}` cannot point to `{said}`")))?,
        (all, None) => {
            return Err(refuse(format!(
                "`{member}` can point to several objects: expected `attributes.type`, one of {}",
                all.join(", ")
            )));
        }
    };
    if !is_name(key_field) || key.is_empty() {
        return Err(refuse(format!("`{member}.{key_field}` is no key")));
    }
    Ok(NestedLookup {
        member: member.to_owned(),
        field: field.name.clone(),
        object: object.clone(),
        key_field: key_field.to_owned(),
        key,
    })
}
