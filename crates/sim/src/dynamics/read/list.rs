//! Lists of records and their pages.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::error::Outcome;
use super::super::query::bind::Binder;
use super::super::query::page::{Cookie, next_link};
use super::super::query::{Filter, Options, Place};
use super::super::schema::Table;
use super::super::security::Right;
use super::super::store::Row;
use super::Reader;

/// The service counts no further.
const MAX_COUNT: usize = 5000;

/// Which rows a list is drawn from.
pub(crate) enum Rows {
    All,
    These(Vec<Arc<Row>>),
}

/// A list that is asked for.
pub(crate) struct List<'a> {
    pub(crate) table: &'a Arc<Table>,
    pub(crate) rows: Rows,
    pub(crate) options: &'a Options,
    /// Without its query.
    pub(crate) address: &'a str,
}

/// One page of it.
pub(crate) struct Page {
    pub(crate) rows: Vec<Arc<Row>>,
    pub(crate) next: Option<String>,
    /// How many there are on all pages, where that was asked for.
    pub(crate) count: Option<usize>,
}

impl Reader<'_> {
    /// The answer to a query.
    pub(crate) fn list(&self, list: &List<'_>) -> Outcome<Map<String, Value>> {
        self.caller.check(list.table, Right::Read)?;
        let mut answer = Map::new();
        let selected = self.context_list(list.table, list.options)?;
        self.put_context(&mut answer, &format!("{}{selected}", list.table.set));
        let page = self.page(list)?;
        if let Some(count) = page.count {
            self.put_count(&mut answer, count);
        }
        let mut items = Vec::with_capacity(page.rows.len());
        for row in &page.rows {
            items.push(Value::Object(self.record(list.table, row, list.options)?));
        }
        answer.insert("value".to_owned(), Value::Array(items));
        if let Some(link) = page.next {
            answer.insert("@odata.nextLink".to_owned(), Value::String(link));
        }
        Ok(answer)
    }

    fn put_count(&self, answer: &mut Map<String, Value>, count: usize) {
        let shown = count.min(MAX_COUNT);
        answer.insert("@odata.count".to_owned(), Value::from(shown));
        if self.prefer.wants("Microsoft.Dynamics.CRM.totalrecordcount") {
            answer.insert(
                "@Microsoft.Dynamics.CRM.totalrecordcount".to_owned(),
                Value::from(shown),
            );
            answer.insert(
                "@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded".to_owned(),
                Value::Bool(count > MAX_COUNT),
            );
        }
    }

    pub(crate) fn filter(&self, table: &Arc<Table>, options: &Options) -> Outcome<Option<Filter>> {
        let binder = Binder {
            schema: self.store.schema(),
            here: &self.here,
        };
        options
            .filter
            .as_ref()
            .map(|expr| binder.bind(table, expr, None))
            .transpose()
    }

    /// How many rows there are, up to what the service counts.
    pub(crate) fn count(&self, list: &List<'_>) -> Outcome<usize> {
        self.caller.check(list.table, Right::Read)?;
        let filter = self.filter(list.table, list.options)?;
        Ok(self.found(list, filter.as_ref()).take(MAX_COUNT).count())
    }

    /// All rows that the list is about, in the order in which they were made.
    pub(crate) fn found<'b>(
        &'b self,
        list: &'b List<'_>,
        filter: Option<&'b Filter>,
    ) -> impl Iterator<Item = &'b Arc<Row>> {
        let (all, these) = match &list.rows {
            Rows::All => (Some(self.store.rows(&list.table.name)), None),
            Rows::These(rows) => (None, Some(rows.iter())),
        };
        all.into_iter()
            .flatten()
            .chain(these.into_iter().flatten())
            .filter(|row| self.may_see(list.table, row))
            .filter(move |row| filter.is_none_or(|filter| filter.holds(self.store, row)))
    }

    /// The page that the list's options ask for.
    pub(crate) fn page(&self, list: &List<'_>) -> Outcome<Page> {
        let filter = self.filter(list.table, list.options)?;
        let order = self.order(list)?;
        let cookie = list.options.skip_token.as_deref();
        let cookie = cookie.map(Cookie::read).transpose()?;
        // With a page size, `$top` is passed over.
        let (size, paged) = match (self.prefer.page_size, list.options.top) {
            (Some(size), _) => (size.min(self.page_size), true),
            (None, Some(top)) if top <= self.page_size => (top, false),
            (None, _) => (self.page_size, true),
        };
        let mut found = self.found(list, filter.as_ref());
        let unordered = order.is_empty() && matches!(list.rows, Rows::All);
        let start = cookie.and_then(|cookie| self.store.row(&list.table.name, cookie.last));
        let (rows, skipped, count) = match (cookie, start) {
            // No more than the page needs, plus one that shows that there is another.
            (None, _) if unordered && !list.options.count => {
                (found.by_ref().take(size + 1).collect(), 0, None)
            }
            (Some(_), Some(last)) if unordered && !list.options.count => {
                let after = found.by_ref().skip_while(|row| row.seq <= last.seq);
                (after.take(size + 1).collect(), 0, None)
            }
            _ => {
                let mut rows: Vec<&Arc<Row>> = found.collect();
                rows.sort_by(|one, two| self.compare(&order, one, two));
                let skipped = cookie.map_or(0, |cookie| resume(&rows, cookie, size));
                let count = rows.len();
                (rows, skipped, list.options.count.then_some(count))
            }
        };
        let rest = rows.get(skipped..).unwrap_or_default();
        let rows: Vec<Arc<Row>> = rest.iter().take(size).map(|row| Arc::clone(row)).collect();
        let next = match (rows.first(), rows.last()) {
            (Some(first), Some(last)) if paged && rest.len() > size => {
                let cookie = Cookie {
                    page: cookie.map_or(1, |cookie| cookie.page) + 1,
                    last: last.id,
                };
                let token = cookie.token(first.id, &list.table.id);
                Some(next_link(list.address, list.options, &token))
            }
            _ => None,
        };
        Ok(Page { rows, next, count })
    }

    fn order(&self, list: &List<'_>) -> Outcome<Vec<(Place, bool)>> {
        list.options
            .order
            .iter()
            .map(|term| {
                let place = Place::find(self.store.schema(), list.table, &term.path)?;
                Ok((place, term.descending))
            })
            .collect()
    }

    pub(crate) fn compare(&self, order: &[(Place, bool)], one: &Row, two: &Row) -> Ordering {
        for (place, descending) in order {
            let found = place.get(self.store, one).order(place.get(self.store, two));
            let found = if *descending { found.reverse() } else { found };
            if found.is_ne() {
                return found;
            }
        }
        one.seq.cmp(&two.seq)
    }
}

/// Where a page begins: after the last row of the one before or, where that row is gone, as many rows on.
fn resume(rows: &[&Arc<Row>], cookie: Cookie, size: usize) -> usize {
    rows.iter()
        .position(|row| row.id == cookie.last)
        .map_or((cookie.page - 1) * size, |position| position + 1)
}
