use crate::testing::{load, package};
use crate::{LoadErrors, PolicySet, Sources};

fn rules(text: &str) -> Result<PolicySet, LoadErrors> {
    load(&[package("crm.a.b", "", text)])
}

/// Rules that can't be loaded; the code of the fault, its line below the header, a part of it.
const FAULTS: &[(&str, &str, u32, &str)] = &[
    (
        "deny := true",
        "reserved",
        1,
        "`deny` is reserved and is a single value",
    ),
    (
        "deny if input.record.a",
        "reserved",
        1,
        "write `deny contains … if { … }`",
    ),
    ("deny[x] if { x := 1 }", "reserved", 1, "a map of rules"),
    ("deny.a contains 1 if true", "reserved", 1, "a map of rules"),
    ("deny(x) := 1 if x", "reserved", 1, "a function"),
    ("default deny := false\n", "reserved", 1, "a default value"),
    (
        "allow contains 1",
        "reserved",
        1,
        "`allow` is reserved and is a set",
    ),
    ("allow := \"yes\"", "reserved", 1, "a string"),
    (
        "default allow := {}\nallow if true",
        "reserved",
        1,
        "an object",
    ),
    ("include(x) if x", "reserved", 1, "a function"),
    ("patch := [1]", "reserved", 1, "`patch` is reserved"),
    (
        "deny contains \"x\" if nosuch(1)",
        "call",
        1,
        "there is no function `nosuch`",
    ),
    (
        "deny contains \"x\" if regex.is_match(\"a\", \"b\")",
        "call",
        1,
        "there is no function `regex.is_match`",
    ),
    (
        "deny contains \"x\" if strings.startswith(\"a\", \"b\")",
        "call",
        1,
        "did you mean `startswith`?",
    ),
    (
        "deny contains \"x\" if false\n\nx := http.send({})",
        "call",
        3,
        "policies make no calls",
    ),
    (
        "deny contains \"x\" if rand.intn(\"a\", 5) == 1",
        "call",
        1,
        "the same when it is made again",
    ),
    (
        "deny contains \"x\" if uuid.rfc4122(\"\") == \"\"",
        "call",
        1,
        "may not be called",
    ),
    (
        "deny contains \"x\" if opa.runtime().env",
        "call",
        1,
        "may not be called",
    ),
    (
        "deny contains \"x\" if io.jwt.decode(input.purpose)",
        "call",
        1,
        "there is no function",
    ),
    (
        "deny contains \"x\" if startswith(\"a\")",
        "call",
        1,
        "takes 2 arguments, 1 are given",
    ),
    (
        "deny contains \"x\" if f(1, 2)\nf(x) if x",
        "call",
        1,
        "`f` takes 1 arguments, 2 are given",
    ),
    (
        "deny contains \"x\" if regex.match(`^\\d{1,20}$`, input.id)",
        "regex",
        1,
        "exceeded size limit",
    ),
    (
        "deny contains \"x\" if regex.match(\"(\", input.id)",
        "regex",
        1,
        "the pattern `(` can't be used",
    ),
    (
        "deny contains \"x\" if regex.replace(input.id, \"[\", \"\") == \"\"",
        "regex",
        1,
        "can't be used",
    ),
    (
        "deny contains \"x\" if a\na if b\nb if a",
        "recursion",
        2,
        "`crm.a.b.a` uses `crm.a.b.b` uses `crm.a.b.a`",
    ),
    (
        "deny contains \"x\" if f(1)\nf(x) := f(x - 1)",
        "recursion",
        2,
        "may not use themselves",
    ),
    (
        "deny contains \"x\" if f(1)\nf(x) := g(x)\ng(x) := data.crm.a.b.f(x)",
        "recursion",
        2,
        "may not use themselves",
    ),
    (
        "deny contains \"x\" if data.crm.a.b[input.id]",
        "recursion",
        1,
        "may not use themselves",
    ),
    (
        "deny contains \"x\" if data.crm.a.c.deny",
        "data",
        1,
        "there is no `data.crm.a.c.deny`",
    ),
    (
        "deny contains \"x\" if input.record.a > data.params.a.b.limit",
        "data",
        1,
        "there is no `data.params.a`",
    ),
    (
        "import data.lists\ndeny contains \"x\" if input.id in lists.ids",
        "data",
        2,
        "there is no `data.lists`",
    ),
    (
        "deny contains \"x\" if input.related.account.name",
        "metadata",
        0,
        "`needs: [related.account]`",
    ),
    (
        "deny contains \"x\" if input.request.method == \"POST\"",
        "metadata",
        0,
        "`points: [gateway]`",
    ),
    (
        "deny contains \"x\" if { y == 1 }",
        "unsafe",
        1,
        "`y` is unsafe",
    ),
    ("deny contains \"x\" if {", "syntax", 2, ""),
    (
        "deny contains \"x\" if glob.match(\"[a\", [], input.id)",
        "regex",
        1,
        "the pattern `[a` can't be used",
    ),
    (
        "deny contains \"x\" if {\n\tinput.id == \"x\" with time.now_ns as 1\n}",
        "with",
        2,
        "`with` replaces the function `time.now_ns`",
    ),
    (
        "deny contains \"x\" if a with f as g\na if f(1)\nf(x) if x == input.id\ng(_) := true",
        "with",
        1,
        "`with` replaces the function `f`",
    ),
    ("deny contains $\"x {input.id}\"", "syntax", 1, ""),
    (
        "deny contains \"x\" if input.record.a > 1e999999999",
        "limit",
        1,
        "a number has more than",
    ),
    (
        "helper if true",
        "package",
        0,
        "no rule that decides anything",
    ),
    (
        "deny contains \"x\" if [[[[[[[[[[[[[1]]]]]]]]]]]]]",
        "limit",
        1,
        "brackets nest deeper",
    ),
];

