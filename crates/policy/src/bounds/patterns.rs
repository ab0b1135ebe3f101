//! Regular expressions and globs. The engine bounds what a pattern compiles to; here it is
//! bounded what they are held against and what they make.

use regorus::Value;

use super::size;
use super::{Bound, Bounded, MAX_TEXT, at_most};

/// Bytes of a pattern.
const MAX_PATTERN: usize = 4096;
/// Bytes of a text that a pattern is held against.
const MAX_MATCHED: usize = 256 << 10;
/// Texts that all groups of all matches make.
const MAX_GROUPS: usize = 1_000_000;

pub(super) const BOUNDED: &[Bounded] = &[
    ("regex.match", first),
    ("regex.split", first),
    ("regex.find_n", first),
    ("regex.find_all_string_submatch_n", groups),
    ("regex.replace", replace),
    ("regex.is_valid", pattern_alone),
    ("regex.template_match", first),
    ("glob.match", glob),
    ("glob.quote_meta", pattern_alone),
];

fn both(pattern: &str, text: &str) -> Bound {
    at_most("bytes of the pattern:", pattern.len(), MAX_PATTERN)?;
    at_most("bytes of the text:", text.len(), MAX_MATCHED)
}

fn first(args: &[Value]) -> Bound {
    both(size::text(args.first()), size::text(args.get(1)))
}

fn pattern_alone(args: &[Value]) -> Bound {
    both(size::text(args.first()), "")
}

fn glob(args: &[Value]) -> Bound {
    both(size::text(args.first()), size::text(args.get(2)))
}

fn groups(args: &[Value]) -> Bound {
    first(args)?;
    let (pattern, text) = (size::text(args.first()), size::text(args.get(1)));
    let groups = pattern.matches('(').count() + 1;
    let asked = args.get(2).and_then(|n| n.as_u64().ok());
    let matches = asked
        .and_then(|n| usize::try_from(n).ok())
        .map_or(text.len() + 1, |n| n.min(text.len() + 1));
    at_most(
        "groups of all matches:",
        groups.saturating_mul(matches),
        MAX_GROUPS,
    )
}

fn replace(args: &[Value]) -> Bound {
    let (text, pattern) = (size::text(args.first()), size::text(args.get(1)));
    both(pattern, text)?;
    let new = size::text(args.get(2));
    // Each place of it may be put in whole, as `$0` does, and the text between stays.
    let quoted = new.matches('$').count().saturating_mul(text.len());
    let matches = (text.len() + 1).saturating_mul(new.len());
    let all = text.len().saturating_add(quoted);
    if all.saturating_add(matches) <= MAX_TEXT {
        return Ok(());
    }
    at_most("bytes:", all, MAX_TEXT)?;
    at_most(
        "bytes:",
        all.saturating_add(found(args).saturating_mul(new.len())),
        MAX_TEXT,
    )
}

/// How often a pattern is found.
fn found(args: &[Value]) -> usize {
    let (Some(text), Some(pattern)) = (args.first(), args.get(1)) else {
        return 0;
    };
    let asked = [pattern.clone(), text.clone(), Value::from(-1_i64)];
    let find = super::BUILTINS.get("regex.find_n");
    let found = find
        .zip(super::Call::nowhere())
        .and_then(|((find, _), call)| find(call.span, call.params(asked.len()), &asked, true).ok());
    match found {
        Some(Value::Array(found)) => found.len(),
        // Not even that: the function says why.
        _ => 0,
    }
}
