//! JSON values to stored ones: what the interface converts, and what it refuses.

use serde_json::Value;

use super::cell::{Cell, parse_date, parse_moment};
use super::error::ApiError;
use super::id::RecordId;
use super::schema::{Field, Kind, Schema};

/// Reads a value for a field. Lookups are checked for form only.
pub(crate) fn coerce(schema: &Schema, field: &Field, value: &Value) -> Result<Cell, ApiError> {
    let plain = match value {
        Value::Null => {
            return Ok(if field.kind == Kind::Boolean {
                Cell::Bool(false)
            } else {
                Cell::Null
            });
        }
        Value::Array(_) => return Err(unreadable(field, "START_ARRAY", "")),
        Value::Object(_) => return Err(unreadable(field, "START_OBJECT", "")),
        // The interface trims text, and stores what is empty then as null.
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
    };
    if plain.is_empty() {
        return Ok(if field.kind == Kind::Boolean {
            Cell::Bool(false)
        } else {
            Cell::Null
        });
    }
    if field.is_text() && !value.is_string() {
        let token = if value.is_boolean() {
            "VALUE_TRUE"
        } else {
            "VALUE_NUMBER"
        };
        return Err(unreadable(field, token, &plain));
    }
    let wrong = || unreadable(field, token_of(value), &plain);
    match field.kind {
        Kind::Boolean => match plain.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Cell::Bool(true)),
            "false" | "0" => Ok(Cell::Bool(false)),
            _ => Err(wrong()),
        },
        Kind::Int => whole(field, &plain).ok_or_else(wrong)?,
        Kind::Double | Kind::Currency | Kind::Percent => number(field, &plain).ok_or_else(wrong)?,
        Kind::Date => parse_date(&plain).map(Cell::Date).ok_or_else(wrong),
        Kind::DateTime => {
            let midnight =
                || parse_date(&plain).and_then(|date| parse_moment(&format!("{date}T00:00:00Z")));
            parse_moment(&plain)
                .or_else(midnight)
                .map(Cell::Moment)
                .ok_or_else(wrong)
        }
        Kind::Reference => reference(schema, field, &plain),
        Kind::Picklist | Kind::MultiPicklist => picklist(field, plain),
        Kind::Email if !is_email(&plain) => {
            let message = format!("{}: invalid email address: {plain}", field.label);
            Err(ApiError::fields(
                "INVALID_EMAIL_ADDRESS",
                message,
                [field.name.as_str()],
            ))
        }
        _ => text(field, plain),
    }
}

fn token_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "VALUE_STRING",
        Value::Number(number) if number.is_f64() => "VALUE_NUMBER_FLOAT",
        Value::Number(_) => "VALUE_NUMBER_INT",
        Value::Bool(true) => "VALUE_TRUE",
        Value::Bool(false) => "VALUE_FALSE",
        _ => "VALUE_NULL",
    }
}

fn unreadable(field: &Field, token: &str, value: &str) -> ApiError {
    let kind = match field.kind {
        Kind::Boolean => "boolean",
        Kind::Int => "int",
        Kind::Double => "double",
        Kind::Currency => "currency",
        Kind::Percent => "percent",
        Kind::Date => "date",
        Kind::DateTime => "datetime",
        Kind::Reference | Kind::Id => "reference",
        Kind::Email => "email",
        Kind::Phone => "phone",
        Kind::Picklist => "picklist",
        Kind::MultiPicklist => "multipicklist",
        Kind::Url => "url",
        Kind::TextArea | Kind::LongText => "textarea",
        Kind::String | Kind::Address => "string",
    };
    let message = format!(
        "Cannot deserialize instance of {kind} from {token} value {value} or request may be missing a required field at [line:1, column:2]"
    );
    ApiError::bad("JSON_PARSER_ERROR", message)
}

fn text(field: &Field, text: String) -> Result<Cell, ApiError> {
    if text.chars().count() > field.length {
        let message = format!(
            "{}: data value too large: {text} (max length={})",
            field.label, field.length
        );
        return Err(ApiError::fields(
            "STRING_TOO_LONG",
            message,
            [field.name.as_str()],
        ));
    }
    Ok(Cell::Text(text))
}

fn whole(field: &Field, text: &str) -> Option<Result<Cell, ApiError>> {
    let number = text.parse::<i64>().ok().or_else(|| {
        let float = text.parse::<f64>().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked to be whole and small right before"
        )]
        (float.fract() == 0.0 && float.abs() < 1e15).then_some(float as i64)
    })?;
    if number.unsigned_abs() >= 10_u64.saturating_pow(field.precision)
        || i32::try_from(number).is_err()
    {
        return Some(Err(outside(field, text)));
    }
    Some(Ok(Cell::Int(number)))
}

fn number(field: &Field, text: &str) -> Option<Result<Cell, ApiError>> {
    let number = text
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())?;
    let digits = i32::try_from(field.precision.saturating_sub(field.scale)).unwrap_or(18);
    let shift = 10_f64.powi(i32::try_from(field.scale).unwrap_or_default());
    let rounded = (number * shift).round() / shift;
    let rounded = if rounded.is_finite() { rounded } else { number };
    Some(if rounded.abs() >= 10_f64.powi(digits) {
        Err(outside(field, text))
    } else {
        Ok(Cell::Number(rounded))
    })
}

