//! What the engine's functions take and give.
//!
//! One letter is one kind: s text, n number, b true or false, a array, e set, o object, z null,
//! x anything. A function that is not in here is never complained of.

use crate::types::Kinds;

/// Function, what it takes, what it gives.
const SIGNATURES: &[(&str, &[&str], &str)] = &[
    ("abs", &["n"], "n"),
    ("array.concat", &["a", "a"], "a"),
    ("array.reverse", &["a"], "a"),
    ("array.slice", &["a", "n", "n"], "a"),
    ("base64.decode", &["s"], "s"),
    ("base64.encode", &["s"], "s"),
    ("base64.is_valid", &["s"], "b"),
    ("ceil", &["n"], "n"),
    ("concat", &["s", "ae"], "s"),
    ("contains", &["s", "s"], "b"),
    ("count", &["saeo"], "n"),
    ("endswith", &["s", "s"], "b"),
    ("floor", &["n"], "n"),
    ("format_int", &["n", "n"], "s"),
    ("glob.match", &["s", "az", "s"], "b"),
    ("hex.decode", &["s"], "s"),
    ("hex.encode", &["s"], "s"),
    ("indexof", &["s", "s"], "n"),
    ("indexof_n", &["s", "s"], "a"),
    ("intersection", &["e"], "e"),
    ("is_array", &["x"], "b"),
    ("is_boolean", &["x"], "b"),
    ("is_null", &["x"], "b"),
    ("is_number", &["x"], "b"),
    ("is_object", &["x"], "b"),
    ("is_set", &["x"], "b"),
    ("is_string", &["x"], "b"),
    ("json.is_valid", &["x"], "b"),
    ("json.marshal", &["x"], "s"),
    ("json.unmarshal", &["s"], "x"),
    ("lower", &["s"], "s"),
    ("max", &["ae"], "x"),
    ("min", &["ae"], "x"),
    ("net.cidr_contains", &["s", "s"], "b"),
    ("numbers.range", &["n", "n"], "a"),
    ("object.filter", &["o", "aeo"], "o"),
    ("object.get", &["o", "x", "x"], "x"),
    ("object.keys", &["o"], "e"),
    ("object.remove", &["o", "aeo"], "o"),
    ("object.union", &["o", "o"], "o"),
    ("product", &["ae"], "n"),
    ("regex.find_n", &["s", "s", "n"], "a"),
    ("regex.find_all_string_submatch_n", &["s", "s", "n"], "a"),
    ("regex.is_valid", &["x"], "b"),
    ("regex.match", &["s", "s"], "b"),
    ("regex.replace", &["s", "s", "s"], "s"),
    ("regex.split", &["s", "s"], "a"),
    ("replace", &["s", "s", "s"], "s"),
    ("round", &["n"], "n"),
    ("semver.compare", &["s", "s"], "n"),
    ("semver.is_valid", &["x"], "b"),
    ("sort", &["ae"], "a"),
    ("split", &["s", "s"], "a"),
    ("sprintf", &["s", "a"], "s"),
    ("startswith", &["s", "s"], "b"),
    ("strings.any_prefix_match", &["sae", "sae"], "b"),
    ("strings.any_suffix_match", &["sae", "sae"], "b"),
    ("strings.count", &["s", "s"], "n"),
    ("strings.replace_n", &["o", "s"], "s"),
    ("strings.reverse", &["s"], "s"),
    ("substring", &["s", "n", "n"], "s"),
    ("sum", &["ae"], "n"),
    ("time.add_date", &["n", "n", "n", "n"], "n"),
    ("time.clock", &["na"], "a"),
    ("time.date", &["na"], "a"),
    ("time.diff", &["na", "na"], "a"),
    ("time.format", &["na"], "s"),
    ("time.now_ns", &[], "n"),
    ("time.parse_duration_ns", &["s"], "n"),
    ("time.parse_ns", &["s", "s"], "n"),
    ("time.parse_rfc3339_ns", &["s"], "n"),
    ("time.weekday", &["na"], "s"),
    ("to_number", &["snbz"], "n"),
    ("trim", &["s", "s"], "s"),
    ("trim_left", &["s", "s"], "s"),
    ("trim_prefix", &["s", "s"], "s"),
    ("trim_right", &["s", "s"], "s"),
    ("trim_space", &["s"], "s"),
    ("trim_suffix", &["s", "s"], "s"),
    ("type_name", &["x"], "s"),
    ("union", &["e"], "e"),
    ("units.parse", &["s"], "n"),
    ("units.parse_bytes", &["s"], "n"),
    ("upper", &["s"], "s"),
];

