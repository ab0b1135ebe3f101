//! Finds hidden values again where somebody quotes them.

use std::borrow::Cow;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use crmgate_domain::{Document, Object};

use super::REDACTED;

/// Shorter values say nothing, and would be found everywhere.
const SHORTEST: usize = 3;
/// Shorter values are only found as words of their own.
const SHORTEST_INSIDE: usize = 6;
/// More values than that are not looked for one by one.
const MOST: usize = 2_000;
/// Comparing so many places costs as much as making the matcher.
const WORTH_LOOKING: usize = 8_192;
/// The shortest part of a hidden text that is told apart from an ordinary word.
const SHORTEST_PART: usize = 4;

/// The values that must not be quoted.
#[derive(Debug, Default)]
pub struct Scrubber {
    /// Each with whether it counts as a word of its own only.
    patterns: Vec<(String, bool)>,
    begins: Begins,
    /// Made when something looks like one of them: mostly nothing does.
    found: OnceLock<Option<AhoCorasick>>,
}

/// How the values begin: a text in which none begins holds none.
#[derive(Debug)]
struct Begins([u64; BITS / 64]);

/// Enough that few texts are taken for one that they are not.
const BITS: usize = 8_192;

impl Default for Begins {
    fn default() -> Self {
        Self([0; BITS / 64])
    }
}

impl Begins {
    fn place(three: &[u8]) -> (usize, u64) {
        let folded = three.iter().fold(0_usize, |sum, byte| {
            (sum << 5) ^ (sum >> 9) ^ usize::from(byte.to_ascii_lowercase())
        });
        let bit = folded.wrapping_mul(0x9E37_79B1) >> 7 & (BITS - 1);
        (bit / 64, 1 << (bit % 64))
    }

    fn add(&mut self, text: &str) {
        if let Some(three) = text.as_bytes().get(..SHORTEST) {
            let (word, bit) = Self::place(three);
            if let Some(word) = self.0.get_mut(word) {
                *word |= bit;
            }
        }
    }

    fn may_be_in(&self, text: &str) -> bool {
        text.as_bytes().windows(SHORTEST).any(|three| {
            let (word, bit) = Self::place(three);
            self.0.get(word).is_some_and(|word| word & bit != 0)
        })
    }
}

impl Scrubber {
    /// Looks for these values, and for every text and number inside them.
    ///
    /// # Errors
    /// When they are too many to look for.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a Document>) -> Result<Self, String> {
        let mut patterns: Vec<(String, bool)> = Vec::new();
        for value in values {
            collect(value, &mut patterns);
        }
        patterns.sort();
        patterns.dedup_by(|one, other| one.0 == other.0);
        if patterns.len() > MOST {
            return Err(format!("more than {MOST} values would have to be hidden"));
        }
        let mut begins = Begins::default();
        patterns.iter().for_each(|(text, _)| begins.add(text));
        Ok(Self {
            patterns,
            begins,
            found: OnceLock::new(),
        })
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a JSON text may hold one of the values. No says so for certain.
    #[must_use]
    pub fn may_be_in(&self, json: &str) -> bool {
        // What is escaped looks different.
        !self.is_empty() && (json.contains('\\') || self.begins.may_be_in(json))
    }

    /// Whether one of the values stands in the text. Where looking costs as much as making the
    /// matcher, it says yes.
    fn stands_in(&self, text: &str) -> bool {
        let text = text.as_bytes();
        if self.found.get().is_some() || text.len() * self.patterns.len() > WORTH_LOOKING {
            return true;
        }
        let stands = |value: &[u8]| {
            let mut places = text.windows(value.len());
            places.any(|place| place.eq_ignore_ascii_case(value))
        };
        let mut values = self.patterns.iter().map(|(value, _)| value.as_bytes());
        values.any(stands)
    }

