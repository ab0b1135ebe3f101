//! Statements in Postgres' words.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::{Row, Scalar, Statement};

/// The texts that were needed so far, as they were written and as they are sent.
static SENT: LazyLock<RwLock<HashMap<&'static str, Arc<str>>>> = LazyLock::new(RwLock::default);

/// A statement, its values written as `?`.
pub(crate) fn sql<'q>(text: &'static str) -> Statement<'q> {
    sqlx::query(sent(text))
}

/// A statement whose answer is one column, its values written as `?`.
pub(crate) fn scalar<'q, T>(text: &'static str) -> Scalar<'q, T>
where
    (T,): for<'r> sqlx::FromRow<'r, Row>,
{
    sqlx::query_scalar(sent(text))
}

fn sent(text: &'static str) -> SqlStr {
    if !text.contains('?') {
        return text.into_sql_str();
    }
    let known = SENT.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.get(text) {
        return AssertSqlSafe(Arc::clone(known)).into_sql_str();
    }
    drop(known);
    let mut known = SENT.write().unwrap_or_else(PoisonError::into_inner);
    let numbered = known.entry(text).or_insert_with(|| numbered(text).into());
    AssertSqlSafe(Arc::clone(numbered)).into_sql_str()
}

/// The text with its values numbered: a `?` between quotes is none.
fn numbered(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let (mut quoted, mut count) = (false, 0);
    for letter in text.chars() {
        match letter {
            '?' if !quoted => {
                count += 1;
                out.push('$');
                out.push_str(&count.to_string());
            }
            _ => {
                quoted ^= letter == '\'';
                out.push(letter);
            }
        }
    }
    out
}

/// A word that somebody else chose, as it can be kept: Postgres keeps no zero bytes.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered() {
        let text = "SELECT ? FROM t WHERE a = '?''?' AND b = ?";
        assert_eq!(
            numbered(text),
            "SELECT $1 FROM t WHERE a = '?''?' AND b = $2"
        );
        assert_eq!(sent("SELECT ?").as_str(), "SELECT $1");
        assert_eq!(sent("SELECT ?").as_str(), "SELECT $1", "the second time");
        assert_eq!(sent("SELECT 1").as_str(), "SELECT 1");
    }

    #[test]
    fn zero_bytes_are_replaced() {
        assert_eq!(plain("a\0b"), "a\u{fffd}b");
        assert_eq!(plain("ab"), "ab");
    }
}
