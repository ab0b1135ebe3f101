//! What a filter makes of a row.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::cell::{Cell, fold};
use super::super::store::{Row, Store};
use super::bind::Filter;
use super::expression::Compare;

impl Filter {
    /// Whether the row is one of those sought. As in the service's SQL, nothing is equal to no value, and `ne` finds
    /// the rows without one too.
    pub(crate) fn holds(&self, store: &Store, row: &Row) -> bool {
        match self {
            Self::And(sides) => sides.iter().all(|side| side.holds(store, row)),
            Self::Or(sides) => sides.iter().any(|side| side.holds(store, row)),
            Self::Not(inner) => !inner.holds(store, row),
            Self::Value(place, compare, cell) => compares(place.get(store, row), *compare, cell),
            Self::Columns(one, compare, two) => {
                let (one, two) = (one.get(store, row), two.get(store, row));
                !one.is_null() && !two.is_null() && compares(one, *compare, two)
            }
            Self::Like(place, wildcard) => place
                .get(store, row)
                .as_text()
                .is_some_and(|text| wildcard.matches(&fold(text))),
            Self::In(place, cells) => {
                let value = place.get(store, row);
                !value.is_null() && cells.iter().any(|cell| value.order(cell).is_eq())
            }
            Self::Between(place, low, high) => {
                let value = place.get(store, row);
                !value.is_null() && value.order(low).is_ge() && value.order(high).is_le()
            }
            Self::Holds(place, wanted) => match place.get(store, row) {
                Cell::Choices(held) => wanted.iter().any(|one| held.contains(one)),
                _ => false,
            },
            Self::Many {
                relation,
                position,
                all,
                inner,
            } => {
                let mut others = store
                    .referrers(&relation.to, row.id)
                    .into_iter()
                    .filter(|other| other.table == relation.from && other.position == *position)
                    .filter_map(|other| store.row(&other.table, other.id));
                let judge =
                    |other: &Arc<Row>| inner.as_ref().is_none_or(|inner| inner.holds(store, other));
                if *all {
                    others.all(judge)
                } else {
                    others.any(judge)
                }
            }
        }
    }
}

fn compares(value: &Cell, compare: Compare, with: &Cell) -> bool {
    match (value.is_null(), with.is_null()) {
        (true, true) => return matches!(compare, Compare::Eq | Compare::Ge | Compare::Le),
        (false, true) => return compare == Compare::Ne,
        (true, false) => return compare == Compare::Ne,
        (false, false) => {}
    }
    let order = value.order(with);
    match compare {
        Compare::Eq => order == Ordering::Equal,
        Compare::Ne => order != Ordering::Equal,
        Compare::Gt => order == Ordering::Greater,
        Compare::Ge => order != Ordering::Less,
        Compare::Lt => order == Ordering::Less,
        Compare::Le => order != Ordering::Greater,
    }
}
