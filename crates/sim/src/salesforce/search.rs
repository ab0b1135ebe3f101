//! `/search`: `FIND {words} [IN … FIELDS] [RETURNING Object(fields WHERE … LIMIT n), …] [LIMIT n]`.

use serde_json::{Value, json};

use super::error::ApiError;
use super::reply::Reply;
use super::rest::Rest;
use super::schema::{Kind, ObjectIx, ObjectType};
use super::soql::{self, Found, Projection, Scope};
use super::store::Row;

const MAX_RESULTS: usize = 2000;

/// One object of a `RETURNING`.
struct Returning {
    object: String,
    /// What stands in its parentheses.
    clause: Option<String>,
}

struct Find {
    words: Vec<String>,
    returning: Vec<Returning>,
    limit: usize,
}

/// `?q=FIND …`
pub(super) fn search(rest: &Rest<'_>) -> Result<Reply, ApiError> {
    let text = rest.parameter("q").unwrap_or_default();
    let find = parse(&text).ok_or_else(|| {
        ApiError::bad(
            "MALFORMED_SEARCH",
            format!("No viable alternative in `{text}`"),
        )
    })?;
    if find.words.iter().all(|word| {
        word.chars()
            .filter(|letter| !matches!(letter, '*' | '?'))
            .count()
            < 2
    }) {
        return Err(ApiError::bad(
            "MALFORMED_SEARCH",
            "search term must be longer than one character",
        ));
    }
    let objects: Vec<_> = if find.returning.is_empty() {
        let all = rest
            .org
            .schema
            .objects
            .iter()
            .filter(|kind| kind.searchable);
        all.map(|kind| Returning {
            object: kind.name.clone(),
            clause: None,
        })
        .collect()
    } else {
        find.returning
    };
    let mut found = Vec::new();
    for wanted in &objects {
        found.extend(in_object(rest, wanted, &find.words)?);
    }
    found.truncate(find.limit);
    Ok(Reply::ok(json!({"searchRecords": found})))
}

fn in_object(
    rest: &Rest<'_>,
    wanted: &Returning,
    words: &[String],
) -> Result<Vec<Value>, ApiError> {
    let clause = wanted.clause.as_deref().unwrap_or("Id");
    let words_in_clause = clause.to_ascii_uppercase();
    let split = [" WHERE ", " ORDER ", " LIMIT ", " OFFSET "]
        .iter()
        .filter_map(|word| words_in_clause.find(word))
        .min();
    let (fields, rest_of_clause) = clause.split_at(split.unwrap_or(clause.len()));
    let fields = if fields.trim().is_empty() {
        "Id"
    } else {
        fields
    };
    let query = format!("SELECT {fields} FROM {}{rest_of_clause}", wanted.object);
    let wrong = |error: soql::QueryError| ApiError::query(&error, &query);
    let parsed = soql::parse(&query).map_err(wrong)?;
    let store = rest.org.read();
    let scope = Scope {
        schema: &rest.org.schema,
        store: &store,
        access: &rest.caller.access,
        now: rest.call.at,
    };
    let Found::Rows(selected) = soql::run(&scope, &parsed, false).map_err(wrong)? else {
        return Err(ApiError::bad(
            "MALFORMED_SEARCH",
            "a search can't aggregate",
        ));
    };
    let Some(kind) = rest.org.schema.object(selected.object) else {
        return Ok(Vec::new());
    };
    let projection: &Projection = &selected.projection;
    let version = rest.version.text();
    let rows = selected
        .ids
        .iter()
        .filter_map(|id| store.row(selected.object, *id));
    let hits = rows.filter(|row| hit(&scope, selected.object, kind, row, words));
    Ok(hits
        .map(|row| projection.show(&scope, &version, selected.object, row))
        .collect())
}

/// Whether every word begins a word of some text field.
fn hit(
    scope: &Scope<'_>,
    object: ObjectIx,
    kind: &ObjectType,
    row: &Row,
    words: &[String],
) -> bool {
    let mut texts = Vec::new();
    for (ix, field) in kind.fields.iter().enumerate() {
        let text = field.is_text() && !matches!(field.kind, Kind::Id | Kind::Reference);
        if text
            && scope.access.sees(object, ix)
            && let Some(text) = row.cell(ix).as_text()
        {
            texts.push(text.to_lowercase());
        }
    }
    words
        .iter()
        .all(|word| texts.iter().any(|text| begins(text, word)))
}

fn begins(text: &str, word: &str) -> bool {
    let stem = word.trim_end_matches('*');
    let exact = stem.len() == word.len();
    text.match_indices(stem).any(|(at, _)| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        let after = text
            .get(at + stem.len()..)
            .and_then(|tail| tail.chars().next());
        let edge = |letter: Option<char>| !letter.is_some_and(char::is_alphanumeric);
        edge(before) && (!exact || edge(after))
    })
}

fn parse(text: &str) -> Option<Find> {
    let rest = text.trim();
    let rest = rest
        .get(..4)
        .filter(|word| word.eq_ignore_ascii_case("FIND"))
        .and(rest.get(4..))?
        .trim_start();
    let (words, rest) = rest.strip_prefix('{')?.split_once('}')?;
    let plain = words.replace('\\', "").to_lowercase();
    let words: Vec<String> = plain
        .split_whitespace()
        .map(|word| word.trim_matches('"').to_owned())
        .filter(|w| !w.is_empty())
        .collect();
    let upper = rest.to_ascii_uppercase();
    let (returning, after) = match upper.find("RETURNING") {
        Some(at) => returning(rest.get(at + 9..)?)?,
        None => (Vec::new(), rest),
    };
    let upper = after.to_ascii_uppercase();
    let limit = match upper.find("LIMIT") {
        Some(at) => after
            .get(at + 5..)?
            .split_whitespace()
            .next()?
            .parse()
            .ok()?,
        None => MAX_RESULTS,
    };
    Some(Find {
        words,
        returning,
        limit,
    })
}

/// Reads `Account(Id, Name), Contact` up to what isn't part of it.
fn returning(text: &str) -> Option<(Vec<Returning>, &str)> {
    let mut list = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let end = rest
            .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .unwrap_or(rest.len());
        let (object, after) = rest.split_at(end);
        if object.is_empty() {
            return None;
        }
        let after = after.trim_start();
        let (clause, after) = match after.strip_prefix('(') {
            Some(inner) => {
                let close = closing(inner)?;
                (
                    Some(inner.get(..close)?.to_owned()),
                    inner.get(close + 1..)?.trim_start(),
                )
            }
            None => (None, after),
        };
        list.push(Returning {
            object: object.to_owned(),
            clause,
        });
        match after.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => return Some((list, after)),
        }
    }
}

/// Where the parenthesis that is open already closes; quoted ones don't count.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth == 0 => return Some(at),
            ')' if !quoted => depth -= 1,
            _ => {}
        }
    }
    None
}
