//! Limits on a policy's text, checked before the engine's parser sees it.
//!
//! The parser takes twice as long for every level of nested brackets: a line of sixty bytes could
//! keep it busy for an hour. Long chains of operators overflow its stack. So both are counted
//! here, by a scanner that knows only strings, comments, words, brackets and operators.

use crate::{LoadError, Source};

/// Bytes of one policy file.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Lines of one policy file.
const MAX_LINES: usize = 20_000;
/// Bytes of one line; the engine's own cap.
const MAX_COLUMNS: usize = 1024;
/// Levels of `[` and `{` inside one another.
const MAX_NESTING: usize = 12;
/// Levels of all brackets inside one another.
const MAX_BRACKETS: usize = 32;
/// What all nesting of a file may cost the parser, in brackets of the first level.
const MAX_COST: u64 = 1 << 20;
/// Digits of a number, and digits of its power of ten.
const MAX_DIGITS: usize = 300;
const MAX_POWERS: usize = 3;
/// Operators in one expression, those around its brackets included.
const MAX_OPERATORS: usize = 64;

/// Checks one policy's text.
pub(crate) fn check(source: &Source) -> Result<(), LoadError> {
    let fault = |message: String| LoadError::file("limit", &source.path, message);
    if source.text.len() > MAX_BYTES {
        return Err(fault(format!(
            "the file has {} bytes, at most {MAX_BYTES} are read",
            source.text.len()
        ))
        .remedy("split the package over several files"));
    }
    for (index, line) in source.text.lines().enumerate() {
        let number = line_number(index);
        if index >= MAX_LINES {
            return Err(fault(format!("a file has at most {MAX_LINES} lines"))
                .at(number, None)
                .remedy("split the package over several files"));
        }
        if line.len() > MAX_COLUMNS {
            return Err(fault(format!("a line has at most {MAX_COLUMNS} bytes"))
                .at(number, None)
                .remedy("break the line, or keep long tables in `data.yaml`"));
        }
        if let Some((column, hidden)) = disguise(line) {
            return Err(fault(format!(
                "U+{:04X} makes the line look like another than it is",
                u32::from(hidden)
            ))
            .at(number, Some(column))
            .remedy("take it out; in a text, write it as `\\uXXXX`"));
        }
    }
    nesting(source)
}

/// A character that turns the direction of what follows, cannot be seen, or ends a line for an
/// editor and not for the parser: a rule behind it would look like one and be a comment.
fn disguise(line: &str) -> Option<(u32, char)> {
    let plain = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    if line.bytes().all(plain) {
        return None;
    }
    let hides = |c: &char| {
        (c.is_control() && *c != '\t')
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    let found = line.chars().enumerate().find(|(_, c)| hides(c));
    found.map(|(at, c)| (line_number(at), c))
}

fn line_number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    Comment,
    Text,
    Escape,
    Raw,
}

impl Inside {
    const fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Code, b'#') => Self::Comment,
            (Self::Code, b'"') | (Self::Escape, _) => Self::Text,
            (Self::Code, b'`') => Self::Raw,
            (Self::Comment | Self::Text, b'\n') | (Self::Text, b'"') | (Self::Raw, b'`') => {
                Self::Code
            }
            (Self::Text, b'\\') => Self::Escape,
            (same, _) => same,
        }
    }
}

/// One open bracket, or the file around all of them.
struct Level {
    collection: bool,
    /// Operators of the expression that is being read.
    operators: usize,
}

struct Scanner {
    levels: Vec<Level>,
    cost: u64,
    /// The word that is being read.
    word: Vec<u8>,
    /// Whether the last thing read was an operator, so that a new line goes on.
    goes_on: bool,
    /// Whether the last thing read was a number up to its `e`.
    exponent: bool,
    /// Whether a number is longer than any real one.
    enormous: bool,
}

