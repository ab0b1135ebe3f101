//! The words of a filter.

use super::super::error::{ApiError, Outcome};

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, a path, an operator, a number, a date or an identifier.
    Word(String),
    /// Text in quotes, without them.
    Text(String),
    /// `Some.Type'Value'`.
    Enum(String),
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    Equals,
}

/// Cuts a filter into words.
pub(super) fn tokens(text: &str) -> Outcome<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = next(first, rest)?;
        found.push(token);
        rest = after.trim_start();
    }
    Ok(found)
}

fn next(first: char, rest: &str) -> Outcome<(Token, &str)> {
    let after = rest.get(first.len_utf8()..).unwrap_or_default();
    Ok(match first {
        '(' => (Token::Open, after),
        ')' => (Token::Close, after),
        '[' => (Token::OpenList, after),
        ']' => (Token::CloseList, after),
        ',' => (Token::Comma, after),
        '=' => (Token::Equals, after),
        '\'' | '"' => {
            let (text, after) = quoted(first, after)?;
            (Token::Text(text), after)
        }
        _ => {
            let end = rest.find(|letter: char| {
                letter.is_whitespace()
                    || matches!(letter, '(' | ')' | '[' | ']' | ',' | '=' | '\'' | '"')
            });
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            match after.strip_prefix('\'') {
                Some(inner) => {
                    let (text, after) = quoted('\'', inner)?;
                    // Version 2 wrote `guid'…'` and `datetime'…'`; the service no longer reads that.
                    if !word.contains('.') {
                        return Err(syntax(&format!("Unrecognized '{word}' literal")));
                    }
                    (Token::Enum(text), after)
                }
                None => (Token::Word(word.to_owned()), after),
            }
        }
    })
}

/// Text up to the closing quote; a doubled quote stands for one.
fn quoted(quote: char, text: &str) -> Outcome<(String, &str)> {
    let mut out = String::new();
    let mut rest = text;
    loop {
        let Some((before, after)) = rest.split_once(quote) else {
            return Err(syntax("There is an unterminated string literal"));
        };
        out.push_str(before);
        match after.strip_prefix(quote) {
            Some(after) => {
                out.push(quote);
                rest = after;
            }
            None => return Ok((out, after)),
        }
    }
}

pub(super) fn syntax(detail: &str) -> ApiError {
    ApiError::query(format!("{detail} in the query expression."))
}
