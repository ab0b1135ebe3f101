//! Fields that nobody writes: names, states, running numbers.

use std::collections::HashSet;

use super::cell::Cell;
use super::schema::{Derived, FieldIx, ObjectType, PickValue};
use super::store::{Row, Store};

/// What deriving needs to know beside the record.
pub(crate) struct Circumstances<'a> {
    pub(crate) before: Option<&'a Row>,
    /// The fields that this change writes.
    pub(crate) written: &'a HashSet<FieldIx>,
    /// The record's running number; new records only.
    pub(crate) number: Option<u64>,
    /// Seconds since 1970.
    pub(crate) now: i64,
    pub(crate) store: &'a Store,
}

/// Sets all derived fields of a record that is about to be saved.
pub(crate) fn derive(object: &ObjectType, row: &mut Row, around: &Circumstances<'_>) {
    for (ix, field) in object.fields.iter().enumerate() {
        if let Some(derived) = field.derived
            && let Some(cell) = value(object, row, ix, derived, around)
        {
            row.put(ix, cell);
        }
    }
}

/// The new value; `None` to leave what is there.
fn value(
    object: &ObjectType,
    row: &Row,
    ix: FieldIx,
    derived: Derived,
    around: &Circumstances<'_>,
) -> Option<Cell> {
    let state = object.state(&row.cells);
    let closed = |state: Option<&PickValue>| state.is_some_and(|state| state.closed);
    match derived {
        Derived::PersonName => Some(person_name(object, row)),
        Derived::Closed => Some(Cell::Bool(closed(state))),
        Derived::Won => Some(Cell::Bool(state.is_some_and(|state| state.won))),
        Derived::Forecast => Some(
            state
                .and_then(|state| state.forecast.as_deref())
                .map_or(Cell::Null, Cell::text),
        ),
        Derived::Probability => {
            let state_field = object.state_field?;
            let changed = around
                .before
                .is_none_or(|before| before.cell(state_field) != row.cell(state_field));
            let probability = state.and_then(|state| state.probability)?;
            (changed && !around.written.contains(&ix)).then_some(Cell::Number(probability))
        }
        Derived::ExpectedRevenue => {
            let amount = row.named(object, "Amount").as_number();
            let probability = row.named(object, "Probability").as_number();
            Some(
                amount
                    .zip(probability)
                    .map_or(Cell::Null, |(amount, percent)| {
                        Cell::Number((amount * percent).round() / 100.0)
                    }),
            )
        }
        Derived::ClosedDate => match (closed(state), row.cell(ix).is_null()) {
            (true, true) => Some(Cell::Moment(around.now)),
            (false, false) => Some(Cell::Null),
            _ => None,
        },
        Derived::AutoNumber => around
            .number
            .map(|number| Cell::text(format!("{number:08}"))),
        Derived::AccountOfContact => {
            let (contact, _) = object.find("ContactId")?;
            if around.written.contains(&ix) || !around.written.contains(&contact) {
                return None;
            }
            account_of(row.cell(contact), around.store)
        }
    }
}

fn person_name(object: &ObjectType, row: &Row) -> Cell {
    let parts = ["FirstName", "LastName"].map(|name| row.named(object, name).as_text());
    let name: Vec<_> = parts.into_iter().flatten().collect();
    if name.is_empty() {
        Cell::Null
    } else {
        Cell::text(name.join(" "))
    }
}

fn account_of(contact: &Cell, store: &Store) -> Option<Cell> {
    let (object, row) = store.by_id(contact.as_ref_id()?)?;
    let (account, _) = store.schema().object(object)?.find("AccountId")?;
    Some(row.cell(account).clone())
}
