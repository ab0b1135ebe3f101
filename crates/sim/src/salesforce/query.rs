//! `/query` and `/queryAll`: the query language, answered page by page.

use serde_json::{Value, json};

use super::cursor::Cursor;
use super::error::ApiError;
use super::reply::Reply;
use super::rest::Rest;
use super::soql::{self, Found, Scope, Selected};
use super::store::Store;

/// What a client may ask for as the size of a page.
const PAGE_SIZES: std::ops::RangeInclusive<usize> = 200..=2000;

/// `?q=SELECT …`
pub(super) fn query(rest: &Rest<'_>, all_rows: bool) -> Result<Reply, ApiError> {
    let text = rest.parameter("q").ok_or_else(|| {
        let message = if rest.parameter("explain").is_some() {
            "query plans are not simulated"
        } else {
            "A query string has to be specified"
        };
        ApiError::bad("MALFORMED_QUERY", message)
    })?;
    let wrong = |error: soql::QueryError| ApiError::query(&error, &text);
    let parsed = soql::parse(&text).map_err(wrong)?;
    let store = rest.org.read();
    match soql::run(&scope(rest, &store), &parsed, all_rows).map_err(wrong)? {
        Found::Count(count) => Ok(Reply::ok(
            json!({"totalSize": count, "done": true, "records": []}),
        )),
        Found::Groups(lines) => Ok(Reply::ok(
            json!({"totalSize": lines.len(), "done": true, "records": lines}),
        )),
        Found::Rows(selected) => {
            let size = page_size(rest);
            let locator = (selected.ids.len() > size).then(|| {
                rest.org
                    .cursors
                    .keep(selected.clone(), rest.caller.user, size)
            });
            Ok(page(rest, &store, &selected, 0, size, locator.as_deref()))
        }
    }
}

/// `/query/01g…-2000`
pub(super) fn more(rest: &Rest<'_>, locator: &str) -> Result<Reply, ApiError> {
    let found = locator.rsplit_once('-').and_then(|(name, offset)| {
        Some((
            name,
            rest.org.cursors.find(name, rest.caller.user)?,
            offset.parse::<usize>().ok()?,
        ))
    });
    let Some((
        name,
        Cursor {
            selected,
            page_size,
            ..
        },
        from,
    )) = found
    else {
        return Err(ApiError::bad(
            "INVALID_QUERY_LOCATOR",
            "invalid query locator",
        ));
    };
    if from > selected.ids.len() {
        return Err(ApiError::bad(
            "INVALID_QUERY_LOCATOR",
            "invalid query locator",
        ));
    }
    let store = rest.org.read();
    Ok(page(rest, &store, &selected, from, page_size, Some(name)))
}

fn scope<'a>(rest: &'a Rest<'_>, store: &'a Store) -> Scope<'a> {
    Scope {
        schema: &rest.org.schema,
        store,
        access: &rest.caller.access,
        now: rest.call.at,
    }
}

fn page_size(rest: &Rest<'_>) -> usize {
    let options = rest.call.header("sforce-query-options").unwrap_or_default();
    let mut pairs = options
        .split([',', ';'])
        .filter_map(|pair| pair.split_once('='));
    let asked = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("batchSize"));
    let asked = asked.and_then(|(_, size)| size.trim().parse::<usize>().ok());
    match asked {
        Some(size) => size
            .clamp(*PAGE_SIZES.start(), *PAGE_SIZES.end())
            .min(rest.org.options.page_size.max(1)),
        None => rest.org.options.page_size.max(1),
    }
}

fn page(
    rest: &Rest<'_>,
    store: &Store,
    selected: &Selected,
    from: usize,
    size: usize,
    locator: Option<&str>,
) -> Reply {
    let scope = scope(rest, store);
    let version = rest.version.text();
    let rows = selected
        .ids
        .iter()
        .skip(from)
        .take(size)
        .filter_map(|id| store.any_row(selected.object, *id));
    let records: Vec<Value> = rows
        .map(|row| {
            selected
                .projection
                .show(&scope, &version, selected.object, row)
        })
        .collect();
    let next = from.saturating_add(size);
    let done = next >= selected.ids.len();
    let mut body = json!({"totalSize": selected.ids.len(), "done": done});
    if let Value::Object(map) = &mut body {
        if let Some(locator) = locator.filter(|_| !done) {
            let url = format!("/services/data/v{version}/query/{locator}-{next}");
            map.insert("nextRecordsUrl".to_owned(), Value::String(url));
        }
        map.insert("records".to_owned(), Value::Array(records));
    }
    Reply::ok(body)
}