/// Functions that are an error on a text of the wrong form, which argument, and how to check it.
const FALLIBLE: &[(&str, usize, &str)] = &[
    ("base64.decode", 0, "`base64.is_valid(…)`"),
    ("hex.decode", 0, "`regex.match` of hexadecimal digits"),
    ("json.unmarshal", 0, "`json.is_valid(…)`"),
    (
        "net.cidr_contains",
        1,
        "`net.cidr_is_valid` or `regex.match`",
    ),
    ("semver.compare", 0, "`semver.is_valid(…)`"),
    ("semver.compare", 1, "`semver.is_valid(…)`"),
    ("time.parse_duration_ns", 0, "`regex.match` of its form"),
    ("time.parse_ns", 1, "`regex.match` of its form"),
    ("time.parse_rfc3339_ns", 0, "`regex.match` of its form"),
    (
        "to_number",
        0,
        "`regex.match(\"^-?[0-9]+([.][0-9]+)?$\", …)`",
    ),
    ("units.parse", 0, "`regex.match` of its form"),
    ("units.parse_bytes", 0, "`regex.match` of its form"),
];

/// Functions that OPA gave up, and what to write.
const DEPRECATED: &[(&str, &str)] = &[
    ("all", "`every x in … { x }`"),
    ("any", "`some x in …; x`"),
    ("cast_array", "`is_array`, or an array comprehension"),
    ("cast_boolean", "`is_boolean`"),
    ("cast_null", "`is_null`"),
    ("cast_object", "`is_object`"),
    ("cast_set", "`is_set`, or a set comprehension"),
    ("cast_string", "`is_string`"),
    ("net.cidr_overlap", "`net.cidr_contains`"),
    ("re_match", "`regex.match`"),
    ("set_diff", "`a - b`"),
];

fn kinds(letters: &str) -> Kinds {
    let kind = |letter| match letter {
        's' => Kinds::STRING,
        'n' => Kinds::NUMBER,
        'b' => Kinds::BOOL,
        'a' => Kinds::ARRAY,
        'e' => Kinds::SET,
        'o' => Kinds::OBJECT,
        'z' => Kinds::NULL,
        _ => Kinds::ANY,
    };
    letters
        .chars()
        .fold(Kinds::NONE, |all, letter| all.or(kind(letter)))
}

/// What a function takes and gives.
pub(super) fn signature(name: &str) -> Option<(Vec<Kinds>, Kinds)> {
    let (_, takes, gives) = SIGNATURES.iter().find(|(known, ..)| *known == name)?;
    Some((
        takes.iter().map(|letters| kinds(letters)).collect(),
        kinds(gives),
    ))
}

/// How to check an argument that may have the wrong form.
pub(super) fn check_of(name: &str, argument: usize) -> Option<&'static str> {
    FALLIBLE
        .iter()
        .find(|(known, index, _)| *known == name && *index == argument)
        .map(|(_, _, check)| *check)
}

/// What to write instead of a function that OPA gave up.
pub(crate) fn instead_of(name: &str) -> Option<&'static str> {
    DEPRECATED
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use crmgate_policy::analysis::builtin;

    use super::*;

    #[test]
    fn the_tables_know_what_the_engine_knows() {
        for (name, takes, _) in SIGNATURES {
            assert_eq!(builtin(name).map(usize::from), Some(takes.len()), "{name}");
        }
        for (name, argument, _) in FALLIBLE {
            assert!(
                builtin(name).is_some_and(|takes| usize::from(takes) > *argument),
                "{name}"
            );
        }
    }
}