fn outside(field: &Field, text: &str) -> ApiError {
    let message = format!(
        "{}: value outside of valid range on numeric field: {text}",
        field.label
    );
    ApiError::fields("NUMBER_OUTSIDE_VALID_RANGE", message, [field.name.as_str()])
}

fn reference(schema: &Schema, field: &Field, text: &str) -> Result<Cell, ApiError> {
    let id = RecordId::parse(text);
    let target = id.and_then(|id| schema.object_of(id));
    let fits = target.is_some_and(|(_, object)| field.reference_to.contains(&object.name));
    match id {
        Some(id) if fits => Ok(Cell::Ref(id)),
        _ => {
            let message = format!("{}: id value of incorrect type: {text}", field.label);
            Err(ApiError::fields(
                "MALFORMED_ID",
                message,
                [field.name.as_str()],
            ))
        }
    }
}

fn picklist(field: &Field, value: String) -> Result<Cell, ApiError> {
    let multiple = field.kind == Kind::MultiPicklist;
    let mut chosen: Vec<&str> = Vec::new();
    for one in value
        .split(';')
        .map(str::trim)
        .filter(|one| multiple && !one.is_empty())
    {
        if !chosen.contains(&one) {
            chosen.push(one);
        }
    }
    let value = if multiple { chosen.join(";") } else { value };
    let mut each = value.split(|letter| multiple && letter == ';');
    let known = |one: &str| field.values.iter().any(|known| known.value == one);
    if let Some(bad) = each.find(|one| field.restricted && !known(one)) {
        let message = format!(
            "{}: bad value for restricted picklist field: {bad}",
            field.label
        );
        return Err(ApiError::fields(
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            message,
            [field.name.as_str()],
        ));
    }
    text(field, value)
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let good = |part: &str| !part.is_empty() && !part.contains([' ', '@', ',', ';', '<', '>', '"']);
    good(local)
        && good(domain)
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(object: &str, field: &str, value: &Value) -> Result<Cell, String> {
        let schema = Schema::load().unwrap();
        let (_, kind) = schema.find(object).unwrap();
        coerce(&schema, kind.find(field).unwrap().1, value).map_err(|error| {
            let reason = &error.reasons[0];
            format!("{}: {}", reason.code, reason.message)
        })
    }

    #[test]
    fn values_are_converted_as_the_interface_does() {
        assert_eq!(
            read("Account", "Name", &json!("  Acme ")),
            Ok(Cell::text("Acme"))
        );
        assert_eq!(read("Account", "Name", &json!("  ")), Ok(Cell::Null));
        assert_eq!(
            read("Account", "NumberOfEmployees", &json!("100")),
            Ok(Cell::Int(100))
        );
        assert_eq!(
            read("Opportunity", "Amount", &json!("12.345")),
            Ok(Cell::Number(12.35))
        );
        assert_eq!(
            read("Opportunity", "Discount__c", &json!(15)),
            Ok(Cell::Number(15.0))
        );
        assert_eq!(
            read("Contact", "Consent__c", &json!("true")),
            Ok(Cell::Bool(true))
        );
        assert_eq!(
            read("Contact", "Consent__c", &Value::Null),
            Ok(Cell::Bool(false))
        );
        assert_eq!(
            read("Contact", "Region__c", &json!("DACH; EMEA;DACH")),
            Ok(Cell::text("DACH;EMEA"))
        );
        assert_eq!(
            read(
                "Contact",
                "Consent_At__c",
                &json!("2026-01-31T11:00:00.5+0100")
            ),
            Ok(Cell::Moment(1_769_853_600))
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_in_the_right_words() {
        let bad =
            |object: &str, field: &str, value: Value| read(object, field, &value).unwrap_err();
        assert!(bad("Contact", "FirstName", json!("x".repeat(41))).contains("(max length=40)"));
        assert!(
            bad("Contact", "FirstName", json!(5))
                .starts_with("JSON_PARSER_ERROR: Cannot deserialize instance of string")
        );
        assert!(
            bad("Contact", "Email", json!("ada@"))
                .starts_with("INVALID_EMAIL_ADDRESS: Email: invalid email address: ada@")
        );
        assert!(
            bad("Contact", "Region__c", json!("Mars"))
                .starts_with("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")
        );
        assert!(
            bad("Opportunity", "Discount__c", json!(1000))
                .starts_with("NUMBER_OUTSIDE_VALID_RANGE")
        );
        assert!(
            bad("Opportunity", "CloseDate", json!("31.01.2026"))
                .contains("instance of date from VALUE_STRING")
        );
        assert!(
            bad("Opportunity", "AccountId", json!("003Wd000000000001"))
                .starts_with("MALFORMED_ID: Account ID")
        );
        assert!(
            bad("Account", "NumberOfEmployees", json!("many")).starts_with("JSON_PARSER_ERROR")
        );
        assert!(bad("Account", "Name", json!(["a"])).starts_with("JSON_PARSER_ERROR"));
    }
}
