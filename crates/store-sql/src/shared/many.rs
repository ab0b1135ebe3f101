//! Statements over any number of rows of values, each one call to the database.

use sqlx::AssertSqlSafe;

use super::values::{bind, from, in_one};
use super::{Connection, Row};

/// Most rows of one call.
const MOST: usize = 256;

/// What a column holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Number,
    Word,
    Bytes,
}

/// A column of the rows: its name, and what it holds.
pub(crate) type Column = (&'static str, Kind);

/// A value of a row.
#[derive(Debug)]
pub(crate) enum Value {
    Number(Option<i64>),
    Word(Option<String>),
    Bytes(Option<Vec<u8>>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(word: &str) -> Self {
        Self::Word(Some(word.to_owned()))
    }
}

impl From<Option<&str>> for Value {
    fn from(word: Option<&str>) -> Self {
        Self::Word(word.map(str::to_owned))
    }
}

impl From<Option<String>> for Value {
    fn from(word: Option<String>) -> Self {
        Self::Word(word)
    }
}

impl From<uuid::Uuid> for Value {
    fn from(id: uuid::Uuid) -> Self {
        Self::Bytes(Some(id.as_bytes().to_vec()))
    }
}

impl From<Option<uuid::Uuid>> for Value {
    fn from(id: Option<uuid::Uuid>) -> Self {
        Self::Bytes(id.map(|id| id.as_bytes().to_vec()))
    }
}

/// A statement with a table `v` of rows between its head and its tail. The first column is never
/// null.
pub(crate) struct Many {
    pub(crate) head: &'static str,
    pub(crate) columns: &'static [Column],
    pub(crate) tail: &'static str,
}

impl Many {
    /// The statement over so many rows, behind so many values of others.
    pub(crate) fn text(&self, rows: usize, behind: usize) -> String {
        let values = from(self.columns, rows, behind);
        format!("{} {values}{}", self.head, self.tail)
    }

    /// Runs it over all rows: what it returns. Without rows nothing is done.
    pub(crate) async fn run(
        &self,
        connection: &mut Connection,
        rows: Vec<Vec<Value>>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let mut rows = rows.into_iter();
        let mut returned = Vec::new();
        loop {
            let part: Vec<_> = rows.by_ref().take(MOST).collect();
            if part.is_empty() {
                return Ok(returned);
            }
            let text = AssertSqlSafe(self.text(part.len(), 0));
            let query = bind(sqlx::query(text), self.columns, part);
            returned.extend(query.fetch_all(&mut *connection).await?);
        }
    }
}

/// Runs statements of which none is about rows of another one, in one call where the database can.
pub(crate) async fn run_all(
    connection: &mut Connection,
    mut all: Vec<(&Many, Vec<Vec<Value>>)>,
) -> Result<(), sqlx::Error> {
    all.retain(|(_, rows)| !rows.is_empty());
    let mut texts = Vec::with_capacity(all.len());
    let mut behind = 0;
    for (many, rows) in &all {
        texts.push(many.text(rows.len(), behind));
        behind += many.columns.len();
    }
    let small = all.len() > 1 && all.iter().all(|(_, rows)| rows.len() <= MOST);
    if let Some(text) = in_one(&texts).filter(|_| small) {
        let mut query = sqlx::query(AssertSqlSafe(text));
        for (many, rows) in all {
            query = bind(query, many.columns, rows);
        }
        return query.execute(connection).await.map(|_| ());
    }
    for (many, rows) in all {
        many.run(connection, rows).await?;
    }
    Ok(())
}
