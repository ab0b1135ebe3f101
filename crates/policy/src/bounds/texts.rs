//! Functions that make texts of texts.

use regorus::Value;

use super::size::{self, Limits};
use super::{Bound, Bounded, MAX_ITEMS, MAX_NODES, MAX_TEXT, at_most, more_than};

/// The widest cell of a format.
const MAX_WIDTH: usize = 10_000;
/// Comparisons of bytes that a search makes at worst.
const MAX_SEARCH: usize = 1 << 28;
/// Bytes of a layout of times.
const MAX_LAYOUT: usize = 1024;

pub(super) const BOUNDED: &[Bounded] = &[
    ("sprintf", sprintf),
    ("concat", concat),
    ("replace", replace),
    ("strings.replace_n", replace_n),
    ("split", split),
    ("indexof", search),
    ("indexof_n", search),
    ("trim", search),
    ("trim_left", search),
    ("trim_right", search),
    ("strings.any_prefix_match", affixes),
    ("strings.any_suffix_match", affixes),
    ("base64.encode", encode),
    ("base64url.encode", encode),
    ("base64url.encode_no_pad", encode),
    ("hex.encode", encode),
    ("urlquery.encode", encode),
    ("urlquery.encode_object", marshal),
    ("json.marshal", marshal),
    ("json.marshal_with_options", marshal_with_options),
    ("time.format", layouts),
    ("time.parse_ns", layouts),
    ("time.parse_rfc3339_ns", layouts),
    ("time.parse_duration_ns", layouts),
];

fn sprintf(args: &[Value]) -> Bound {
    let format = size::text(args.first());
    at_most("bytes:", format.len(), MAX_TEXT)?;
    let mut cells = 0_usize;
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            continue;
        }
        let mut width = String::new();
        while let Some(digit) = chars.next_if(|c| c.is_numeric() || (*c == '.' && width.is_empty()))
        {
            // The engine breaks off at digits of other scripts.
            if !digit.is_ascii() {
                return Err(more_than("digits that are not 0 to 9:", 0));
            }
            width.push(digit);
            if width.len() > 6 {
                return Err(more_than("characters in a cell:", MAX_WIDTH));
            }
        }
        if width.is_empty() {
            chars.next_if_eq(&'%');
            continue;
        }
        let cell = width.trim_start_matches('.').parse().unwrap_or(0);
        at_most("characters in a cell:", cell, MAX_WIDTH)?;
        cells = cells.saturating_add(cell);
    }
    let shown = args.get(1).map_or(Some(0), text_of);
    let shown = shown.ok_or_else(|| more_than("bytes:", MAX_TEXT))?;
    let all = format.len().saturating_add(cells).saturating_add(shown);
    at_most("bytes:", all, MAX_TEXT)
}

/// Bytes of a value as text; `None` when there are too many.
fn text_of(value: &Value) -> Option<usize> {
    let limits = Limits {
        nodes: MAX_NODES,
        text: MAX_TEXT,
    };
    size::of(value, limits).map(|size| size.text)
}

fn concat(args: &[Value]) -> Bound {
    let delimiter = size::text(args.first()).len();
    let parts = size::texts(args.get(1));
    let all: usize = parts.iter().map(|part| part.len() + delimiter).sum();
    at_most("bytes:", all, MAX_TEXT)
}

fn replace(args: &[Value]) -> Bound {
    let (text, old) = (size::text(args.first()), size::text(args.get(1)));
    replaced(text.len(), text, old, size::text(args.get(2)))
}

/// How long a text becomes at most.
fn replaced(length: usize, text: &str, old: &str, new: &str) -> Bound {
    if new.len() <= old.len() {
        return Ok(());
    }
    let most = length / old.len().max(1) + 1;
    if length.saturating_add(most.saturating_mul(new.len())) <= MAX_TEXT {
        return Ok(());
    }
    let found = text.matches(old).count();
    let all = length.saturating_add(found.saturating_mul(new.len() - old.len()));
    at_most("bytes:", all, MAX_TEXT)
}

fn replace_n(args: &[Value]) -> Bound {
    let Some(Value::Object(patterns)) = args.first() else {
        return Ok(());
    };
    let mut text = size::text(args.get(1)).to_owned();
    for (old, new) in patterns.iter_sorted() {
        let (old, new) = (size::text(Some(old)), size::text(Some(new)));
        replaced(text.len(), &text, old, new)?;
        text = text.replace(old, new);
    }
    Ok(())
}

fn split(args: &[Value]) -> Bound {
    let (text, delimiter) = (size::text(args.first()), size::text(args.get(1)));
    if text.len() / delimiter.len().max(1) < MAX_ITEMS {
        return Ok(());
    }
    at_most("parts:", text.matches(delimiter).count() + 1, MAX_ITEMS)
}

/// Where every place of the one is held against all of the other.
fn search(args: &[Value]) -> Bound {
    let (text, part) = (size::text(args.first()), size::text(args.get(1)));
    let work = text.len().saturating_mul(part.len());
    at_most("comparisons:", work, MAX_SEARCH)
}

fn affixes(args: &[Value]) -> Bound {
    let (texts, affixes) = (size::texts(args.first()), size::texts(args.get(1)));
    let longest = affixes.iter().map(|affix| affix.len()).max().unwrap_or(0);
    let work = texts.len().saturating_mul(affixes.len());
    at_most(
        "comparisons:",
        work.saturating_mul(longest.max(16)),
        MAX_SEARCH,
    )
}

fn encode(args: &[Value]) -> Bound {
    at_most("bytes:", size::text(args.first()).len(), MAX_TEXT / 3)
}

fn marshal(args: &[Value]) -> Bound {
    let limits = Limits {
        nodes: MAX_NODES,
        text: MAX_TEXT / 2,
    };
    match args.first().map(|value| size::of(value, limits)) {
        Some(None) => Err(more_than("bytes:", MAX_TEXT / 2)),
        _ => Ok(()),
    }
}

fn marshal_with_options(args: &[Value]) -> Bound {
    marshal(args)?;
    let limits = Limits {
        nodes: MAX_NODES,
        text: MAX_TEXT,
    };
    let Some(size) = args.first().and_then(|value| size::of(value, limits)) else {
        return Ok(());
    };
    let Some(Value::Object(options)) = args.get(1) else {
        return Ok(());
    };
    let option = |name: &str| size::text(options.get(&name.into())).len();
    let line = option("prefix").saturating_add(option("indent").saturating_mul(size.depth + 1));
    let all = size.text.saturating_add(size.nodes.saturating_mul(line));
    at_most("bytes:", all, MAX_TEXT)
}

fn layouts(args: &[Value]) -> Bound {
    let texts = args.iter().flat_map(|arg| size::texts(Some(arg)));
    let longest = texts.map(str::len).max().unwrap_or(0);
    at_most("bytes:", longest, MAX_LAYOUT)
}
