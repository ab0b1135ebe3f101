//! Records tied together and untied by `$ref`.

use std::sync::Arc;

use uuid::Uuid;

use super::super::error::{ApiError, Outcome};
use super::super::schema::{Link, Nav, Relation, Table};
use super::super::security::Right;
use super::Work;
use super::payload::{Bind, Payload};
use super::update::Condition;

impl Work<'_> {
    /// Ties the record that `text` names to a row, by a lookup or a collection.
    pub(crate) fn associate(
        &mut self,
        table: &Arc<Table>,
        id: Uuid,
        nav: &str,
        text: &str,
    ) -> Outcome<()> {
        match table.nav(nav).cloned() {
            Some(Nav::One { column, targets }) => {
                self.point(table, id, (nav, column, targets), Some(text))
            }
            Some(Nav::Many(relation)) => {
                let other = self.resolve(table, nav, std::slice::from_ref(&relation.from), text)?;
                let here = format!("{}({id})", table.set);
                self.point_from(&relation, other.id, Some(&here))
            }
            Some(Nav::Linked(link)) => {
                let targets = [Arc::clone(link.other(&table.name))];
                let other = self.resolve(table, nav, &targets, text)?;
                self.check_append(table, &other.table)?;
                let here = self.store.existing(&table.name, id)?;
                self.caller.check_row(table, here, Right::Append)?;
                self.connect(&link, table, id, other.id);
                Ok(())
            }
            None => Err(ApiError::no_segment(nav)),
        }
    }

    /// Unties the record that `text` names, or what the lookup points at.
    pub(crate) fn disassociate(
        &mut self,
        table: &Arc<Table>,
        id: Uuid,
        nav: &str,
        text: Option<&str>,
    ) -> Outcome<()> {
        match (table.nav(nav).cloned(), text) {
            (Some(Nav::One { column, targets }), None) => {
                self.point(table, id, (nav, column, targets), None)
            }
            (Some(Nav::Many(relation)), Some(text)) => {
                let other = self.resolve(table, nav, std::slice::from_ref(&relation.from), text)?;
                let from = self.store.table(&relation.from)?;
                let row = self.store.existing(&from.name, other.id)?;
                if row.get(from, &relation.column).as_id() != Some(id) {
                    return Err(ApiError::no_row(&relation.from, other.id));
                }
                self.point_from(&relation, other.id, None)
            }
            (Some(Nav::Linked(link)), Some(text)) => {
                let targets = [Arc::clone(link.other(&table.name))];
                let other = self.resolve(table, nav, &targets, text)?;
                self.check_append(table, &other.table)?;
                let (left, right) = sides(&link, table, id, other.id);
                if self.store.unlink(&link, left, right) {
                    Ok(())
                } else {
                    Err(ApiError::no_row(&link.intersect, other.id))
                }
            }
            (Some(_), _) => Err(ApiError::query(format!(
                "The '$ref' of '{nav}' needs the record that is to be untied, by '$id' or its key, for collections only."
            ))),
            (None, _) => Err(ApiError::no_segment(nav)),
        }
    }

    /// Sets or clears a row's lookup: an update like any other.
    fn point(
        &mut self,
        table: &Arc<Table>,
        id: Uuid,
        (nav, column, targets): (&str, String, Vec<Arc<str>>),
        text: Option<&str>,
    ) -> Outcome<()> {
        let payload = Payload {
            binds: vec![Bind {
                nav: nav.to_owned(),
                column,
                targets,
                reference: text.map(str::to_owned),
            }],
            ..Payload::default()
        };
        self.update(table, id, payload, &Condition::default())
            .map(drop)
    }

    /// Sets or clears the lookup on the other side of a collection.
    fn point_from(&mut self, relation: &Relation, other: Uuid, text: Option<&str>) -> Outcome<()> {
        let from = Arc::clone(self.store.table(&relation.from)?);
        let lookup = (
            relation.nav.as_str(),
            relation.column.clone(),
            vec![Arc::clone(&relation.to)],
        );
        self.point(&from, other, lookup, text)
    }

    pub(super) fn connect(&mut self, link: &Arc<Link>, table: &Table, id: Uuid, other: Uuid) {
        let (left, right) = sides(link, table, id, other);
        self.store.link(link, left, right);
    }
}

fn sides(link: &Link, table: &Table, id: Uuid, other: Uuid) -> (Uuid, Uuid) {
    if *link.left == *table.name {
        (id, other)
    } else {
        (other, id)
    }
}
