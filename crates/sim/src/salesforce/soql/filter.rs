//! Conditions: bound to the schema, then asked of records.

use std::cmp::Ordering;
use std::collections::HashSet;

use jiff::civil::Date;

use super::QueryError;
use super::ast::{Filter, Literal, Operand, Operator, Path};
use super::bind::{Route, Scope};
use super::dates;
use super::pattern::Pattern;
use super::run;
use super::token::unescape;
use crate::salesforce::cell::Cell;
use crate::salesforce::id::RecordId;
use crate::salesforce::schema::{Field, Kind, ObjectIx};
use crate::salesforce::store::Row;

/// A condition whose names and values are understood.
#[derive(Clone, Debug)]
pub(crate) enum Bound {
    All(Vec<Bound>),
    Any(Vec<Bound>),
    Not(Box<Bound>),
    Test { route: Route, test: Test },
}

#[derive(Clone, Debug)]
pub(crate) enum Test {
    Compare {
        operator: Operator,
        with: Cell,
    },
    /// A span of days, on a field with or without a time.
    Span {
        operator: Operator,
        from: Date,
        to: Date,
    },
    Like(Pattern),
    OneOf {
        values: Vec<Cell>,
        negated: bool,
    },
    /// The identifiers that a subquery found.
    Within {
        ids: HashSet<RecordId>,
        negated: bool,
    },
    /// Each entry is a set of values that must all be there; one entry is enough.
    Includes {
        sets: Vec<Vec<String>>,
        negated: bool,
    },
}

/// Whether a record meets an unbound condition; used by validation rules.
pub(crate) fn holds(
    scope: &Scope<'_>,
    object: ObjectIx,
    row: &Row,
    filter: &Filter,
) -> Result<bool, QueryError> {
    Ok(bind(scope, object, None, filter)?.fits(scope, object, row))
}

/// Binds a condition to the records of an object.
pub(super) fn bind(
    scope: &Scope<'_>,
    object: ObjectIx,
    alias: Option<&str>,
    filter: &Filter,
) -> Result<Bound, QueryError> {
    let each = |all: &[Filter]| {
        all.iter()
            .map(|one| bind(scope, object, alias, one))
            .collect::<Result<_, _>>()
    };
    match filter {
        Filter::All(all) => Ok(Bound::All(each(all)?)),
        Filter::Any(all) => Ok(Bound::Any(each(all)?)),
        Filter::Not(inner) => Ok(Bound::Not(Box::new(bind(scope, object, alias, inner)?))),
        Filter::Test {
            path,
            operator,
            operand,
        } => {
            let (route, field) = scope.route(object, alias, path)?;
            let test = Binder {
                scope,
                path,
                field,
                operator: *operator,
            }
            .test(operand)?;
            Ok(Bound::Test { route, test })
        }
    }
}

struct Binder<'a, 'b> {
    scope: &'b Scope<'a>,
    path: &'b Path,
    /// `None` for the name of an object, which is text.
    field: Option<&'a Field>,
    operator: Operator,
}

