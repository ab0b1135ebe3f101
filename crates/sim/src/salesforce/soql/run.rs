//! Answers queries: plan, candidates, filter, order, limits.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::QueryError;
use super::aggregate;
use super::ast::{Item, Operator, Order, Query, Which};
use super::bind::{End, Route, Scope, field_in};
use super::filter::{self, Bound, Test};
use super::project::Projection;
use crate::salesforce::cell::Cell;
use crate::salesforce::id::RecordId;
use crate::salesforce::schema::{Kind, ObjectIx};
use crate::salesforce::store::Row;

const MAX_OFFSET: usize = 2000;
const MAX_ALL_FIELDS: usize = 200;

/// What a query found.
#[derive(Debug)]
pub(crate) enum Found {
    /// `SELECT COUNT()`.
    Count(usize),
    Rows(Selected),
    /// Finished lines of an aggregate query.
    Groups(Vec<Value>),
}

/// The records found, and what is shown of each.
#[derive(Clone, Debug)]
pub(crate) struct Selected {
    pub(crate) object: ObjectIx,
    pub(crate) ids: Vec<RecordId>,
    pub(crate) projection: Arc<Projection>,
}

/// A query bound to the schema.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    object: ObjectIx,
    /// For children: the lookup that leads to the parent.
    parent_field: Option<usize>,
    filter: Option<Bound>,
    order: Vec<(Route, bool, bool)>,
    limit: Option<usize>,
    offset: usize,
    projection: Projection,
}

/// Answers a query. `all_rows` includes deleted records.
pub(crate) fn run(scope: &Scope<'_>, query: &Query, all_rows: bool) -> Result<Found, QueryError> {
    let (object, _) = scope.object(&query.from)?;
    let aggregated = query
        .select
        .iter()
        .any(|item| matches!(item, Item::Aggregate { .. }));
    if aggregated || !query.group_by.is_empty() {
        let plan = Plan::new(scope, object, query, Projection::default(), &[])?;
        return aggregate::run(scope, query, object, &plan.rows(scope, all_rows))
            .map(Found::Groups);
    }
    if query.select == [Item::CountAll] {
        let plan = Plan::new(scope, object, query, Projection::default(), &query.order)?;
        return Ok(Found::Count(plan.rows(scope, all_rows).len()));
    }
    let projection = projection(scope, object, query)?;
    let plan = Plan::new(scope, object, query, projection, &query.order)?;
    let ids = plan
        .rows(scope, all_rows)
        .into_iter()
        .map(|row| row.id)
        .collect();
    Ok(Found::Rows(Selected {
        object,
        ids,
        projection: Arc::new(plan.projection),
    }))
}

/// The identifiers that a subquery after `IN` yields.
pub(super) fn ids_of(scope: &Scope<'_>, query: &Query) -> Result<HashSet<RecordId>, QueryError> {
    let (object, _) = scope.object(&query.from)?;
    let [Item::Field { path, .. }] = query.select.as_slice() else {
        return Err(QueryError::malformed(
            "Nesting of semi join sub-selects must select exactly one column",
        ));
    };
    let (route, field) = scope.route(object, query.alias.as_deref(), path)?;
    if !field.is_some_and(|field| matches!(field.kind, Kind::Id | Kind::Reference)) {
        let message = format!(
            "The selected field '{}' in the semi join must be an ID or reference field",
            path.dotted()
        );
        return Err(QueryError::malformed(message).at(path.at));
    }
    let plan = Plan::new(scope, object, query, Projection::default(), &query.order)?;
    let rows = plan.rows(scope, false);
    Ok(rows
        .into_iter()
        .filter_map(|row| scope.value(object, row, &route).as_ref_id())
        .collect())
}

fn projection(
    scope: &Scope<'_>,
    object: ObjectIx,
    query: &Query,
) -> Result<Projection, QueryError> {
    let mut projection = Projection::default();
    let alias = query.alias.as_deref();
    for item in &query.select {
        match item {
            Item::Field { path, .. } => projection.select(scope, object, alias, path)?,
            Item::Fields { which, at } => {
                if *which != Which::Standard
                    && query.limit.is_none_or(|limit| limit > MAX_ALL_FIELDS)
                {
                    let message = format!(
                        "The SOQL FIELDS function must have a LIMIT of at most {MAX_ALL_FIELDS}"
                    );
                    return Err(QueryError::malformed(message).at(*at));
                }
                projection.extend(Projection::fields(scope, object, *which));
            }
            Item::Children(child) => {
                let name = child.from.dotted();
                let found = scope
                    .schema
                    .object(object)
                    .and_then(|kind| kind.find_children(&name));
                let Some(found) = found else {
                    let message = format!(
                        "Didn't understand relationship '{name}' in FROM part of query call. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names."
                    );
                    return Err(QueryError::new("INVALID_TYPE", message).at(child.from.at));
                };
                let inner = self::projection(scope, found.object, child)?;
                let mut plan = Plan::new(scope, found.object, child, inner, &child.order)?;
                plan.parent_field = Some(found.field);
                projection.children(&found.name, plan);
            }
            Item::CountAll | Item::Aggregate { .. } => {
                return Err(QueryError::malformed("unexpected token: 'COUNT'"));
            }
        }
    }
    Ok(projection)
}