/// Lines that `package` puts before the rules.
const HEADER: u32 = 5;

#[test]
fn what_would_fail_later_is_refused_at_once() {
    for (text, code, line, part) in FAULTS {
        let errors = rules(text).map(|_| ()).expect_err(text);
        let shown = errors.to_string();
        let fault = errors
            .all()
            .iter()
            .find(|fault| fault.code == *code && fault.to_string().contains(part))
            .unwrap_or_else(|| panic!("{text}: {shown}"));
        assert_eq!(fault.file, "crm/a/b.rego", "{shown}");
        if *line > 0 {
            assert_eq!(fault.line, Some(HEADER + line), "{shown}");
        }
    }
}

/// Rules that look odd and load.
const FINE: &[&str] = &[
    "allow if true",
    "default allow := false\nallow if input.record.a",
    "allow := input.record.a",
    "deny contains \"x\" if { some deny_code in [1]; deny_code == 2 }",
    "amount := f(input.record.amount)\nf(amount) := amount + 1\ndeny contains \"x\" if amount > 1",
    "deny contains \"x\" if time.now_ns() > 1",
    "deny contains \"x\" if { print(\"a\", 1, 2); false }",
    "deny contains \"x\" if split(\"a\", \"b\", input.record.parts)",
    "deny contains \"x\" if object.get(input, \"a\", 1) == 1",
    "# METADATA\n# title: of a rule\ndeny contains \"x\" if false",
    "include if input.record.a",
    "release contains \"email\"",
    "import rego.v1\ndeny contains \"x\" if false",
    "deny contains \"x\" if glob.match(\"*.{com,org}\", [\".\"], input.id)",
    "deny contains \"x\" if f(1)\ndefault f(_) := false\nf(x) if x > input.record.a",
    "deny contains \"x\" if { every k, v in input.record.limits { v <= 3; k != \"a\" } }",
    "deny contains \"x\" if a with input.record as {}\na if not input.record.b",
    "o[a] contains b if { a := \"x\"; b := input.record.a }\ndeny contains \"x\" if \"y\" in o.x",
];

#[test]
fn what_works_loads() {
    for text in FINE {
        if let Err(errors) = rules(text) {
            panic!("{text}: {errors}");
        }
    }
}

