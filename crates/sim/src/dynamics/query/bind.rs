//! Filters with their names given a meaning.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::super::cell::Cell;
use super::super::error::{ApiError, Outcome};
use super::super::schema::{Column, Nav, Relation, Schema, Table};
use super::super::store::{Row, Store};
use super::calendar;
use super::expression::{Compare, Expr, Literal, Operand};
use super::test_value::{self, Wildcard};

/// Where a filter is judged: what `EqualUserId` and `Today` depend on.
#[derive(Clone, Debug)]
pub(crate) struct Here {
    pub(crate) user: Uuid,
    pub(crate) unit: Uuid,
    pub(crate) now: Timestamp,
}

/// A value to be found by following lookups from a row.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The lookups on the way, each by its position.
    hops: Vec<usize>,
    pub(crate) table: Arc<Table>,
    pub(crate) position: usize,
}

/// A condition on rows of one table.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Value(Place, Compare, Cell),
    Columns(Place, Compare, Place),
    Like(Place, Wildcard),
    In(Place, Vec<Cell>),
    Between(Place, Cell, Cell),
    /// A multiple choice holds one of these.
    Holds(Place, Vec<i64>),
    Many {
        relation: Arc<Relation>,
        position: usize,
        all: bool,
        inner: Option<Box<Filter>>,
    },
}

/// Gives the names in a filter their meaning.
pub(crate) struct Binder<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) here: &'a Here,
}

impl Place {
    /// Finds the value that a path such as `primarycontactid/fullname` names.
    pub(crate) fn find(schema: &Schema, table: &Arc<Table>, path: &[String]) -> Outcome<Self> {
        let mut at = Arc::clone(table);
        let mut hops = Vec::new();
        let Some((last, before)) = path.split_last() else {
            return Err(ApiError::query("A property is expected."));
        };
        for name in before {
            let missing = || ApiError::no_property(name, &at.type_name());
            let Some(Nav::One { column, targets }) = at.nav(name) else {
                return Err(missing());
            };
            let [target] = targets.as_slice() else {
                return Err(ApiError::query(format!(
                    "The navigation property '{name}' leads to several types and can't be followed."
                )));
            };
            hops.push(at.position(column).ok_or_else(missing)?);
            let next = schema.table(target).ok_or_else(missing)?;
            at = Arc::clone(next);
        }
        let position =
            property(&at, last).ok_or_else(|| ApiError::no_property(last, &at.type_name()))?;
        Ok(Self {
            hops,
            table: at,
            position,
        })
    }

    pub(crate) fn column(&self) -> Option<&Column> {
        self.table.columns.get(self.position)
    }

    /// The value for one row.
    pub(crate) fn get<'a>(&self, store: &'a Store, row: &'a Row) -> &'a Cell {
        let mut row = row;
        for hop in &self.hops {
            let next = row
                .at(*hop)
                .as_lookup()
                .and_then(|to| store.row(&to.table, to.id));
            match next {
                Some(next) => row = next,
                None => return &Cell::Null,
            }
        }
        row.at(self.position)
    }

    /// The name under which groups show it.
    pub(crate) fn is_own(&self) -> bool {
        self.hops.is_empty()
    }
}

/// Where a property's value stands: a column, or a lookup by its `_x_value`.
pub(crate) fn property(table: &Table, name: &str) -> Option<usize> {
    match table.lookup_value(name) {
        Some(column) => table.position(&column.name),
        None => table
            .column(name)
            .filter(|column| !column.is_lookup())
            .and_then(|column| table.position(&column.name)),
    }
}