    fn matcher(&self) -> Option<&AhoCorasick> {
        let make = || {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::LeftmostLongest)
                .kind(Some(AhoCorasickKind::NoncontiguousNFA))
                .build(self.patterns.iter().map(|(text, _)| text))
                .ok()
        };
        self.found.get_or_init(make).as_ref()
    }

    /// The text without the values.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.is_empty() || !self.begins.may_be_in(text) || !self.stands_in(text) {
            return Cow::Borrowed(text);
        }
        // Too long to look for: then all of it goes.
        let Some(found) = self.matcher() else {
            return Cow::Borrowed(REDACTED);
        };
        let mut out = String::new();
        let mut copied = 0;
        for hit in found.find_iter(text) {
            let pattern = self.patterns.get(hit.pattern().as_usize());
            if pattern.is_some_and(|(_, word)| *word) && !stands_alone(text, hit.start(), hit.end())
            {
                continue;
            }
            out.push_str(text.get(copied..hit.start()).unwrap_or_default());
            out.push_str(REDACTED);
            copied = hit.end();
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// The text without the values and without parts of them that look like an address or a
    /// number: a rule that finds a card number in a description quotes the number alone.
    #[must_use]
    pub fn message(&self, text: &str) -> String {
        let text = self.text(text);
        if self.is_empty() {
            return text.into_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_ref();
        while !rest.is_empty() {
            let end = rest.find(separates).unwrap_or(rest.len());
            let (part, behind) = rest.split_at(end);
            if self.quotes(part) {
                out.push_str(REDACTED);
            } else {
                out.push_str(part);
            }
            let mut chars = behind.chars();
            out.extend(chars.next());
            rest = chars.as_str();
        }
        out
    }

    fn quotes(&self, part: &str) -> bool {
        let telling = part.contains('@') || part.bytes().any(|b| b.is_ascii_digit());
        let bare = part.trim_matches(|c: char| !c.is_alphanumeric());
        if !telling || bare.chars().count() < SHORTEST_PART {
            return false;
        }
        let bare = bare.to_lowercase();
        let mut patterns = self.patterns.iter();
        patterns.any(|(value, _)| value.to_lowercase().contains(&bare))
    }

    /// The texts and numbers of a document without the values.
    pub fn document(&self, document: &mut Document) {
        if self.is_empty() {
            return;
        }
        match document {
            Document::String(text) => {
                let scrubbed = self.text(text);
                if scrubbed != text.as_str() {
                    *text = scrubbed.into_owned();
                }
            }
            Document::Number(number) => {
                let text = number.as_str();
                if self.text(text) != text {
                    *document = REDACTED.into();
                }
            }
            Document::Array(items) => items.iter_mut().for_each(|item| self.document(item)),
            Document::Object(object) => self.object(object),
            Document::Null | Document::Bool(_) => {}
        }
    }

    /// The members of an object without the values; a name that quotes one, too.
    pub fn object(&self, object: &mut Object) {
        if self.is_empty() {
            return;
        }
        let members = std::mem::take(object).into_iter();
        *object = members
            .map(|(name, mut value)| {
                self.document(&mut value);
                (self.text(&name).into_owned(), value)
            })
            .collect();
    }
}

fn separates(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '"' | '\'' | '`' | '(' | ')' | ',' | ';' | '<' | '>' | '='
        )
}

fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let before = text.get(..start).and_then(|text| text.chars().next_back());
    let after = text.get(end..).and_then(|text| text.chars().next());
    ![before, after]
        .into_iter()
        .flatten()
        .any(char::is_alphanumeric)
}

fn collect(value: &Document, patterns: &mut Vec<(String, bool)>) {
    match value {
        Document::Null | Document::Bool(_) => {}
        Document::String(text) => {
            let text = text.trim();
            let length = text.chars().count();
            if length >= SHORTEST {
                let word = length < SHORTEST_INSIDE;
                patterns.push((text.to_owned(), word));
                // The matcher folds ASCII only.
                if !text.is_ascii() {
                    patterns.push((text.to_lowercase(), word));
                    patterns.push((text.to_uppercase(), word));
                }
            }
        }
        Document::Number(number) => {
            let text = number.as_str();
            if text.len() >= SHORTEST {
                patterns.push((text.to_owned(), true));
            }
        }
        Document::Array(items) => items.iter().for_each(|item| collect(item, patterns)),
        Document::Object(object) => object.iter().for_each(|(_, item)| collect(item, patterns)),
    }
}