fn nesting(source: &Source) -> Result<(), LoadError> {
    let mut scanner = Scanner {
        levels: vec![Level {
            collection: false,
            operators: 0,
        }],
        cost: 0,
        word: Vec::new(),
        goes_on: false,
        exponent: false,
        enormous: false,
    };
    let mut inside = Inside::Code;
    let mut line = 0;
    for byte in source.text.bytes() {
        let was = inside;
        inside = inside.after(byte);
        // A comment or a text ends whatever word stood before it.
        let seen = if inside == Inside::Code && was == Inside::Code {
            byte
        } else if byte == b'\n' {
            b'\n'
        } else {
            b'"'
        };
        if inside != Inside::Comment {
            scanner.see(seen);
        }
        if let Some((message, remedy)) = scanner.fault() {
            return Err(LoadError::file("limit", &source.path, message)
                .at(line_number(line), None)
                .remedy(remedy));
        }
        if byte == b'\n' {
            line += 1;
        }
    }
    Ok(())
}

impl Scanner {
    fn see(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            self.goes_on = false;
            self.word.push(byte);
            return;
        }
        if matches!(self.word.as_slice(), b"in" | b"not" | b"with" | b"else") {
            self.operator();
        }
        self.number(byte);
        self.word.clear();
        match byte {
            b'[' | b'{' | b'(' => {
                self.goes_on = false;
                self.levels.push(Level {
                    collection: byte != b'(',
                    operators: 0,
                });
                if byte != b'(' {
                    let depth = u32::try_from(self.collections()).unwrap_or(u32::MAX);
                    self.cost += 1_u64.checked_shl(depth).unwrap_or(MAX_COST);
                }
            }
            b']' | b'}' | b')' => {
                self.goes_on = false;
                if self.levels.len() > 1 {
                    self.levels.pop();
                }
            }
            b'+' | b'-' | b'*' | b'/' | b'%' | b'&' | b'|' => self.operator(),
            b';' | b',' => self.boundary(),
            b'\n' if !self.goes_on => self.boundary(),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.goes_on = false,
        }
    }

    /// The parser writes numbers out: `1e999999999` takes all memory there is.
    fn number(&mut self, next: u8) {
        let word = self.word.as_slice();
        let powers = match word.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            _ if self.exponent && !word.is_empty() => word.len(),
            Some(at) if word.first().is_some_and(u8::is_ascii_digit) => word.len() - at - 1,
            _ => 0,
        };
        let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.enormous |= powers > MAX_POWERS || digits > MAX_DIGITS;
        let begins = word.first().is_some_and(u8::is_ascii_digit)
            && word.last().is_some_and(|byte| matches!(byte, b'e' | b'E'));
        self.exponent = matches!(next, b'+' | b'-') && begins;
    }

    fn operator(&mut self) {
        self.goes_on = true;
        if let Some(level) = self.levels.last_mut() {
            level.operators += 1;
        }
    }

    fn boundary(&mut self) {
        self.goes_on = false;
        if let Some(level) = self.levels.last_mut() {
            level.operators = 0;
        }
    }

    fn collections(&self) -> usize {
        self.levels.iter().filter(|level| level.collection).count()
    }

    fn fault(&self) -> Option<(String, &'static str)> {
        let name = "name inner values by rules of their own, or keep tables in `data.yaml`";
        if self.collections() > MAX_NESTING || self.levels.len() > MAX_BRACKETS + 1 {
            return Some((
                format!(
                    "brackets nest deeper than {MAX_NESTING} levels of `[` and `{{`, or {MAX_BRACKETS} of any kind"
                ),
                name,
            ));
        }
        if self.enormous {
            return Some((
                format!("a number has more than {MAX_DIGITS} digits"),
                "records hold numbers up to 1e300; write it as a text if it is a name",
            ));
        }
        if self.cost > MAX_COST {
            return Some(("the file has too many deeply nested brackets".into(), name));
        }
        let operators: usize = self.levels.iter().map(|level| level.operators).sum();
        (operators > MAX_OPERATORS).then(|| {
            (
                format!("an expression has more than {MAX_OPERATORS} operators"),
                "split it over several rules",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(text: &str) -> Source {
        Source {
            path: "a.rego".into(),
            text: text.into(),
        }
    }

    #[test]
    fn deep_nesting_is_refused_with_its_line() {
        let text = format!("package a\n\nx := {}1{}\n", "[".repeat(18), "]".repeat(18));
        let fault = check(&source(&text)).unwrap_err();
        assert_eq!(fault.line, Some(3));
        assert_eq!(fault.code, "limit");
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let many = "[{".repeat(40);
        let text = format!("package a\n# {many}\nx := \"\\\"{many}\"\ny := `{many}`\nz := [1]\n");
        check(&source(&text)).unwrap();
    }

    #[test]
    fn an_unclosed_string_ends_with_its_line() {
        let text = format!("package a\nx := \"\ny := {}\n", "[".repeat(13));
        assert!(check(&source(&text)).is_err());
    }

    #[test]
    fn long_chains_of_operators_are_refused() {
        for (text, fine) in [
            ("1 + ".repeat(65), false),
            ("1 +\n".repeat(65), false),
            ("- ".repeat(65), false),
            ("not ".repeat(65), false),
            ("(1 + 1 + ".repeat(30) + &"1 - ".repeat(9), false),
            ("x else := 1\n".repeat(150), true),
            ("a := 1 + 1\n".repeat(300), true),
            ("f(1 + 1, 2 - 1); ".repeat(50), true),
            ("inner + notes\n".repeat(300), true),
            ("x := \"+ + + + +\" # + + +\n".repeat(300), true),
        ] {
            assert_eq!(check(&source(&text)).is_ok(), fine, "{text}");
        }
    }

    #[test]
    fn many_deep_brackets_are_refused() {
        let deep = format!("x := {}1{}\n", "[".repeat(12), "]".repeat(12));
        check(&source(&deep.repeat(20))).unwrap();
        assert!(check(&source(&deep.repeat(200))).is_err());
        check(&source(
            &"x := {\"a\": [1, {\"b\": f(x)[0]}]}\n".repeat(9_000),
        ))
        .unwrap();
    }

    #[test]
    fn numbers_that_fill_memory_are_refused() {
        for (text, fine) in [
            ("x := 1e999999999\n", false),
            ("x := 1.5E+99999\n", false),
            ("x := 0.1e-99999\n", false),
            ("x := [1e+9999, 2]\n", false),
            ("x := 12345678901234567890\n", true),
            ("x := 1e300 + 2e-3\n", true),
            ("x := e99999 + abc1e99999\n", true),
            ("x := \"1e999999999\" # 1e99999999\n", true),
        ] {
            assert_eq!(check(&source(text)).is_ok(), fine, "{text}");
        }
        assert!(check(&source(&format!("x := {}\n", "9".repeat(301)))).is_err());
    }

    #[test]
    fn text_in_disguise_is_refused_with_its_place() {
        for hidden in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{e0041}'] {
            let text = format!("package a\n\nx := \"é{hidden}b\"\n");
            let fault = check(&source(&text)).unwrap_err();
            assert_eq!((fault.line, fault.column), (Some(3), Some(8)), "{fault}");
        }
        check(&source("x := \"Ünïcødé 漢字 👍 \\u202e\"\n")).unwrap();
    }

    #[test]
    fn long_lines_and_files_are_refused() {
        assert!(check(&source(&"x".repeat(1025))).is_err());
        assert!(check(&source(&"\n".repeat(20_001))).is_err());
        assert!(check(&source(&"x\n".repeat(MAX_BYTES / 2 + 1))).is_err());
        check(&source(&"x".repeat(1024))).unwrap();
    }

    proptest! {
        #[test]
        fn whatever_passes_parses_quickly(text in "(package a\n)?[\\[\\]{}()\"`#a:=,\n ]{0,80}") {
            let source = source(&text);
            if check(&source).is_ok() {
                let _ = crate::syntax::Module::parse(&source);
            }
        }
    }
}