impl Binder<'_> {
    /// Binds a filter on rows of `table`. `variable` is the name by which the filter calls its row, inside `any`.
    pub(crate) fn bind(
        &self,
        table: &Arc<Table>,
        expr: &Expr,
        variable: Option<&str>,
    ) -> Outcome<Filter> {
        Ok(match expr {
            Expr::And(sides) => Filter::And(self.all(table, sides, variable)?),
            Expr::Or(sides) => Filter::Or(self.all(table, sides, variable)?),
            Expr::Not(inner) => Filter::Not(Box::new(self.bind(table, inner, variable)?)),
            Expr::Compare(left, compare, right) => {
                self.compare(table, left, *compare, right, variable)?
            }
            Expr::Call(name, arguments) => self.call(table, name, arguments, variable)?,
            Expr::Each {
                path,
                all,
                variable: inner_variable,
                inner,
            } => {
                let [name] = path.as_slice() else {
                    return Err(ApiError::query(
                        "Only a table's own collections can be searched.",
                    ));
                };
                let Some(Nav::Many(relation)) = table.nav(name) else {
                    return Err(ApiError::no_property(name, &table.type_name()));
                };
                let relation = Arc::clone(relation);
                let from = self
                    .schema
                    .table(&relation.from)
                    .ok_or_else(|| ApiError::no_segment(name))?;
                let position = from
                    .position(&relation.column)
                    .ok_or_else(|| ApiError::no_segment(name))?;
                let inner = match inner {
                    Some(inner) => Some(Box::new(self.bind(from, inner, Some(inner_variable))?)),
                    None => None,
                };
                Filter::Many {
                    relation,
                    position,
                    all: *all,
                    inner,
                }
            }
        })
    }

    fn all(
        &self,
        table: &Arc<Table>,
        sides: &[Expr],
        variable: Option<&str>,
    ) -> Outcome<Vec<Filter>> {
        sides
            .iter()
            .map(|side| self.bind(table, side, variable))
            .collect()
    }

    fn place(&self, table: &Arc<Table>, path: &[String], variable: Option<&str>) -> Outcome<Place> {
        let path = match (variable, path) {
            (Some(variable), [first, rest @ ..]) if first == variable => rest,
            _ => path,
        };
        Place::find(self.schema, table, path)
    }

    fn compare(
        &self,
        table: &Arc<Table>,
        left: &Operand,
        compare: Compare,
        right: &Operand,
        variable: Option<&str>,
    ) -> Outcome<Filter> {
        match (left, right) {
            (Operand::Path(one), Operand::Path(two)) => {
                let one = self.place(table, one, variable)?;
                let two = self.place(table, two, variable)?;
                test_value::same_kind(&one, compare, &two)?;
                Ok(Filter::Columns(one, compare, two))
            }
            (Operand::Path(path), Operand::Literal(literal)) => {
                let place = self.place(table, path, variable)?;
                let cell = test_value::comparable(&place, compare, literal)?;
                Ok(Filter::Value(place, compare, cell))
            }
            (Operand::Literal(literal), Operand::Path(path)) => {
                let place = self.place(table, path, variable)?;
                let compare = turned(compare);
                let cell = test_value::comparable(&place, compare, literal)?;
                Ok(Filter::Value(place, compare, cell))
            }
            (Operand::Literal(_), Operand::Literal(_)) => Err(ApiError::query(
                "A comparison needs a property on one of its sides.",
            )),
        }
    }

    fn call(
        &self,
        table: &Arc<Table>,
        name: &str,
        arguments: &[(Option<String>, Operand)],
        variable: Option<&str>,
    ) -> Outcome<Filter> {
        if let "contains" | "startswith" | "endswith" = name {
            let [
                (None, Operand::Path(path)),
                (None, Operand::Literal(Literal::Text(text))),
            ] = arguments
            else {
                return Err(ApiError::query(format!(
                    "The function '{name}' takes a property and a text."
                )));
            };
            let place = self.place(table, path, variable)?;
            test_value::must_be_text(&place, name)?;
            return Ok(Filter::Like(place, Wildcard::new(name, text)));
        }
        let Some(function) = name.strip_prefix("Microsoft.Dynamics.CRM.") else {
            return Err(ApiError::query(format!(
                "An unknown function with name '{name}' was found. This may also be a function import or a key lookup on a navigation property, which is not allowed."
            )));
        };
        let named = |wanted: &str| {
            arguments.iter().find_map(|(name, operand)| match operand {
                Operand::Literal(literal) if name.as_deref() == Some(wanted) => Some(literal),
                _ => None,
            })
        };
        let place = match named("PropertyName") {
            Some(Literal::Text(property)) => {
                let path: Vec<String> = property.split('/').map(str::to_owned).collect();
                self.place(table, &path, variable)?
            }
            _ => {
                return Err(ApiError::query(format!(
                    "The function '{name}' needs PropertyName as a text."
                )));
            }
        };
        let values = named("PropertyValues").or_else(|| named("PropertyValue"));
        self.own_function(function, place, values)
    }

    fn own_function(
        &self,
        function: &str,
        place: Place,
        values: Option<&Literal>,
    ) -> Outcome<Filter> {
        let not = |filter| Filter::Not(Box::new(filter));
        let list = || match values {
            Some(Literal::List(items)) => test_value::list(&place, items),
            Some(one) => test_value::list(&place, std::slice::from_ref(one)),
            None => Err(ApiError::query(format!(
                "The function '{function}' needs PropertyValues."
            ))),
        };
        Ok(match function {
            "In" => {
                let cells = list()?;
                Filter::In(place, cells)
            }
            "NotIn" => {
                let cells = list()?;
                not(Filter::In(place, cells))
            }
            "Between" | "NotBetween" => {
                let [low, high] = <[Cell; 2]>::try_from(list()?).map_err(|_| {
                    ApiError::query(format!("The function '{function}' takes two values."))
                })?;
                let between = Filter::Between(place, low, high);
                if function == "Between" {
                    between
                } else {
                    not(between)
                }
            }
            "ContainValues" | "DoesNotContainValues" => {
                let wanted = test_value::choices(&place, values)?;
                let holds = Filter::Holds(place, wanted);
                if function == "ContainValues" {
                    holds
                } else {
                    not(holds)
                }
            }
            "EqualUserId" => Filter::In(place, vec![Cell::Guid(self.here.user)]),
            "NotEqualUserId" => not(Filter::In(place, vec![Cell::Guid(self.here.user)])),
            "EqualBusinessId" => Filter::In(place, vec![Cell::Guid(self.here.unit)]),
            "NotEqualBusinessId" => not(Filter::In(place, vec![Cell::Guid(self.here.unit)])),
            _ => match calendar::span(function, values, self.here.now) {
                Some((from, to)) => {
                    let (low, high) = calendar::bounds(&place, from, to);
                    Filter::Between(place, low, high)
                }
                None => {
                    return Err(ApiError::query(format!(
                        "The query function 'Microsoft.Dynamics.CRM.{function}' is not simulated."
                    )));
                }
            },
        })
    }
}

fn turned(compare: Compare) -> Compare {
    match compare {
        Compare::Gt => Compare::Lt,
        Compare::Ge => Compare::Le,
        Compare::Lt => Compare::Gt,
        Compare::Le => Compare::Ge,
        Compare::Eq | Compare::Ne => compare,
    }
}
