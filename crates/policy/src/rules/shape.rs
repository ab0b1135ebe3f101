//! Reads objects that policies made; whatever does not fit is told in the policy's own words.

use regorus::Value;

use crate::value::type_name;

/// A value that does not fit: what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong(pub(crate) String);

impl Wrong {
    pub(crate) const fn new(message: String) -> Self {
        Self(message)
    }

    fn kind(name: &str, value: &Value, expected: &str) -> Self {
        Self(format!(
            "`{name}` is {}, expected {expected}",
            type_name(value)
        ))
    }
}

/// The members of an object.
pub(crate) struct Members<'a>(Vec<(&'a str, &'a Value)>);

impl<'a> Members<'a> {
    /// The members of `value`, which must be an object with text keys.
    pub(crate) fn of(value: &'a Value, expected: &str) -> Result<Self, Wrong> {
        let Value::Object(object) = value else {
            return Err(Wrong(format!(
                "a member is {}, expected {expected}",
                type_name(value)
            )));
        };
        let members = object.iter().map(|(key, value)| match key {
            Value::String(key) => Ok((key.as_ref(), value)),
            other => Err(Wrong(format!("a key is {}", type_name(other)))),
        });
        members.collect::<Result<_, _>>().map(Self)
    }

    /// Refuses members that nobody reads.
    pub(crate) fn known(&self, names: &[&str]) -> Result<(), Wrong> {
        match self.0.iter().find(|(key, _)| !names.contains(key)) {
            None => Ok(()),
            Some((key, _)) => Err(Wrong(format!(
                "`{key}` is not expected here, only {}",
                names.join(", ")
            ))),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.0
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Wrong> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_ref().to_owned())),
            Some(other) => Err(Wrong::kind(name, other, "a string")),
        }
    }

    pub(crate) fn required_text(&self, name: &str) -> Result<String, Wrong> {
        self.text(name)?
            .ok_or_else(|| Wrong(format!("`{name}` is missing")))
    }

    /// A list or set of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Wrong> {
        let expected = "a list of strings";
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.as_ref().to_owned()),
            other => Err(Wrong::kind(name, other, expected)),
        };
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(items)) => items.iter().map(text).collect::<Result<_, _>>().map(Some),
            Some(Value::Set(items)) => items
                .iter_sorted()
                .map(text)
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(Wrong::kind(name, other, expected)),
        }
    }

    /// A whole number from one.
    pub(crate) fn count(&self, name: &str) -> Result<Option<u32>, Wrong> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_u32()
            .ok()
            .filter(|count| *count > 0)
            .map(Some)
            .ok_or_else(|| Wrong(format!("`{name}` is not a whole number from 1")))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Wrong> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(Wrong::kind(name, other, "true or false")),
        }
    }
}

/// Seconds as a number, or as a number with its unit: `45s`, `30m`, `72h`, `3d`.
pub(crate) fn seconds(value: &Value) -> Option<u64> {
    let Value::String(text) = value else {
        return value.as_u64().ok();
    };
    let text = text.trim();
    let unit = text.chars().last()?;
    let scale = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    let number = text.strip_suffix(unit)?.trim_end();
    number.parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        let cases = [
            ("45s", Some(45)),
            ("30m", Some(1800)),
            ("72h", Some(259_200)),
            ("3 d", Some(259_200)),
            ("3", None),
            ("h", None),
            ("-1h", None),
            ("1.5h", None),
            ("99999999999999999999d", None),
            ("18446744073709551615d", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(&Value::from(text)), expected, "{text}");
        }
        assert_eq!(seconds(&Value::from(60_i64)), Some(60));
        assert_eq!(seconds(&Value::from(1.5)), None);
        assert_eq!(seconds(&Value::Null), None);
    }
}
