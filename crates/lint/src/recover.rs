//! Every syntax error of a file, not only the first: the file is cut where a new statement
//! begins, and each piece is parsed alone.

use crmgate_policy::analysis::{self, Module};
use crmgate_policy::{LoadError, Source};

use crate::finding::Finding;

/// Pieces of one file that are parsed.
const MAX_PIECES: usize = 2_000;

/// A statement at the outermost level.
struct Piece<'t> {
    /// Lines before it.
    before: usize,
    text: Vec<&'t str>,
}

/// Tells every syntax error of a file that does not parse. What is left of the file without its
/// broken statements is parsed, if that can be done.
pub(crate) fn module(
    source: &Source,
    first: &LoadError,
    found: &mut Vec<Finding>,
) -> Option<Module> {
    if first.code != "syntax" {
        found.push(first.into());
        return None;
    }
    let pieces = pieces(&source.text);
    let mut whole: Vec<&str> = source.text.lines().collect();
    let mut faults = Vec::new();
    for piece in pieces.iter().take(MAX_PIECES) {
        if let Err(fault) = alone(source, piece) {
            faults.push(fault);
            let lines = whole.iter_mut().skip(piece.before);
            lines.take(piece.text.len()).for_each(|line| *line = "");
        }
    }
    if faults.is_empty() {
        // The pieces are sound: only together they are not.
        found.push(told(source, first));
        return None;
    }
    found.extend(faults.iter().map(|fault| told(source, fault)));
    let rest = Source {
        path: source.path.clone(),
        text: whole.join("\n"),
    };
    analysis::parse(&rest).ok()
}

fn told(source: &Source, fault: &LoadError) -> Finding {
    let finding = Finding::from(fault).in_characters(Some(&source.text));
    match finding.remedy {
        Some(_) => finding,
        None => finding.remedy("see `policies/README.md` for the form of a rule"),
    }
}

/// Parses a piece as a file of its own, and tells its fault by the whole file's lines.
fn alone(source: &Source, piece: &Piece<'_>) -> Result<(), LoadError> {
    let starts = |word: &str| piece.text.iter().any(|line| line.starts_with(word));
    let (head, added) = if starts("package") {
        ("", 0)
    } else {
        ("package piece\n", 1)
    };
    let text = format!("{head}{}\n", piece.text.join("\n"));
    let alone = Source {
        path: source.path.clone(),
        text,
    };
    analysis::parse(&alone).map(drop).map_err(|mut fault| {
        let last = piece.before + piece.text.len();
        let here = fault
            .line
            .and_then(|line| usize::try_from(line).ok())
            .map_or(piece.before + 1, |line| {
                // An end that comes too soon is told where the piece ends.
                (line + piece.before).saturating_sub(added).min(last)
            });
        fault.line = u32::try_from(here.max(1)).ok();
        fault
    })
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut depth = Depth::default();
    for (index, line) in text.lines().enumerate() {
        let begins = begins(line) && !depth.raw && (depth.open <= 0 || is_head(line));
        if begins || pieces.is_empty() {
            depth = Depth::default();
            pieces.push(Piece {
                before: index,
                text: Vec::new(),
            });
        }
        depth.read(line);
        if let Some(piece) = pieces.last_mut() {
            piece.text.push(line);
        }
    }
    for piece in &mut pieces {
        // Comments and blank lines at its end belong to what follows.
        let is_aside = |line: &&str| line.trim().is_empty() || line.starts_with('#');
        while piece.text.len() > 1 && piece.text.last().is_some_and(is_aside) {
            piece.text.pop();
        }
    }
    pieces
}

/// Whether a statement may begin with this line.
fn begins(line: &str) -> bool {
    let word = line.bytes().next();
    word.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_') && !line.starts_with("else")
}

/// Whether a line looks like the head of a rule even inside brackets: then one above it was left
/// open.
fn is_head(line: &str) -> bool {
    let first = line.split([' ', '(', '[', '{']).next().unwrap_or_default();
    let keyword = matches!(first, "package" | "import" | "default");
    keyword || line.contains(" contains ") || line.trim_end().ends_with(" if {")
}

/// How many brackets are open.
#[derive(Default)]
struct Depth {
    open: i32,
    raw: bool,
}

impl Depth {
    fn read(&mut self, line: &str) {
        let mut text = false;
        let mut escaped = false;
        for byte in line.bytes() {
            match byte {
                _ if std::mem::take(&mut escaped) => {}
                b'`' if !text => self.raw = !self.raw,
                _ if self.raw => {}
                b'\\' if text => escaped = true,
                b'"' => text = !text,
                _ if text => {}
                b'#' => return,
                b'{' | b'[' | b'(' => self.open += 1,
                b'}' | b']' | b')' => self.open -= 1,
                _ => {}
            }
        }
    }
}
