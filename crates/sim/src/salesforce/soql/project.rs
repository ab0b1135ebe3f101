//! What is shown of a record: fields, parents, children.

use serde_json::{Map, Value, json};

use super::QueryError;
use super::ast::{Path, Which};
use super::bind::{End, Route, Scope, Step, field_in};
use super::run::Plan;
use crate::salesforce::cell::Cell;
use crate::salesforce::id::RecordId;
use crate::salesforce::schema::{Kind, ObjectIx};
use crate::salesforce::store::Row;

/// What is shown, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Projection {
    entries: Vec<(String, Project)>,
}

/// One thing shown.
#[derive(Clone, Debug)]
pub(crate) enum Project {
    Value(Step),
    TypeName,
    Parent { step: Step, inner: Projection },
    Children { plan: Box<Plan> },
}

impl Projection {
    /// All fields that the user sees.
    pub(super) fn fields(scope: &Scope<'_>, object: ObjectIx, which: Which) -> Self {
        let fields = scope
            .schema
            .object(object)
            .map(|kind| kind.fields.as_slice())
            .unwrap_or_default();
        let wanted = fields.iter().enumerate().filter(|(ix, field)| {
            let fits = match which {
                Which::All => true,
                Which::Standard => !field.custom(),
                Which::Custom => field.custom(),
            };
            fits && scope.access.sees(object, *ix)
        });
        let entries =
            wanted.map(|(ix, field)| (field.name.clone(), Project::Value(vec![(object, ix)])));
        Self {
            entries: entries.collect(),
        }
    }

    /// Everything that a read of one record shows.
    pub(crate) fn everything(scope: &Scope<'_>, object: ObjectIx) -> Self {
        Self::fields(scope, object, Which::All)
    }

    /// The named fields of a read; the identifier is always among them.
    pub(crate) fn named(
        scope: &Scope<'_>,
        object: ObjectIx,
        names: &str,
    ) -> Result<Self, QueryError> {
        let mut projection = Self::default();
        for name in names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .chain(["Id"])
        {
            let path = Path {
                parts: vec![name.to_owned()],
                at: 0,
            };
            let (route, field) = scope.route(object, None, &path)?;
            let shown = field.map_or("", |field| field.name.as_str()).to_owned();
            if !projection
                .entries
                .iter()
                .any(|(before, _)| *before == shown)
            {
                projection.add(vec![shown], &route);
            }
        }
        Ok(projection)
    }

    /// Adds a selected path.
    pub(super) fn select(
        &mut self,
        scope: &Scope<'_>,
        object: ObjectIx,
        alias: Option<&str>,
        path: &Path,
    ) -> Result<(), QueryError> {
        let (route, field) = scope.route(object, alias, path)?;
        let (hops, _) = route.parts();
        let mut names = Vec::with_capacity(hops.len() + 1);
        for hop in hops {
            let lookup = hop
                .first()
                .and_then(|(of, ix)| scope.schema.object(*of)?.field(*ix));
            names.push(
                lookup
                    .and_then(|field| field.relationship.clone())
                    .unwrap_or_default(),
            );
        }
        names.push(field.map_or("Type", |field| field.name.as_str()).to_owned());
        if self.add(names, &route) {
            Ok(())
        } else {
            Err(
                QueryError::malformed(format!("duplicate field selected: {}", path.dotted()))
                    .at(path.at),
            )
        }
    }

    pub(super) fn children(&mut self, name: &str, plan: Plan) {
        self.entries.push((
            name.to_owned(),
            Project::Children {
                plan: Box::new(plan),
            },
        ));
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.entries.extend(more.entries);
    }

    /// Adds a field below the parents on the way to it; `false` if it is there already.
    fn add(&mut self, names: Vec<String>, route: &Route) -> bool {
        let (hops, end) = route.parts();
        let mut into = self;
        let mut names = names.into_iter();
        for hop in hops {
            let Some(inner) = into.parent(names.next().unwrap_or_default(), hop) else {
                return false;
            };
            into = inner;
        }
        let name = names.next().unwrap_or_default();
        if into.entries.iter().any(|(before, _)| *before == name) {
            return false;
        }
        let shown = match end {
            End::Field(step) => Project::Value(step.clone()),
            End::TypeName => Project::TypeName,
        };
        into.entries.push((name, shown));
        true
    }

    /// The projection of a parent, made if it isn't there; `None` if a field has its name.
    fn parent(&mut self, name: String, hop: &Step) -> Option<&mut Self> {
        let found = self.entries.iter().position(|(before, _)| *before == name);
        let at = found.unwrap_or_else(|| {
            let parent = Project::Parent {
                step: hop.clone(),
                inner: Self::default(),
            };
            self.entries.push((name, parent));
            self.entries.len() - 1
        });
        match self.entries.get_mut(at) {
            Some((_, Project::Parent { inner, .. })) => Some(inner),
            _ => None,
        }
    }

    /// The record as JSON.
    pub(crate) fn show(
        &self,
        scope: &Scope<'_>,
        version: &str,
        object: ObjectIx,
        row: &Row,
    ) -> Value {
        let mut shown = Map::with_capacity(self.entries.len() + 1);
        let name = scope
            .schema
            .object(object)
            .map_or("", |kind| kind.name.as_str());
        shown.insert("attributes".to_owned(), attributes(version, name, row.id));
        for (key, project) in &self.entries {
            let value = match project {
                Project::Value(step) => field_in(step, object)
                    .map_or(Value::Null, |field| field_json(scope, object, row, field)),
                Project::TypeName => Value::String(name.to_owned()),
                Project::Parent { step, inner } => {
                    let lookup =
                        field_in(step, object).and_then(|field| row.cell(field).as_ref_id());
                    match lookup.and_then(|id| scope.store.by_id(id)) {
                        Some((parent, row)) => inner.show(scope, version, parent, row),
                        None => Value::Null,
                    }
                }
                Project::Children { plan } => plan.show_children(scope, version, row.id),
            };
            shown.insert(key.clone(), value);
        }
        Value::Object(shown)
    }
}

/// What every record in an answer begins with.
pub(crate) fn attributes(version: &str, object: &str, id: RecordId) -> Value {
    json!({"type": object, "url": format!("/services/data/v{version}/sobjects/{object}/{id}")})
}

fn field_json(scope: &Scope<'_>, object: ObjectIx, row: &Row, ix: usize) -> Value {
    let Some(kind) = scope.schema.object(object) else {
        return Value::Null;
    };
    match kind.field(ix) {
        Some(field) if field.kind == Kind::Address => {
            let part = |name: &str| row.named(kind, &format!("{}{name}", field.address_prefix));
            let names = [
                "City",
                "Country",
                "Latitude",
                "Longitude",
                "PostalCode",
                "State",
                "Street",
            ];
            if names.iter().all(|name| part(name).is_null()) {
                return Value::Null;
            }
            let shown = |name| Cell::to_json(part(name));
            json!({
                "city": shown("City"), "country": shown("Country"), "geocodeAccuracy": null,
                "latitude": shown("Latitude"), "longitude": shown("Longitude"),
                "postalCode": shown("PostalCode"), "state": shown("State"), "street": shown("Street"),
            })
        }
        _ => row.cell(ix).to_json(),
    }
}
