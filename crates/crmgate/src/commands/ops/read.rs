//! Operations out of a file: one a line, whatever form they stand in.

use std::fs::File;
use std::io::{Cursor, Read};

use serde_json::Value;

use crate::exit::{Exit, Failure};

/// Longer than a line may be: what is read to find out which form it is.
const LONGEST: usize = 2 << 20;
/// A JSON array or object is not longer.
const HEAD: u64 = 64 << 20;

/// Lines to be submitted.
pub(super) struct Source {
    /// The lines.
    pub(super) reader: Box<dyn Read + Send>,
    /// How many bytes they are, where that is known.
    pub(super) size: Option<u64>,
}

/// Opens a file; `-` is standard input.
pub(super) fn open(name: &str) -> Result<Source, Failure> {
    let wrong = |error: std::io::Error| Failure::new(Exit::Usage, format!("`{name}`: {error}"));
    let (mut reader, size): (Box<dyn Read + Send>, Option<u64>) = if name == "-" {
        (Box::new(std::io::stdin()), None)
    } else {
        let file = File::open(name).map_err(wrong)?;
        let size = file.metadata().map_err(wrong)?.len();
        (Box::new(file), Some(size))
    };
    let mut head = vec![0; LONGEST];
    let mut filled = 0;
    // A pipe gives what it has: the first line, or the head, tells the form.
    while let Some(free) = head.get_mut(filled..).filter(|free| !free.is_empty()) {
        let read = reader.read(free).map_err(wrong)?;
        filled += read;
        let line = head.get(..filled).is_some_and(|text| text.contains(&b'\n'));
        if read == 0 || line {
            break;
        }
    }
    head.truncate(filled);
    if is_lines(&head) {
        return Ok(Source {
            reader: Box::new(Cursor::new(head).chain(reader)),
            size,
        });
    }
    let mut whole = head;
    reader.take(HEAD).read_to_end(&mut whole).map_err(wrong)?;
    let lines = as_lines(&whole).map_err(|problem| {
        let message =
            format!("`{name}`: expected NDJSON, a JSON array or a JSON object: {problem}");
        Failure::new(Exit::Usage, message)
    })?;
    Ok(Source {
        size: Some(lines.len() as u64),
        reader: Box::new(Cursor::new(lines)),
    })
}

/// Whether it is one operation a line: the first line is a whole object, or no JSON that could go
/// on in the next one.
fn is_lines(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut lines = text.split(|byte| *byte == b'\n');
    let first = lines.find(|line| !line.iter().all(u8::is_ascii_whitespace));
    let Some(first) = first else {
        return true;
    };
    match serde_json::from_slice::<Value>(first) {
        Ok(value) => !value.is_array(),
        Err(error) => !error.is_eof(),
    }
}

fn as_lines(whole: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let all = match serde_json::from_slice::<Value>(whole)? {
        Value::Array(items) => items,
        one => vec![one],
    };
    let mut lines = Vec::new();
    for item in all {
        serde_json::to_writer(&mut lines, &item)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn lines(text: &str) -> Result<String, Failure> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut source = open(file.path().to_str().unwrap())?;
        let mut read = String::new();
        source.reader.read_to_string(&mut read).unwrap();
        Ok(read)
    }

    #[test]
    fn every_form_becomes_lines() {
        let one = "{\"a\":1.50}\n{\"b\":2}\n";
        assert_eq!(lines(one).unwrap(), one);
        assert_eq!(lines("[{\"a\": 1.50},\n {\"b\": 2}]").unwrap(), one);
        assert_eq!(lines("{\n  \"a\": 1.50\n}").unwrap(), "{\"a\":1.50}\n");
        assert_eq!(lines("").unwrap(), "");
        let broken = "not JSON\n{\"b\":2}\n";
        assert_eq!(
            lines(broken).unwrap(),
            broken,
            "crmgate tells which line is wrong"
        );
    }

    #[test]
    fn what_never_ends_is_told() {
        let error = lines("[{\"a\": 1}").map(drop).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert!(error.message.contains("expected NDJSON"), "{error}");
    }
}
