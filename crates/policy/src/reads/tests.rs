use super::*;
use crate::Source;
use crate::syntax::Module;

mod left_out;

fn read(rules: &str) -> PackageReads {
    read_with("", rules)
}

/// What `crm.a.b` reads, with helpers in `lib.h`.
fn read_with(helpers: &str, rules: &str) -> PackageReads {
    let sources = [
        (
            "b.rego",
            format!("package crm.a.b\nimport data.lib.h\nimport input.record as r\n{rules}\n"),
        ),
        ("h.rego", format!("package lib.h\n{helpers}\n")),
    ];
    let modules: Vec<Module> = sources
        .into_iter()
        .map(|(path, text)| {
            Module::parse(&Source {
                path: path.into(),
                text,
            })
            .unwrap()
        })
        .collect();
    let package = ["crm", "a", "b"].map(str::to_owned);
    of_package(&Symbols::new(&modules), &package)
}

fn shown(fields: &FieldSet) -> String {
    match fields {
        FieldSet::All => "*".into(),
        FieldSet::Only(fields) => {
            let names: Vec<&str> = fields.iter().map(|field| field.0.as_str()).collect();
            names.join(" ")
        }
    }
}

/// Rules, the record's fields read, the stored record's.
const READ: &[(&str, &str, &str)] = &[
    (
        "deny contains \"x\" if input.record.email == \"a\"",
        "email",
        "",
    ),
    (
        "deny contains \"x\" if input[\"record\"][\"email\"] == \"a\"",
        "email",
        "",
    ),
    ("deny contains \"x\" if not input.record.email", "email", ""),
    (
        "deny contains \"x\" if input.native.Score__c > 7",
        "native.Score__c",
        "",
    ),
    ("deny contains \"x\" if input.before.stage", "", "stage"),
    (
        "deny contains \"x\" if input.native_before.StageName",
        "",
        "native.StageName",
    ),
    ("deny contains \"x\" if input.before != null", "", "id"),
    ("deny contains \"x\" if not input.before", "", "id"),
    ("deny contains \"x\" if is_null(input.before)", "", "id"),
    (
        "deny contains \"x\" if input.changes.email",
        "email",
        "email",
    ),
    (
        "deny contains \"x\" if input.changes.email.to == 1",
        "email",
        "email",
    ),
    (
        "deny contains \"x\" if input.changes[\"native.X\"].from == 1",
        "native.X",
        "native.X",
    ),
    ("deny contains \"x\" if count(input.changes) > 3", "", "*"),
    (
        "deny contains \"x\" if input.operation.kind == \"create\"",
        "",
        "",
    ),
    ("deny contains \"x\" if r.phone", "phone", ""),
    // Variables, in any order.
    (
        "deny contains \"x\" if { x := input.record; x.phone }",
        "phone",
        "",
    ),
    (
        "deny contains \"x\" if { x.phone; x := input.record }",
        "phone",
        "",
    ),
    (
        "deny contains \"x\" if { x := input; y := x.record; y.phone > 1 }",
        "phone",
        "",
    ),
    (
        "deny contains \"x\" if { x := input.record.email; true }",
        "email",
        "",
    ),
    (
        "deny contains \"x\" if { x = input.record.email; true }",
        "email",
        "",
    ),
    (
        "deny contains \"x\" if { [a, _] := [input.record, 1]; a.phone }",
        "*",
        "",
    ),
    // Literal names through a variable.
    (
        "deny contains \"x\" if { some f in [\"a\", \"b\"]; input.record[f] }",
        "a b",
        "",
    ),
    (
        "deny contains \"x\" if { some f in {\"a\", \"b\"}; not input.record[f] }",
        "a b",
        "",
    ),
    (
        "fields := {\"a\", \"b\"}\ndeny contains \"x\" if { some f in fields; input.record[f] }",
        "a b",
        "",
    ),
    (
        "deny contains \"x\" if { f := \"a\"; input.record[f] }",
        "a",
        "",
    ),
    (
        "deny contains \"x\" if { f := input.record.which; input.record[f] }",
        "*",
        "",
    ),
    (
        "deny contains \"x\" if { some f in data.params.a.b.fields; input.record[f] }",
        "*",
        "",
    ),
    (
        "deny contains \"x\" if { some f in [\"a\", data.x.y]; input.record[f] }",
        "*",
        "",
    ),
    // Taken whole.
    ("deny contains \"x\" if count(input.record) > 3", "*", ""),
    (
        "deny contains \"x\" if { some k, v in input.record; v == 1 }",
        "*",
        "",
    ),
    ("deny contains \"x\" if { input.record[k] == 1 }", "*", ""),
    (
        "deny contains \"x\" if { every v in input.record { v } }",
        "*",
        "",
    ),
    ("deny contains input.record", "*", ""),
    (
        "deny contains \"x\" if \"a\" in input.record.tags",
        "tags",
        "",
    ),
    (
        "deny contains \"x\" if { some t in input.record.tags; t.name == 1 }",
        "tags",
        "",
    ),
    (
        "deny contains \"x\" if json.marshal(input) == \"\"",
        "*",
        "*",
    ),
    ("deny contains \"x\" if { walk(input, [p, v]) }", "*", "*"),
    (
        "deny contains \"x\" if ok with input as {\"record\": {}}\nok if input.record.a",
        "*",
        "*",
    ),
    // Rules and functions.
    (
        "deny contains \"x\" if has\nhas if input.record.email",
        "email",
        "",
    ),
    (
        "deny contains \"x\" if rec.email\nrec := input.record",
        "email",
        "",
    ),
    (
        "deny contains \"x\" if f(input.record.email)\nf(x) if x == 1",
        "email",
        "",
    ),
    (
        "deny contains \"x\" if f(input)\nf(x) if x.record.email == 1",
        "email",
        "",
    ),
    (
        "deny contains \"x\" if f(input.record).email\nf(x) := x if true",
        "email",
        "",
    ),
    (
        "deny contains \"x\" if f(input.record, \"email\")\nf(x, k) if x[k]",
        "email",
        "",
    ),
    (
        "deny contains \"x\" if f(input.record)\nf({\"a\": 1}) if true",
        "*",
        "",
    ),
    (
        "deny contains \"x\" if object.get(input.record, \"email\", \"\") == \"\"",
        "email",
        "",
    ),
    (
        "deny contains \"x\" if object.get(input, [\"record\", \"email\"], \"\") == \"\"",
        "email",
        "",
    ),
    (
        "deny contains \"x\" if object.get(input.record, input.object, \"\") == \"\"",
        "*",
        "",
    ),
    (
        "m[k] := input.record[k] if some k in [\"a\", \"b\"]\ndeny contains \"x\" if m.a",
        "a b",
        "",
    ),
    (
        "deny contains \"x\" if count([v | v := input.record.a]) > 0",
        "a",
        "",
    ),
    (
        "deny contains msg if { msg := sprintf(\"%s\", [input.record.a]) }",
        "a",
        "",
    ),
    ("deny contains {\"message\": input.record.a}", "a", ""),
    (
        "allow if { input.record.a } else := false if { input.record.b }",
        "a b",
        "",
    ),
    (
        "default allow := false\nallow if data.crm.a.b.ok\nok if input.record.a",
        "a",
        "",
    ),
    // A local name that is a rule's as well counts as both.
    (
        "email := input.record.email\ndeny contains \"x\" if { some email in [1]; email == 1 }",
        "email",
        "",
    ),
    // What `default` patches look at.
    (
        "patch contains {\"op\": \"set\", \"field\": \"a\", \"value\": 1}",
        "",
        "",
    ),
    (
        "patch contains {\"op\": \"default\", \"field\": \"a\", \"value\": 1}",
        "a",
        "",
    ),
    (
        "patch contains {\"op\": \"default\", \"field\": \"native.A\", \"value\": 1}",
        "native.A",
        "",
    ),
    (
        "patch contains {\"op\": \"default\", \"field\": f, \"value\": 1} if some f in [\"a\"]",
        "*",
        "",
    ),
    (
        "patch contains p if { p := {\"op\": \"set\", \"field\": \"a\", \"value\": 1} }",
        "",
        "",
    ),
    ("patch contains p if { some p in data.x.patches }", "*", ""),
    // Rules that no reserved one uses are not evaluated.
    ("unused if input.record.a\ndeny contains \"x\"", "", ""),
];

#[test]
fn what_is_read_is_found() {
    for (rules, record, before) in READ {
        let read = read(rules);
        let found = (shown(&read.reads.record), shown(&read.reads.before));
        assert_eq!(
            found,
            ((*record).to_owned(), (*before).to_owned()),
            "{rules}"
        );
    }
}

#[test]
fn helpers_of_other_packages_are_followed() {
    let read = read_with(
        "filled(x) if trim_space(x) != \"\"\nrec := input.record\nold(k) := input.before[k]",
        "deny contains \"x\" if { h.filled(input.record.a); h.rec.b; h.old(\"c\") }",
    );
    assert_eq!(shown(&read.reads.record), "a b");
    assert_eq!(shown(&read.reads.before), "c");
}

#[test]
fn related_records_and_the_request_are_told() {
    let read = read(
        "deny contains \"x\" if { input.related.account.name == \"x\"; input.request.method }",
    );
    assert_eq!(read.reads.related, ["account".to_owned()].into());
    assert!(read.request);
    assert!(!self::read("deny contains \"x\" if input.operation.name").request);
}
