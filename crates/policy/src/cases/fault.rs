//! What is wrong with a file of cases, and where its cases begin.

use crate::LoadError;

/// A fault with its line and, for a misspelled word, the one that was meant.
pub(super) fn of(file: &str, error: &yaml_serde::Error) -> LoadError {
    let message = error.to_string();
    let remedy = match meant(&message) {
        Some(word) => format!("did you mean `{word}`?"),
        None => "see `policies/README.md` for the keys of a case".to_owned(),
    };
    let fault = LoadError::file("case", file, message).remedy(remedy);
    let small = |n: usize| u32::try_from(n).ok();
    match error.location().and_then(|place| small(place.line())) {
        Some(line) => fault.at(line, None),
        None => fault,
    }
}

/// Of "unknown field `a`, expected one of `b`, `c`" the expected word that is most like the
/// unknown one.
fn meant(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("unknown ")?;
    let mut words = rest.split('`').skip(1).step_by(2);
    let unknown = words.next()?;
    nearest(unknown, words)
}

/// The word that is most like another, if one is like it at all.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known
        .into_iter()
        .map(|it| (strsim::jaro_winkler(word, it), it));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score > 0.8).map(|(_, it)| it)
}

/// The lines at which the items of the outermost list begin.
pub(super) fn items(text: &str) -> Vec<u32> {
    let item = |line: &str| {
        let trimmed = line.trim_start_matches(' ');
        let begins = trimmed == "-" || trimmed.starts_with("- ");
        begins.then(|| line.len() - trimmed.len())
    };
    let Some(indent) = text.lines().find_map(item) else {
        return Vec::new();
    };
    let lines = (1_u32..).zip(text.lines());
    let begins = lines.filter(|(_, line)| item(line) == Some(indent));
    begins.map(|(number, _)| number).collect()
}
