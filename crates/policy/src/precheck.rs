//! Limits on a policy's text, checked before the engine's parser sees it.
//!
//! The parser takes twice as long for every level of nested brackets: a line of sixty bytes could
//! keep it busy for an hour. So nesting is counted here, by a scanner that knows only strings,
//! comments and brackets.

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
    }
    nesting(source)
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

fn nesting(source: &Source) -> Result<(), LoadError> {
    let mut inside = Inside::Code;
    let mut open: Vec<u8> = Vec::new();
    let mut line = 0;
    for byte in source.text.bytes() {
        if byte == b'\n' {
            line += 1;
        }
        inside = match (inside, byte) {
            (Inside::Code, b'#') => Inside::Comment,
            (Inside::Code, b'"') | (Inside::Escape, _) => Inside::Text,
            (Inside::Code, b'`') => Inside::Raw,
            (Inside::Comment | Inside::Text, b'\n')
            | (Inside::Text, b'"')
            | (Inside::Raw, b'`') => Inside::Code,
            (Inside::Text, b'\\') => Inside::Escape,
            (same, _) => same,
        };
        if inside != Inside::Code {
            continue;
        }
        match byte {
            b'[' | b'{' | b'(' => open.push(byte),
            b']' | b'}' | b')' => {
                open.pop();
            }
            _ => continue,
        }
        let collections = open.iter().filter(|b| **b != b'(').count();
        if collections > MAX_NESTING || open.len() > MAX_BRACKETS {
            let message = format!(
                "brackets nest deeper than {MAX_NESTING} levels of `[` and `{{`, or {MAX_BRACKETS} of any kind"
            );
            return Err(LoadError::file("limit", &source.path, message)
                .at(line_number(line), None)
                .remedy("name inner values by rules of their own, or keep tables in `data.yaml`"));
        }
    }
    Ok(())
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