impl Binder<'_, '_> {
    fn test(&self, operand: &Operand) -> Result<Test, QueryError> {
        if let Some(field) = self.field.filter(|field| !field.filterable()) {
            let message = format!("field '{}' can not be filtered in a query call", field.name);
            return Err(QueryError::new("INVALID_FIELD", message).at(self.path.at));
        }
        let negated = matches!(self.operator, Operator::NotIn | Operator::Excludes);
        let multiple = self
            .field
            .is_some_and(|field| field.kind == Kind::MultiPicklist);
        match (self.operator, operand) {
            (Operator::Includes | Operator::Excludes, Operand::Many(all)) if multiple => {
                Ok(Test::Includes {
                    sets: all
                        .iter()
                        .map(|one| self.set(one))
                        .collect::<Result<_, _>>()?,
                    negated,
                })
            }
            (Operator::Includes | Operator::Excludes, _) => Err(self
                .wrong_operator("includes or excludes operator only valid on multipicklist field")),
            (Operator::In | Operator::NotIn, Operand::Many(all)) => {
                let values = all
                    .iter()
                    .map(|one| self.cell(one))
                    .collect::<Result<_, _>>()?;
                Ok(Test::OneOf { values, negated })
            }
            (Operator::In | Operator::NotIn, Operand::Query(query)) => {
                let reference = self
                    .field
                    .is_some_and(|field| matches!(field.kind, Kind::Id | Kind::Reference));
                if !reference {
                    return Err(self.wrong_operator(
                        "a subquery needs an ID or reference field on its left side",
                    ));
                }
                Ok(Test::Within {
                    ids: run::ids_of(self.scope, query)?,
                    negated,
                })
            }
            (Operator::Like, Operand::One(Literal::Text(raw))) => {
                let text = self.field.is_none_or(|field| {
                    field.is_text()
                        && !matches!(field.kind, Kind::Id | Kind::Reference | Kind::MultiPicklist)
                });
                if !text {
                    return Err(self.wrong_operator("invalid operator on this field: LIKE"));
                }
                Ok(Test::Like(Pattern::new(&unescape(raw, true)?)))
            }
            (operator, Operand::One(Literal::Range { name, count })) => {
                if !self
                    .field
                    .is_some_and(|field| matches!(field.kind, Kind::Date | Kind::DateTime))
                {
                    return Err(self.wrong_type());
                }
                let (from, to) = dates::range(name, *count, self.scope.now).ok_or_else(|| {
                    QueryError::malformed(format!("unexpected token: '{name}'")).at(self.path.at)
                })?;
                Ok(Test::Span { operator, from, to })
            }
            (operator, Operand::One(literal)) if operator != Operator::Like => {
                let boolean = self.field.is_some_and(|field| field.kind == Kind::Boolean);
                let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
                if ordered && (boolean || multiple || *literal == Literal::Null) {
                    return Err(self.wrong_operator("invalid operator on this field"));
                }
                Ok(Test::Compare {
                    operator,
                    with: self.cell(literal)?,
                })
            }
            _ => Err(self.wrong_type()),
        }
    }

    fn cell(&self, literal: &Literal) -> Result<Cell, QueryError> {
        let kind = self.field.map_or(Kind::String, |field| field.kind);
        match (kind, literal) {
            // A checkbox is never null: the query language takes null for unchecked.
            (Kind::Boolean, Literal::Null) => Ok(Cell::Bool(false)),
            (_, Literal::Null) => Ok(Cell::Null),
            (Kind::Boolean, Literal::Bool(flag)) => Ok(Cell::Bool(*flag)),
            (
                Kind::Int | Kind::Double | Kind::Currency | Kind::Percent,
                Literal::Number(number),
            ) => Ok(Cell::Number(*number)),
            (Kind::Date, Literal::Date(date)) => Ok(Cell::Date(*date)),
            (Kind::DateTime, Literal::Moment(moment)) => Ok(Cell::Moment(*moment)),
            (Kind::Id | Kind::Reference, Literal::Text(raw)) => {
                let text = unescape(raw, false)?;
                if text.is_empty() {
                    return Ok(Cell::Null);
                }
                let id = RecordId::parse(&text).map(Cell::Ref);
                id.ok_or_else(|| {
                    let message = format!("invalid ID field: {text}");
                    QueryError::new("INVALID_QUERY_FILTER_OPERATOR", message).at(self.path.at)
                })
            }
            (_, Literal::Text(raw)) if self.field.is_none_or(Field::is_text) => {
                let text = unescape(raw, false)?;
                Ok(if text.is_empty() {
                    Cell::Null
                } else {
                    Cell::Text(text)
                })
            }
            _ => Err(self.wrong_type()),
        }
    }

    fn set(&self, literal: &Literal) -> Result<Vec<String>, QueryError> {
        match literal {
            Literal::Text(raw) => Ok(unescape(raw, false)?
                .split(';')
                .map(str::to_lowercase)
                .collect()),
            _ => Err(self.wrong_type()),
        }
    }

