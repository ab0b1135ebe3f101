//! Text to tokens.

use super::QueryError;

/// One token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A name, a keyword or a path with dots.
    Word(String),
    /// What begins with a digit or a sign: a number, a date, a moment.
    Literal(String),
    /// The text between quotes, escapes still in it.
    Text(String),
    Symbol(&'static str),
}

const SYMBOLS: [&str; 11] = ["!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ",", ":"];

/// Splits a query into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = next(first, rest, at)?;
        found.push(Token { kind, at });
        at += length;
    }
    Ok(found)
}

fn next(first: char, rest: &str, at: usize) -> Result<(TokenKind, usize), QueryError> {
    if first == '\'' {
        let inner = quoted(rest).ok_or_else(|| {
            QueryError::malformed(format!(
                "line 1:{at} no viable alternative at character '<EOF>'"
            ))
            .at(at)
        })?;
        return Ok((TokenKind::Text(inner.to_owned()), inner.len() + 2));
    }
    if first.is_ascii_alphabetic() {
        let word = while_chars(rest, |c| {
            c.is_ascii_alphanumeric() || matches!(c, '_' | '.')
        });
        return Ok((TokenKind::Word(word.to_owned()), word.len()));
    }
    if first.is_ascii_digit() || matches!(first, '-' | '+' | '.') {
        let literal = while_chars(rest, |c| {
            c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '+')
        });
        return Ok((TokenKind::Literal(literal.to_owned()), literal.len()));
    }
    match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        Some(symbol) => Ok((TokenKind::Symbol(symbol), symbol.len())),
        None => Err(QueryError::malformed(format!("unexpected token: '{first}'")).at(at)),
    }
}

fn while_chars(text: &str, fits: impl Fn(char) -> bool) -> &str {
    text.split_once(|c| !fits(c)).map_or(text, |(head, _)| head)
}

/// What stands between the opening quote and the next one that isn't escaped.
fn quoted(rest: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => return rest.get(1..at),
            _ => {}
        }
    }
    None
}

/// Undoes the escapes of a text literal. `like` says whether `\%` and `\_` are allowed; they are kept as they are.
pub(super) fn unescape(raw: &str, like: bool) -> Result<String, QueryError> {
    let mut plain = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n' | 'N') => plain.push('\n'),
            Some('r' | 'R') => plain.push('\r'),
            Some('t' | 'T') => plain.push('\t'),
            Some('b' | 'B') => plain.push('\u{8}'),
            Some('f' | 'F') => plain.push('\u{c}'),
            Some(same @ ('"' | '\'')) => plain.push(same),
            // In a pattern, `\\` stays two characters, so that it can be told from the escape of a wildcard.
            Some('\\') => plain.push_str(if like { "\\\\" } else { "\\" }),
            Some(wild @ ('%' | '_')) if like => {
                plain.push('\\');
                plain.push(wild);
            }
            Some('u' | 'U') => {
                let code: String = chars.by_ref().take(4).collect();
                let letter = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
                plain.push(letter.ok_or_else(|| illegal(raw, &format!("\\u{code}")))?);
            }
            Some(other) => return Err(illegal(raw, &format!("\\{other}"))),
            None => return Err(illegal(raw, "\\")),
        }
    }
    Ok(plain)
}

fn illegal(raw: &str, sequence: &str) -> QueryError {
    QueryError::malformed(format!(
        "Invalid string literal '{raw}'. Illegal character sequence '{sequence}' in string literal."
    ))
}
