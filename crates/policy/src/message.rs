//! The engine's error texts, read back into a place and a message.

use std::fmt::Display;

use crate::LoadError;

/// What one of the engine's errors says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The file, where it is told.
    pub(crate) file: Option<String>,
    /// One-based line and column.
    pub(crate) place: Option<(u32, u32)>,
    /// The message alone.
    pub(crate) message: String,
}

/// What a time-out inside a function is still told by.
const TIME_OUT: &str = "execution exceeded time limit";

impl Told {
    /// Whether an evaluation took too long.
    pub(crate) fn is_time_out(&self) -> bool {
        self.message.contains(TIME_OUT)
    }

    /// Reads `--> file:line:col`, the excerpt and `error: message`; anything else is a message.
    pub(crate) fn read(error: &dyn Display) -> Self {
        let text = error.to_string();
        let mut place = None;
        let mut file = None;
        let mut message = Vec::new();
        for line in text.lines().map(str::trim) {
            if let Some(at) = line.strip_prefix("--> ") {
                let mut parts = at.rsplitn(3, ':');
                let column = parts.next().and_then(|text| text.parse().ok());
                let row = parts.next().and_then(|text| text.parse().ok());
                // The first place is the innermost: where it went wrong.
                if place.is_none() {
                    place = row.zip(column);
                    file = parts.next().map(str::to_owned);
                }
            } else if let Some(told) = line.strip_prefix("error: ") {
                message.push(told);
            }
        }
        let message = if message.is_empty() {
            text.trim().to_owned()
        } else {
            message.join("; ")
        };
        Self {
            file,
            place,
            message,
        }
    }
}

/// A fault that the engine's parser found.
pub(crate) fn syntax(path: &str, error: &dyn Display) -> LoadError {
    with_code("syntax", path, error)
}

/// A fault that the engine found when it prepared the rules.
pub(crate) fn prepare(layer: &str, error: &dyn Display) -> LoadError {
    with_code("unsafe", layer, error)
}

fn with_code(code: &'static str, path: &str, error: &dyn Display) -> LoadError {
    let told = Told::read(error);
    let file = told.file.as_deref().unwrap_or(path);
    let fault = LoadError::file(code, file, told.message);
    match told.place {
        Some((line, column)) => fault.at(line, Some(column)),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_and_a_message_are_found() {
        let told = Told::read(
            &"\n--> a:b.rego:7:38\n  |\n7 | fail\n  |   ^\nerror: could not parse string as number\n",
        );
        assert_eq!(told.file.as_deref(), Some("a:b.rego"));
        assert_eq!(told.place, Some((7, 38)));
        assert_eq!(told.message, "could not parse string as number");
    }

    #[test]
    fn a_bare_text_is_the_message() {
        let told = Told::read(&"not a valid rule path");
        assert_eq!(told.place, None);
        assert_eq!(told.message, "not a valid rule path");
    }
}
