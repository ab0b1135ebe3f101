//! Names to places: what a path means for one user, and what it yields for one record.

use std::borrow::Cow;

use jiff::Timestamp;

use super::QueryError;
use super::ast::Path;
use crate::salesforce::access::Access;
use crate::salesforce::cell::Cell;
use crate::salesforce::schema::{Field, FieldIx, ObjectIx, ObjectType, Schema};
use crate::salesforce::store::{Row, Store};

/// How many parents a path may climb.
const MAX_HOPS: usize = 5;

/// What a query is answered from, and for whom.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) store: &'a Store,
    pub(crate) access: &'a Access,
    pub(crate) now: Timestamp,
}

/// A path bound to the schema. Each step names the field for every object that the step before can lead to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    hops: Vec<Step>,
    end: End,
}

pub(super) type Step = Vec<(ObjectIx, FieldIx)>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    Field(Step),
    /// `Owner.Type`: which object a polymorphic lookup leads to.
    TypeName,
}

impl Route {
    /// The lookup fields on the way, and what is read at the end.
    pub(super) fn parts(&self) -> (&[Step], &End) {
        (&self.hops, &self.end)
    }
}

impl<'a> Scope<'a> {
    /// The object of a `FROM`.
    pub(super) fn object(&self, path: &Path) -> Result<(ObjectIx, &'a ObjectType), QueryError> {
        let name = path.dotted();
        self.schema.find(&name).ok_or_else(|| {
            QueryError::new("INVALID_TYPE", format!(
                "sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names."
            ))
            .at(path.at)
        })
    }

    /// Binds a path that starts at a record of `object`; also yields the field at its end.
    pub(super) fn route(
        &self,
        object: ObjectIx,
        alias: Option<&str>,
        path: &Path,
    ) -> Result<(Route, Option<&'a Field>), QueryError> {
        let parts = self.without_alias(object, alias, &path.parts);
        let Some((last, hops)) = parts.split_last() else {
            return Err(QueryError::malformed("unexpected token: '.'"));
        };
        if hops.len() > MAX_HOPS {
            let message = format!(
                "The relationship depth of '{}' is more than {MAX_HOPS}",
                path.dotted()
            );
            return Err(QueryError::malformed(message).at(path.at));
        }
        let mut objects = vec![object];
        let mut steps = Vec::with_capacity(hops.len());
        for hop in hops {
            let (step, targets) = self
                .hop(&objects, hop)
                .ok_or_else(|| self.no_relation(&objects, hop, path))?;
            steps.push(step);
            objects = targets;
        }
        if last.eq_ignore_ascii_case("Type") && objects.len() > 1 {
            return Ok((
                Route {
                    hops: steps,
                    end: End::TypeName,
                },
                None,
            ));
        }
        let step = self.visible(&objects, |kind| kind.find(last));
        let Some((at, ix)) = step.first().copied() else {
            return Err(self.no_column(&objects, last, path));
        };
        let field = self.schema.object(at).and_then(|kind| kind.field(ix));
        Ok((
            Route {
                hops: steps,
                end: End::Field(step),
            },
            field,
        ))
    }

    /// Drops the query's alias, or the object's own name, from the front of a path.
    fn without_alias<'p>(
        &self,
        object: ObjectIx,
        alias: Option<&str>,
        parts: &'p [String],
    ) -> &'p [String] {
        let (Some((first, rest)), Some(kind)) = (parts.split_first(), self.schema.object(object))
        else {
            return parts;
        };
        let named = alias.is_some_and(|alias| alias.eq_ignore_ascii_case(first))
            || (first.eq_ignore_ascii_case(&kind.name) && kind.find_relationship(first).is_none());
        if named && !rest.is_empty() {
            rest
        } else {
            parts
        }
    }

    fn hop(&self, objects: &[ObjectIx], name: &str) -> Option<(Step, Vec<ObjectIx>)> {
        let step = self.visible(objects, |kind| kind.find_relationship(name));
        let mut targets = Vec::new();
        for (object, field) in &step {
            let field = self.schema.object(*object)?.field(*field)?;
            for target in &field.reference_to {
                let (target, _) = self.schema.find(target)?;
                if !targets.contains(&target) {
                    targets.push(target);
                }
            }
        }
        (!step.is_empty()).then_some((step, targets))
    }

    fn visible(
        &self,
        objects: &[ObjectIx],
        find: impl Fn(&'a ObjectType) -> Option<(FieldIx, &'a Field)>,
    ) -> Step {
        let place = |object: &ObjectIx| {
            let (field, _) = find(self.schema.object(*object)?)?;
            self.access.sees(*object, field).then_some((*object, field))
        };
        objects.iter().filter_map(place).collect()
    }

    fn entity(&self, objects: &[ObjectIx]) -> &str {
        match objects {
            [one] => self
                .schema
                .object(*one)
                .map_or("", |kind| kind.name.as_str()),
            _ => "Name",
        }
    }

    fn no_column(&self, objects: &[ObjectIx], name: &str, path: &Path) -> QueryError {
        QueryError::new("INVALID_FIELD", format!(
            "No such column '{name}' on entity '{}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names.",
            self.entity(objects)
        ))
        .at(path.at)
    }

    fn no_relation(&self, objects: &[ObjectIx], name: &str, path: &Path) -> QueryError {
        QueryError::new("INVALID_FIELD", format!(
            "Didn't understand relationship '{name}' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names. (entity '{}')",
            self.entity(objects)
        ))
        .at(path.at)
    }

    /// What a path yields for one record; null where a parent on the way is absent.
    pub(super) fn value<'r>(&self, object: ObjectIx, row: &'r Row, route: &Route) -> Cow<'r, Cell>
    where
        'a: 'r,
    {
        let mut at = (object, row);
        for hop in &route.hops {
            let field = field_in(hop, at.0);
            let parent = field
                .and_then(|field| at.1.cell(field).as_ref_id())
                .and_then(|id| self.store.by_id(id));
            let Some(parent) = parent else {
                return Cow::Owned(Cell::Null);
            };
            at = parent;
        }
        match &route.end {
            End::Field(step) => field_in(step, at.0).map_or(Cow::Owned(Cell::Null), |field| {
                Cow::Borrowed(at.1.cell(field))
            }),
            End::TypeName => Cow::Owned(
                self.schema
                    .object(at.0)
                    .map_or(Cell::Null, |kind| Cell::text(&kind.name)),
            ),
        }
    }
}

/// The field of a step for a record of this object.
pub(super) fn field_in(step: &[(ObjectIx, FieldIx)], object: ObjectIx) -> Option<FieldIx> {
    step.iter()
        .find(|(of, _)| *of == object)
        .map(|(_, field)| *field)
}
