//! Reads metadata fields; every fault says what was found, where, and what was expected.

use std::collections::BTreeSet;

use crmgate_domain::{Document, Object};

use super::Names;
use super::block::Block;
use crate::LoadError;

/// A reader of one block.
pub(super) struct Fields<'a> {
    file: &'a str,
    block: &'a Block,
    faults: &'a mut Vec<LoadError>,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(
        file: &'a str,
        block: &'a Block,
        faults: &'a mut Vec<LoadError>,
    ) -> Self {
        Self {
            file,
            block,
            faults,
        }
    }

    fn fault(&mut self, key: &str, message: String) {
        let line = self.block.line_of(key);
        self.faults
            .push(LoadError::file("metadata", self.file, message).at(line, None));
    }

    /// A value that does not fit.
    pub(super) fn wrong(&mut self, key: &str, found: &str, expected: &str) {
        self.fault(key, format!("`{key}` is {found}, expected {expected}"));
    }

    /// A value that is not there.
    pub(super) fn missing(&mut self, key: &str, expected: &str) {
        self.fault(key, format!("`{key}` is missing, expected {expected}"));
    }

    /// The value as an object.
    pub(super) fn object(&mut self, document: &Document, what: &str) -> Option<Object> {
        let object = document.as_object();
        if object.is_none() {
            let found = document.type_name();
            self.fault("custom", format!("{what} is {found}, expected a mapping"));
        }
        object.cloned()
    }

    /// Refuses keys beyond `known` and keys that stand twice.
    pub(super) fn known(&mut self, object: &Object, prefix: &str, known: &[&str]) {
        for (key, _) in object.iter() {
            if !known.contains(&key) {
                let expected = known.join(", ");
                self.fault(
                    key,
                    format!("`{prefix}{key}` is not a metadata field, expected one of {expected}"),
                );
            }
        }
        if let Some(key) = object.first_duplicate(str::to_owned) {
            let key = key.to_owned();
            self.fault(&key, format!("`{prefix}{key}` stands twice"));
        }
    }

    /// A required, non-empty text.
    pub(super) fn text(&mut self, object: &Object, key: &str) -> Option<String> {
        let text = self.optional_text(object, key);
        if !object.contains(key) {
            self.missing(key, "a text");
        }
        text
    }

    /// A text that may be left out, not empty.
    pub(super) fn optional_text(&mut self, object: &Object, key: &str) -> Option<String> {
        match object.get(key)? {
            Document::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Document::String(_) => {
                self.wrong(key, "empty", "a text");
                None
            }
            other => {
                self.wrong(key, other.type_name(), "a text");
                None
            }
        }
    }

    /// A required word or list of words, not empty.
    pub(super) fn words(
        &mut self,
        object: &Object,
        key: &str,
        expected: &str,
    ) -> Option<Vec<String>> {
        let mut words = Vec::new();
        let listed = match object.get(key) {
            None => {
                self.missing(key, expected);
                return None;
            }
            Some(Document::Array(items)) => items.clone(),
            Some(word) => vec![word.clone()],
        };
        for item in &listed {
            match item.as_str() {
                Some(word) => words.push(word.to_owned()),
                None => self.wrong(key, item.type_name(), expected),
            }
        }
        if listed.is_empty() {
            self.wrong(key, "empty", expected);
        }
        (!words.is_empty()).then_some(words)
    }

    /// `"*"` or names, folded to lower case.
    pub(super) fn names(&mut self, object: &Object, key: &str, required: bool) -> Option<Names> {
        if !required && !object.contains(key) {
            return None;
        }
        let words = self.words(object, key, "`\"*\"` or a list of names")?;
        if words.iter().any(|word| word == "*") {
            return Some(Names::Any);
        }
        let names: BTreeSet<String> = words.iter().map(|word| word.to_lowercase()).collect();
        Some(Names::Only(names))
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        object: &Object,
        key: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let value = object.get(key)?;
        let hit = choices
            .iter()
            .find(|(word, _)| value.as_str() == Some(*word));
        if hit.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let found = value
                .as_str()
                .map_or_else(|| value.type_name().to_owned(), |text| format!("`{text}`"));
            self.wrong(key, &found, &format!("one of {}", words.join(", ")));
        }
        hit.map(|(_, choice)| *choice)
    }
}