impl Plan {
    fn new(
        scope: &Scope<'_>,
        object: ObjectIx,
        query: &Query,
        projection: Projection,
        order: &[Order],
    ) -> Result<Self, QueryError> {
        let alias = query.alias.as_deref();
        if query.offset > MAX_OFFSET {
            let message = format!("Maximum SOQL offset allowed is {MAX_OFFSET}");
            return Err(QueryError::new("NUMBER_OUTSIDE_VALID_RANGE", message));
        }
        let mut keys = Vec::with_capacity(order.len());
        for key in order {
            let (route, field) = scope.route(object, alias, &key.path)?;
            if key.function.is_some() || field.is_some_and(|field| !field.sortable()) {
                let message = format!(
                    "field '{}' can not be sorted in a query call",
                    key.path.dotted()
                );
                return Err(QueryError::malformed(message).at(key.path.at));
            }
            keys.push((route, key.descending, key.nulls_last));
        }
        let filter = query.filter.as_ref();
        let filter = filter
            .map(|one| filter::bind(scope, object, alias, one))
            .transpose()?;
        // An aggregate query limits its groups, not the records they are made of.
        let grouped = !query.group_by.is_empty();
        let limit = if grouped { None } else { query.limit };
        let offset = if grouped { 0 } else { query.offset };
        Ok(Self {
            object,
            parent_field: None,
            filter,
            order: keys,
            limit,
            offset,
            projection,
        })
    }

    fn rows<'s>(&self, scope: &Scope<'s>, all_rows: bool) -> Vec<&'s Row> {
        match self.candidates(scope, all_rows) {
            Some(ids) => {
                let wanted = |id: RecordId| {
                    scope
                        .store
                        .any_row(self.object, id)
                        .filter(|row| all_rows || !row.deleted)
                };
                self.pick(scope, ids.into_iter().filter_map(wanted))
            }
            None => self.pick(
                scope,
                scope
                    .store
                    .rows(self.object)
                    .filter(|row| all_rows || !row.deleted),
            ),
        }
    }

    fn pick<'s>(&self, scope: &Scope<'s>, rows: impl Iterator<Item = &'s Row>) -> Vec<&'s Row> {
        let fitting = rows.filter(|row| {
            self.filter
                .as_ref()
                .is_none_or(|filter| filter.fits(scope, self.object, row))
        });
        let limit = self.limit.unwrap_or(usize::MAX);
        if self.order.is_empty() {
            return fitting.skip(self.offset).take(limit).collect();
        }
        let mut rows: Vec<_> = fitting.collect();
        rows.sort_by(|a, b| self.compare(scope, a, b));
        rows.into_iter().skip(self.offset).take(limit).collect()
    }

    fn compare(&self, scope: &Scope<'_>, a: &Row, b: &Row) -> Ordering {
        for (route, descending, nulls_last) in &self.order {
            let (a, b) = (
                scope.value(self.object, a, route),
                scope.value(self.object, b, route),
            );
            let order = in_order(&a, &b, *descending, *nulls_last);
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }

    /// The only records that can fit, where an index knows them, in the order of their identifiers.
    fn candidates(&self, scope: &Scope<'_>, all_rows: bool) -> Option<Vec<RecordId>> {
        let filter = self.filter.as_ref()?;
        let mut found = filter.conjuncts().into_iter().find_map(|(route, test)| {
            let (hops, End::Field(step)) = route.parts() else {
                return None;
            };
            let field = field_in(step, self.object).filter(|_| hops.is_empty())?;
            self.indexed(scope, field, test, all_rows)
        })?;
        found.sort_unstable();
        found.dedup();
        Some(found)
    }

    fn indexed(
        &self,
        scope: &Scope<'_>,
        field: usize,
        test: &Test,
        all_rows: bool,
    ) -> Option<Vec<RecordId>> {
        let kind = scope.schema.object(self.object)?.field(field)?.kind;
        let values = match test {
            Test::Compare {
                operator: Operator::Equal,
                with,
            } => std::slice::from_ref(with),
            Test::OneOf {
                values,
                negated: false,
            } => values.as_slice(),
            Test::Within {
                ids,
                negated: false,
            } if kind == Kind::Id => return Some(ids.iter().copied().collect()),
            _ => return None,
        };
        if kind == Kind::Id {
            return Some(values.iter().filter_map(Cell::as_ref_id).collect());
        }
        // The other indexes hold live records only, and no nulls.
        if all_rows || values.iter().any(Cell::is_null) {
            return None;
        }
        let mut found = Vec::new();
        for value in values {
            match value {
                Cell::Text(text) => found.extend(self.by_text(scope, field, text)?),
                Cell::Ref(parent) => {
                    found.extend(scope.store.children(self.object, field, *parent)?);
                }
                _ => return None,
            }
        }
        Some(found)
    }

    fn by_text<'s>(&self, scope: &Scope<'s>, field: usize, text: &str) -> Option<&'s [RecordId]> {
        // Queries compare without regard to case; an index that doesn't can't answer them.
        let exact = scope
            .schema
            .object(self.object)?
            .field(field)?
            .case_sensitive;
        if exact {
            None
        } else {
            scope.store.find(self.object, field, text)
        }
    }

    /// The children of a record, as they appear inside it.
    pub(super) fn show_children(
        &self,
        scope: &Scope<'_>,
        version: &str,
        parent: RecordId,
    ) -> Value {
        let Some(field) = self.parent_field else {
            return Value::Null;
        };
        let ids = scope
            .store
            .children(self.object, field, parent)
            .unwrap_or_default();
        let rows = self.pick(
            scope,
            ids.into_iter()
                .filter_map(|id| scope.store.row(self.object, id)),
        );
        if rows.is_empty() {
            return Value::Null;
        }
        let shown: Vec<_> = rows
            .iter()
            .map(|row| self.projection.show(scope, version, self.object, row))
            .collect();
        json!({"totalSize": shown.len(), "done": true, "records": shown})
    }
}

/// Nulls come first unless told otherwise, whichever way the rest is sorted.
pub(super) fn in_order(a: &Cell, b: &Cell, descending: bool, nulls_last: bool) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) if nulls_last => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, true) if nulls_last => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) if descending => b.compare(a),
        (false, false) => a.compare(b),
    }
}