#[test]
fn a_chain_may_be_long_but_not_endless() {
    let chain = |length: usize| {
        let mut text = String::from("deny contains \"x\" if r0\n");
        for at in 0..length {
            text.push_str(&format!("r{at} if r{}\n", at + 1));
        }
        text.push_str(&format!("r{length} if input.record.a\n"));
        rules(&text)
    };
    let set = chain(90).unwrap();
    let judged = set.judge(
        &crate::testing::operation(crmgate_domain::Kind::Create),
        &crate::testing::candidate(crate::testing::views(r#"{"a": 1}"#)),
        &crate::JudgeOptions {
            time_limit: std::time::Duration::from_secs(5),
            ..crate::JudgeOptions::default()
        },
    );
    assert_eq!(judged.judgement.reasons.len(), 1, "{judged:?}");
    let errors = chain(300).unwrap_err().to_string();
    assert!(errors.contains("more than 100 steps"), "{errors}");
}

#[test]
fn all_faults_are_told_together() {
    let errors = load(&[
        package("crm.a.b", "", "deny := 1\nwarn contains nosuch(1)"),
        package(
            "crm.a.c",
            ", severity: x",
            "deny contains \"x\" if data.nothing",
        ),
        (
            "crm/a/d.rego".into(),
            "package crm.a.d\ndeny contains \"x\"".into(),
        ),
        ("e.rego".into(), "package other\n".into()),
        ("f/list.yaml".into(), "a: 1".into()),
        ("f/data.yaml".into(), "crm: {a: 1}\n".into()),
    ])
    .unwrap_err();
    let shown = errors.to_string();
    for part in [
        "crm/a/b.rego:6:1: `deny` is reserved",
        "crm/a/b.rego:7:15: there is no function `nosuch`",
        "crm/a/c.rego:3: `severity` is `x`, expected one of low, medium, high, critical",
        "there is no `data.nothing`",
        "package `crm.a.d` has no `# METADATA` block",
        "`other` is not a policy package",
        "f/list.yaml: the file is not read",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let places: Vec<_> = errors.all().iter().map(|e| (&e.file, e.line)).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn data_never_takes_a_rules_place() {
    for (file, text) in [
        ("data.yaml", "crm: {a: {b: {deny: []}}}"),
        ("crm/data.yaml", "a: {b: {deny: []}}"),
        ("lib/data.json", "{\"x\": 1}"),
        ("params/data.yaml", "a: 1"),
        ("crmgate/data.yaml", "a: 1"),
    ] {
        let files = [
            package("crm.a.b", "", "deny contains \"x\""),
            (file.into(), text.into()),
        ];
        let errors = load(&files).unwrap_err().to_string();
        assert!(
            errors.contains("belongs to rules and parameters"),
            "{file}: {errors}"
        );
    }
}

#[test]
fn packages_in_several_files_add_up_and_have_one_block() {
    let one = package("crm.a.b", "", "deny contains \"x\" if false");
    let more = (
        "more.rego".to_owned(),
        "package crm.a.b\ndeny contains \"y\" if false".to_owned(),
    );
    let set = load(&[one.clone(), more]).unwrap();
    let (_, package) = set.packages().next().unwrap();
    assert_eq!(package.files, ["crm/a/b.rego", "more.rego"]);
    let second = ("second.rego".to_owned(), one.1.clone());
    let errors = load(&[one, second]).unwrap_err().to_string();
    assert!(errors.contains("already"), "{errors}");
}

#[test]
fn a_connection_may_tighten_only() {
    let mut sources = Sources::global([
        package(
            "crm.a.b",
            ", final: true",
            "deny contains \"x\" if data.lib.h.on",
        ),
        (
            "lib/h.rego".into(),
            "package lib.h\non if input.record.a".into(),
        ),
        ("lists/data.yaml".into(), "ids: [1]".into()),
    ]);
    let connection = sources
        .connections
        .entry("acme-sf".parse().unwrap())
        .or_default();
    connection.files = [package(
        "crm.own.x",
        "",
        "deny contains \"x\" if { data.lib.h.on; input.id in data.lists.ids }",
    )]
    .map(|(path, text)| crate::Source { path, text })
    .into();
    PolicySet::load(&sources).unwrap();

    let refused = |path: &str, text: &str, part: &str| {
        let mut sources = sources.clone();
        let connection = sources
            .connections
            .get_mut(&"acme-sf".parse().unwrap())
            .unwrap();
        connection.files.push(crate::Source {
            path: path.into(),
            text: text.into(),
        });
        let errors = PolicySet::load(&sources).unwrap_err().to_string();
        assert!(errors.contains(part), "{part} in\n{errors}");
        assert!(errors.contains("connections/acme-sf"), "{errors}");
    };
    refused(
        "b.rego",
        &package("crm.a.b", "", "deny contains \"y\"").1,
        "`crm.a.b` is a package of the global layer",
    );
    refused(
        "y.rego",
        &package("crm.own.y", "", "deny contains \"y\" if data.crm.a.b.deny").1,
        "there is no `data.crm.a.b.deny`",
    );
    refused(
        "z.rego",
        &package("crm.own.z", ", final: true", "deny contains \"y\"").1,
        "`final` only on global packages",
    );
    refused(
        "lists/data.yaml",
        "ids: []",
        "`data.lists` belongs to the global layer",
    );
    refused("enforcement.yaml", "crm.a.b: dryrun", "`crm.a.b` is final");
    refused(
        "enforcement.yaml",
        "crm.a.z: off",
        "`crm.a.z` is not a package of the global layer",
    );
    refused(
        "enforcement.yaml",
        "crm.a.b: maybe",
        "expected enforce, warn, dryrun or off",
    );
    refused("params.yaml", "a: {b: {c: 1}}", "there is no parameter `a`");
}

/// A policy with most of the language in it, to cut and splice.
const WHOLE: &str = r#"# METADATA
# title: t
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.a.b

import data.lib.h as helper

default allow := false

allow if not input.record.email

limits := {"a": [1, 2.5, -3], `b`: {"c", "d"}}

deny contains {"code": "x", "message": sprintf("%d", [n])} if {
	some k, v in limits
	n := count([x | some x in v; x != k]) + 1
	every y in v { regex.match(`^[a-z]+$`, y) }
	input.before[k].z == true with input.object as "lead"
}

f(x) := y if { y := x * 2 } else := 0
"#;

#[test]
fn the_whole_policy_loads() {
    load(&[("crm/a/b.rego".to_owned(), WHOLE.to_owned())]).unwrap();
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn a_cut_and_spliced_policy_is_loaded_or_refused(
        from in 0_usize..700, length in 0_usize..60, to in 0_usize..700, noise in "[ -~\n]{0,6}",
    ) {
        let chars: Vec<char> = WHOLE.chars().collect();
        let from = from.min(chars.len());
        let cut: String = chars[from..(from + length).min(chars.len())].iter().collect();
        let mut text: Vec<char> = chars.clone();
        let at = to.min(text.len());
        text.splice(at..at, cut.chars().chain(noise.chars()));
        let text: String = text.into_iter().collect();
        if let Err(errors) = load(&[("crm/a/b.rego".to_owned(), text)]) {
            proptest::prop_assert!(!errors.all().is_empty());
            proptest::prop_assert!(errors.all().iter().all(|e| !e.message.is_empty()));
        }
    }
}

fn patching(policy: &str, objects: &str, value: &str, body: &str) -> (String, String) {
    let text = format!(
        "# METADATA\n# title: t\n# custom: {{owner: {policy} team, objects: [{objects}], operations: [create]}}\npackage crm.team.{policy}\n\npatch contains {{\"op\": \"set\", \"field\": \"title\", \"value\": {value}}}{body}\n"
    );
    (format!("team/{policy}.rego"), text)
}

#[test]
fn two_packages_that_always_set_a_field_differently_are_refused() {
    let one = patching("one", "contact", "\"a\"", "");
    let other = patching("other", "contact, lead", "\"b\"", "");
    let told = load(&[one.clone(), other]).unwrap_err().to_string();
    for part in [
        "crm.team.one",
        "one team",
        "crm.team.other",
        "other team",
        "team/other.rego:6",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    load(&[one.clone(), patching("other", "contact", "\"a\"", "")]).unwrap();
    load(&[one.clone(), patching("other", "lead", "\"b\"", "")]).unwrap();
    load(&[
        one,
        patching("other", "contact", "\"b\"", " if input.record.email"),
    ])
    .unwrap();
}
