//! Filters on definitions. The service allows comparisons there, and no functions.

use http::StatusCode;
use serde_json::{Map, Value};

use super::super::error::{ApiError, Outcome};
use super::super::query::{Compare, Expr, Literal, Operand};

/// Whether a definition is one of those sought.
pub(super) fn holds(one: &Map<String, Value>, expr: &Expr) -> Outcome<bool> {
    Ok(match expr {
        Expr::And(sides) => {
            for side in sides {
                if !holds(one, side)? {
                    return Ok(false);
                }
            }
            true
        }
        Expr::Or(sides) => {
            for side in sides {
                if holds(one, side)? {
                    return Ok(true);
                }
            }
            false
        }
        Expr::Not(inner) => !holds(one, inner)?,
        Expr::Compare(Operand::Path(path), compare, Operand::Literal(literal)) => {
            let value = find(one, path)?;
            compared(value, *compare, literal)?
        }
        Expr::Compare(..) => {
            return Err(unsupported("Such a comparison"));
        }
        Expr::Call(name, _) => return Err(unsupported(&format!("The \"{name}\" function"))),
        Expr::Each { .. } => return Err(unsupported("A lambda")),
    })
}

fn unsupported(what: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_IMPLEMENTED,
        "0x8006088a",
        format!("{what} isn't supported for Metadata Entities"),
    )
}

fn find<'a>(one: &'a Map<String, Value>, path: &[String]) -> Outcome<&'a Value> {
    let missing = |name: &str| ApiError::no_property(name, "Microsoft.Dynamics.CRM.MetadataBase");
    let (first, rest) = path.split_first().ok_or_else(|| missing(""))?;
    let mut value = one.get(first).ok_or_else(|| missing(first))?;
    for name in rest {
        value = value.get(name).ok_or_else(|| missing(name))?;
    }
    Ok(value)
}

fn compared(value: &Value, compare: Compare, literal: &Literal) -> Outcome<bool> {
    let equal = match (value, literal) {
        (Value::Null, Literal::Null) => true,
        (Value::Bool(one), Literal::Bool(two)) => one == two,
        (Value::String(one), Literal::Text(two) | Literal::Enum(two)) => {
            one.eq_ignore_ascii_case(two)
        }
        (Value::String(one), Literal::Guid(two)) => *one == two.to_string(),
        (Value::Number(one), Literal::Number(two)) => {
            let order = one.as_i64().zip(two.parse::<i64>().ok());
            return Ok(order.is_some_and(|(one, two)| match compare {
                Compare::Eq => one == two,
                Compare::Ne => one != two,
                Compare::Gt => one > two,
                Compare::Ge => one >= two,
                Compare::Lt => one < two,
                Compare::Le => one <= two,
            }));
        }
        _ => false,
    };
    match compare {
        Compare::Eq => Ok(equal),
        Compare::Ne => Ok(!equal),
        Compare::Gt | Compare::Ge | Compare::Lt | Compare::Le => {
            Err(unsupported("Such a comparison"))
        }
    }
}
