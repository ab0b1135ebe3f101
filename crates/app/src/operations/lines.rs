//! Lines out of a body that comes in pieces.

use std::collections::VecDeque;

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its number, from 1; empty lines count.
    pub(crate) number: u64,
    /// Its text, or that it is too long to be read.
    pub(crate) text: Result<Vec<u8>, TooLong>,
}

/// A line that is longer than lines may be; its content is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Cuts a body into lines. Holds one unfinished line, and of that no more than the limit.
///
/// Lines end with `\n` or `\r\n`; the last may end with the body. Lines of nothing but spaces are
/// left out, and so is a byte order mark at the start.
#[derive(Debug)]
pub(crate) struct Lines {
    limit: usize,
    number: u64,
    open: Vec<u8>,
    overlong: bool,
    ready: VecDeque<Line>,
}

const MARK: &[u8] = b"\xef\xbb\xbf";

impl Lines {
    /// A reader of lines of at most `limit` bytes.
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            number: 0,
            open: Vec::new(),
            overlong: false,
            ready: VecDeque::new(),
        }
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(at);
            self.extend(line);
            self.close();
            rest = after.get(1..).unwrap_or_default();
        }
        self.extend(rest);
    }

    /// The body is at its end.
    pub(crate) fn end(&mut self) {
        if self.overlong || !self.open.is_empty() {
            self.close();
        }
    }

    /// How many lines there were, empty ones included.
    pub(crate) const fn count(&self) -> u64 {
        self.number
    }

    /// The next whole line.
    pub(crate) fn pop(&mut self) -> Option<Line> {
        self.ready.pop_front()
    }

    fn extend(&mut self, part: &[u8]) {
        // One more for the `\r` that may end it, and the mark that may begin it.
        let most = self.limit.saturating_add(1 + MARK.len());
        if self.overlong || self.open.len().saturating_add(part.len()) > most {
            self.overlong = true;
            self.open = Vec::new();
        } else {
            self.open.extend_from_slice(part);
        }
    }

    fn close(&mut self) {
        self.number += 1;
        let number = self.number;
        let mut text = std::mem::take(&mut self.open);
        if std::mem::take(&mut self.overlong) {
            let text = Err(TooLong);
            self.ready.push_back(Line { number, text });
            return;
        }
        if text.last() == Some(&b'\r') {
            text.pop();
        }
        if number == 1 && text.starts_with(MARK) {
            text.drain(..MARK.len());
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let text = if text.len() > self.limit {
            Err(TooLong)
        } else {
            Ok(text)
        };
        self.ready.push_back(Line { number, text });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]], limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(limit);
        let mut found = Vec::new();
        for piece in pieces {
            lines.push(piece);
            found.extend(std::iter::from_fn(|| lines.pop()));
        }
        lines.end();
        found.extend(std::iter::from_fn(|| lines.pop()));
        found
    }

    fn line(number: u64, text: &str) -> Line {
        let text = Ok(text.as_bytes().to_vec());
        Line { number, text }
    }

    #[test]
    fn ends_marks_and_empty_lines() {
        let body = b"\xef\xbb\xbf{1}\r\n\n  \n{2}\n{3}";
        assert_eq!(
            read(&[body], 10),
            [line(1, "{1}"), line(4, "{2}"), line(5, "{3}")]
        );
        assert_eq!(read(&[b""], 10), []);
        assert_eq!(read(&[b"\n\n"], 10), []);
    }

    #[test]
    fn a_long_line_is_told_and_does_not_hurt_its_neighbours() {
        let found = read(&[b"ok\n123456\n12345\r\nok"], 5);
        let long = Line {
            number: 2,
            text: Err(TooLong),
        };
        assert_eq!(
            found,
            [line(1, "ok"), long, line(3, "12345"), line(4, "ok")]
        );
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let mut lines = Lines::new(100);
        for _ in 0..10_000 {
            lines.push(&[b'x'; 1000]);
        }
        assert!(lines.open.capacity() < 2000);
        lines.push(b"\nok");
        lines.end();
        assert_eq!(lines.pop().unwrap().text, Err(TooLong));
        assert_eq!(lines.pop(), Some(line(2, "ok")));
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_lines(
            body in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b' '), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(0_usize..200, 0..20),
            limit in 0_usize..20,
        ) {
            let whole = read(&[&body], limit);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
            prop_assert_eq!(&read(&pieces, limit), &whole);
            let ends = body.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
            prop_assert!(whole.iter().all(|line| line.number <= ends));
            let fits = |text: &[u8]| text.len() <= limit && !text.contains(&b'\n');
            let sound = whole.iter().all(|line| line.text.as_ref().map_or(true, |text| fits(text)));
            prop_assert!(sound);
        }
    }
}
