//! YAML and JSON texts as documents.

use crmgate_domain::Document;

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

/// Parses YAML, of which JSON is a part. `off` is a word here, not `false`.
pub(crate) fn parse(text: &str) -> Result<Document, Fault> {
    let document: Document = yaml_serde::from_str(text).map_err(|error| {
        let whole = error.to_string();
        let place = error.location();
        let small = |n: usize| u32::try_from(n).ok();
        Fault {
            message: whole.split(" at line ").next().unwrap_or(&whole).to_owned(),
            line: place.as_ref().and_then(|place| small(place.line())),
            column: place.as_ref().and_then(|place| small(place.column())),
        }
    })?;
    match duplicate(&document) {
        None => Ok(document),
        Some(key) => Err(Fault {
            message: format!("`{key}` stands twice in one mapping"),
            line: text
                .lines()
                .position(|line| line.contains(&key))
                .and_then(|index| u32::try_from(index + 1).ok()),
            column: None,
        }),
    }
}

fn duplicate(document: &Document) -> Option<String> {
    match document {
        Document::Array(items) => items.iter().find_map(duplicate),
        Document::Object(object) => object
            .first_duplicate(str::to_owned)
            .map(str::to_owned)
            .or_else(|| object.iter().find_map(|(_, value)| duplicate(value))),
        _ => None,
    }
}
