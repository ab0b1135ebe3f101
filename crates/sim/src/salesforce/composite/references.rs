//! `@{reference.field}`: what a part of a call takes from the answer to an earlier one.

use std::collections::HashMap;

use serde_json::Value;

/// The answers so far, by reference. Names mind their case.
pub(super) type Answers = HashMap<String, Value>;

/// Why a part can't be made whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing(pub(super) String);

impl Missing {
    fn of(path: &str) -> Self {
        let reference = path.split(['.', '[']).next().unwrap_or(path);
        Self(format!(
            "Invalid reference specified. No value for {path} found in {reference}. Provided value of {reference} is not valid."
        ))
    }
}

/// A text with all references replaced.
pub(super) fn text(answers: &Answers, text: &str) -> Result<String, Missing> {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@{") {
        let Some((path, after)) = after.split_once('}') else {
            break;
        };
        whole.push_str(before);
        match find(answers, path) {
            Some(Value::String(value)) => whole.push_str(value),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => whole.push_str(&value.to_string()),
            _ => return Err(Missing::of(path)),
        }
        rest = after;
    }
    whole.push_str(rest);
    Ok(whole)
}

/// A value with all references in its texts replaced; what is nothing but a reference becomes what it refers to.
pub(super) fn value(answers: &Answers, value: &Value) -> Result<Value, Missing> {
    Ok(match value {
        Value::String(plain) => match plain
            .strip_prefix("@{")
            .and_then(|rest| rest.strip_suffix('}'))
        {
            Some(path) if !path.contains('}') => match find(answers, path) {
                Some(found @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => {
                    found.clone()
                }
                _ => return Err(Missing::of(path)),
            },
            _ => Value::String(text(answers, plain)?),
        },
        Value::Array(items) => {
            let items: Result<Vec<Value>, Missing> = items
                .iter()
                .map(|item| self::value(answers, item))
                .collect();
            Value::Array(items?)
        }
        Value::Object(members) => {
            let mut whole = serde_json::Map::with_capacity(members.len());
            for (name, member) in members {
                whole.insert(name.clone(), self::value(answers, member)?);
            }
            Value::Object(whole)
        }
        other => other.clone(),
    })
}

fn find<'a>(answers: &'a Answers, path: &str) -> Option<&'a Value> {
    let (reference, rest) = path.split_at(path.find(['.', '['])?);
    let mut at = answers.get(reference)?;
    let mut rest = rest;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']')?;
            at = at.get(index.parse::<usize>().ok()?)?;
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, after) = after.split_at(end);
            at = at.as_object()?.get(name)?;
            rest = after;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_take_values_by_their_path() {
        let answers = Answers::from([(
            "a".to_owned(),
            json!({"id": "001", "rows": [{"n": 5}, {"ok": true}]}),
        )]);
        assert_eq!(
            text(&answers, "/x/@{a.id}/@{a.rows[0].n}").unwrap(),
            "/x/001/5"
        );
        let body = json!({"AccountId": "@{a.id}", "n": "@{a.rows[0].n}", "t": "n=@{a.rows[0].n}", "l": ["@{a.rows[1].ok}"]});
        let whole = json!({"AccountId": "001", "n": 5, "t": "n=5", "l": [true]});
        assert_eq!(value(&answers, &body).unwrap(), whole);
        for path in [
            "a",
            "a.Id",
            "a.rows",
            "a.rows[9]",
            "a.rows[x]",
            "b.id",
            "a.",
            "a[",
            "",
        ] {
            let error = text(&answers, &format!("@{{{path}}}")).unwrap_err();
            assert!(
                error.0.contains(&format!("No value for {path} found")),
                "{error:?}"
            );
        }
        assert_eq!(text(&answers, "@{a.id").unwrap(), "@{a.id");
    }
}
