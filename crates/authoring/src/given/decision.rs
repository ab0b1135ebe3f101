//! What a recorded decision kept of its input.

use crmgate_domain::{Document, Object};
use crmgate_policy::Ungoverned;

use super::{Given, GivenError, Missing, read};

/// Hidden places that a note lists.
const MOST: usize = 8;

/// What a recorded decision kept: the answer of `GET /v1/decisions/{id}`.
///
/// # Errors
/// When it kept no input, or one that can't be read.
pub fn decision(id: &str, answer: &Document, missing: &Missing<'_>) -> Result<Given, GivenError> {
    let empty = Object::new();
    let answer = answer.as_object().unwrap_or(&empty);
    let payload = inner(answer, "payload").unwrap_or(&empty);
    let input = match payload.get("input") {
        None | Some(Document::Null) => {
            let state = payload.get("state").and_then(Document::as_str);
            return Err(GivenError::NoPayload {
                id: id.to_owned(),
                state: state.unwrap_or("not shown").to_owned(),
            });
        }
        // The record keeps it as the text that was hashed.
        Some(Document::String(text)) => text.clone(),
        Some(input) => input.to_json(),
    };
    let mut given = read(&format!("decision {id}"), &input, missing)?;
    if let Some(recorded) = inner(answer, "decision") {
        let effect = text(recorded, "effect");
        let revision = text(recorded, "revision");
        let revision: String = revision.chars().take(12).collect();
        given
            .notes
            .push(format!("recorded as {effect} by revision {revision}"));
        let ungoverned = recorded.get("ungoverned") == Some(&Document::Bool(true));
        if ungoverned && effect == "allow" {
            given.options.ungoverned = Ungoverned::Allow;
        }
    }
    for hidden in ["erased", "masked"] {
        if let Some(Document::Array(places)) = payload.get(hidden)
            && !places.is_empty()
        {
            given.notes.push(note(hidden, places));
        }
    }
    Ok(given)
}

fn inner<'a>(members: &'a Object, name: &str) -> Option<&'a Object> {
    members.get(name).and_then(Document::as_object)
}

fn text<'a>(members: &'a Object, name: &str) -> &'a str {
    members.get(name).and_then(Document::as_str).unwrap_or("?")
}

fn note(hidden: &str, places: &[Document]) -> String {
    let shown = places.iter().take(MOST).filter_map(Document::as_str);
    let mut shown: Vec<String> = shown.map(str::to_owned).collect();
    if places.len() > MOST {
        shown.push(format!("and {} more", places.len() - MOST));
    }
    format!(
        "{hidden} before it was recorded, so it may be judged otherwise here: {}",
        shown.join(", ")
    )
}
