//! How large values are, counted as if nothing in them were shared, up to a limit.

use regorus::Value;

/// How much a value holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Values, those inside others included.
    pub(super) nodes: usize,
    /// Bytes of them as text.
    pub(super) text: usize,
    /// The steps to all of them.
    pub(super) steps: usize,
    /// The longest way to any of them.
    pub(super) depth: usize,
}

/// Limits to counting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) nodes: usize,
    pub(super) text: usize,
}

/// The size of a value; `None` when it is beyond the limits.
pub(super) fn of(value: &Value, limits: Limits) -> Option<Size> {
    let mut size = Size::default();
    let mut open = vec![(value, 0)];
    while let Some((value, depth)) = open.pop() {
        size.nodes += 1;
        size.steps = size.steps.saturating_add(depth);
        size.depth = size.depth.max(depth);
        size.text = size.text.saturating_add(leaf(value));
        if size.nodes > limits.nodes || size.text > limits.text {
            return None;
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Set(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => {
                for (key, member) in members.iter() {
                    open.push((key, depth + 1));
                    open.push((member, depth + 1));
                }
            }
            _ => {}
        }
    }
    Some(size)
}

/// Bytes of a value as text, without what is inside it.
fn leaf(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 4,
        Value::Number(_) => digits(value),
        _ => 4,
    }
}

/// Digits of a number.
pub(super) fn digits(value: &Value) -> usize {
    let Value::Number(number) = value else {
        return 0;
    };
    if number.as_i64().is_some() {
        return 20;
    }
    let bits = number.as_big().map_or(1000, |big| big.bits());
    usize::try_from(bits / 3 + 1).unwrap_or(usize::MAX)
}

/// Bytes that a value takes beside what it shares.
pub(super) fn shallow(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len().saturating_mul(24),
        Value::Set(items) => items.len().saturating_mul(32),
        Value::Object(members) => members.len().saturating_mul(56),
        _ => 0,
    }
}

/// A text; empty for anything else, which the function itself refuses.
pub(super) fn text(value: Option<&Value>) -> &str {
    match value {
        Some(Value::String(text)) => text.as_ref(),
        _ => "",
    }
}

/// The texts of a list or set.
pub(super) fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::Array(items)) => items.iter().map(|item| text(Some(item))).collect(),
        Some(Value::Set(items)) => items.iter().map(|item| text(Some(item))).collect(),
        Some(Value::String(text)) => vec![text.as_ref()],
        _ => Vec::new(),
    }
}