    fn wrong_operator(&self, message: &str) -> QueryError {
        QueryError::new("INVALID_QUERY_FILTER_OPERATOR", message).at(self.path.at)
    }

    fn wrong_type(&self) -> QueryError {
        let kind = self.field.map_or(Kind::String, |field| field.kind);
        let (name, quoted) = match kind {
            Kind::Boolean => ("boolean", false),
            Kind::Int => ("int", false),
            Kind::Double | Kind::Currency | Kind::Percent => ("double", false),
            Kind::Date => ("date", false),
            Kind::DateTime => ("dateTime", false),
            Kind::Id | Kind::Reference => ("id", true),
            _ => ("string", true),
        };
        let quotes = if quoted {
            "should be enclosed in quotes"
        } else {
            "should not be enclosed in quotes"
        };
        let field = self.path.parts.last().map_or("", String::as_str);
        let message = format!(
            "value of filter criterion for field '{field}' must be of type {name} and {quotes}"
        );
        QueryError::new("INVALID_FIELD", message).at(self.path.at)
    }
}

impl Bound {
    /// Whether a record meets the condition.
    pub(super) fn fits(&self, scope: &Scope<'_>, object: ObjectIx, row: &Row) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.fits(scope, object, row)),
            Self::Any(any) => any.iter().any(|one| one.fits(scope, object, row)),
            Self::Not(inner) => !inner.fits(scope, object, row),
            Self::Test { route, test } => test.fits(&scope.value(object, row, route)),
        }
    }

    /// The conditions that must all hold, whatever else does.
    pub(super) fn conjuncts(&self) -> Vec<(&Route, &Test)> {
        match self {
            Self::All(all) => all.iter().flat_map(Self::conjuncts).collect(),
            Self::Test { route, test } => vec![(route, test)],
            Self::Any(_) | Self::Not(_) => Vec::new(),
        }
    }
}

impl Test {
    fn fits(&self, cell: &Cell) -> bool {
        match self {
            Self::Compare { operator, with } => compare(cell, *operator, with),
            Self::Span { operator, from, to } => within(cell, *operator, *from, *to),
            Self::Like(pattern) => cell.as_text().is_some_and(|text| pattern.fits(text)),
            Self::OneOf { values, negated } => {
                values
                    .iter()
                    .any(|value| compare(cell, Operator::Equal, value))
                    != *negated
            }
            Self::Within { ids, negated } => {
                cell.as_ref_id().is_some_and(|id| ids.contains(&id)) != *negated
            }
            Self::Includes { sets, negated } => {
                let text = cell.as_text().unwrap_or_default().to_lowercase();
                let has: HashSet<&str> = text.split(';').filter(|one| !one.is_empty()).collect();
                sets.iter()
                    .any(|set| set.iter().all(|one| has.contains(one.as_str())))
                    != *negated
            }
        }
    }
}

fn compare(cell: &Cell, operator: Operator, with: &Cell) -> bool {
    let order = cell.compare(with);
    match operator {
        Operator::Equal => order == Ordering::Equal,
        Operator::NotEqual => order != Ordering::Equal,
        _ if cell.is_null() || with.is_null() => false,
        Operator::Less => order == Ordering::Less,
        Operator::LessOrEqual => order != Ordering::Greater,
        Operator::Greater => order == Ordering::Greater,
        Operator::GreaterOrEqual => order != Ordering::Less,
        _ => false,
    }
}

fn within(cell: &Cell, operator: Operator, from: Date, to: Date) -> bool {
    let (early, late) = match cell {
        Cell::Date(date) => (*date < from, *date >= to),
        Cell::Moment(at) => (*at < dates::midnight(from), *at >= dates::midnight(to)),
        _ => return operator == Operator::NotEqual,
    };
    match operator {
        Operator::Equal => !early && !late,
        Operator::NotEqual => early || late,
        Operator::Less => early,
        Operator::LessOrEqual => !late,
        Operator::Greater => late,
        Operator::GreaterOrEqual => !early,
        _ => false,
    }
}
