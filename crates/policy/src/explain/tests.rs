use crmgate_domain::{Document, Effect, Kind};

use super::work::Work;
use super::*;
use crate::testing::{candidate, operation, package, views};

fn explain(files: &[(String, String)], record: &str) -> (Judged, Explanation) {
    let sources = Sources::global(files.iter().cloned());
    let set = PolicySet::load(&sources).unwrap();
    set.explain(
        &sources,
        &operation(Kind::Create),
        &candidate(views(record)),
        &JudgeOptions::default(),
    )
}

fn shown(rule: &RuleTold) -> String {
    let head = format!("{}:{} {}", rule.line, rule.column, rule.rule);
    let seen = |saw: &[Seen]| {
        let one = |it: &Seen| {
            let values: Vec<String> = it.values.iter().map(Document::to_json).collect();
            format!("{} = [{}]", it.expression, values.join(" | "))
        };
        saw.iter().map(one).collect::<Vec<_>>().join("; ")
    };
    match &rule.came {
        Came::Fired { values } => {
            let values: Vec<String> = values.iter().map(Document::to_json).collect();
            format!("{head}: fired {}", values.join(" | "))
        }
        Came::Stopped { at, saw, because } => {
            let below: Vec<String> = because
                .iter()
                .map(|it| format!("\n  {}", shown(it)))
                .collect();
            format!(
                "{head}: stopped at {}:{} `{}` ({}){}",
                at.line,
                at.column,
                at.text,
                seen(saw),
                below.concat()
            )
        }
        Came::Failed { at, message, saw } => {
            let at = at.as_ref().map(|at| format!("{}:{}", at.line, at.column));
            format!("{head}: failed at {at:?}: {message} ({})", seen(saw))
        }
        Came::Undefined { saw, because } => {
            let below = because.iter().map(|it| format!("\n  {}", shown(it)));
            let below: Vec<String> = below.collect();
            format!("{head}: undefined ({}){}", seen(saw), below.concat())
        }
        Came::Unfit => format!("{head}: unfit"),
        Came::Default { value } => format!("{head}: default {}", value.to_json()),
    }
}

fn told(rules: &str, record: &str) -> Vec<String> {
    let (_, explanation) = explain(&[package("crm.t.a", "", rules)], record);
    let rules = &explanation.packages[0].rules;
    rules.iter().map(shown).collect()
}

#[test]
fn a_rule_that_fires_tells_its_values() {
    let rules = "deny contains {\"code\": \"x\", \"message\": f} if {\n\tsome f in [\"a\", \"b\", \"c\"]\n\tinput.record[f]\n}";
    assert_eq!(
        told(rules, r#"{"a": 1, "c": 2}"#),
        [r#"6:1 deny: fired {"code":"x","message":"a"} | {"code":"x","message":"c"}"#]
    );
    assert_eq!(
        told("deny contains \"always\"", "{}"),
        [r#"6:1 deny: fired "always""#]
    );
}

#[test]
fn the_first_statement_that_does_not_hold_is_told_with_what_it_saw() {
    let rules = "deny contains \"no\" if {\n\tinput.object == \"contact\"\n\tlength := count(input.record.name)\n\tlength > 5 # too long\n\tinput.record.other\n}";
    assert_eq!(
        told(rules, r#"{"name": "Ada"}"#),
        ["6:1 deny: stopped at 9:2 `length > 5` (length = [3])"]
    );
    assert_eq!(
        told(rules, "{}"),
        [
            "6:1 deny: stopped at 8:2 `length := count(input.record.name)` \
             (count(input.record.name) = []; input.record.name = [])"
        ]
    );
}

#[test]
fn rules_and_functions_behind_a_statement_are_explained_too() {
    let rules = "deny contains \"no\" if {\n\tnot good\n}\n\ngood if filled(input.record.name)\n\nfilled(text) if {\n\tis_string(text)\n\ttrim_space(text) != \"\"\n}\n\nfilled(7) := true";
    let lines = told(rules, r#"{"name": "x"}"#);
    assert_eq!(
        lines,
        ["6:1 deny: stopped at 7:2 `not good` (good = [true])\n  10:1 good: fired true"]
    );
    let rules = rules.replace("not good", "good");
    assert_eq!(
        told(&rules, r#"{"name": " "}"#),
        ["6:1 deny: stopped at 7:2 `good` (good = [])\n  \
             10:1 good: stopped at 10:9 `filled(input.record.name)` \
             (filled(input.record.name) = []; input.record.name = [\" \"])\n  \
             12:1 filled: stopped at 14:2 `trim_space(text) != \"\"` \
             (trim_space(text) = [\"\"]; text = [\" \"])\n  17:1 filled: unfit"]
    );
}

#[test]
fn every_shows_the_element_for_which_it_does_not_hold() {
    let rules = "deny contains \"all\" if {\n\tevery item in input.record.items {\n\t\titem.size < 5\n\t}\n}";
    assert_eq!(
        told(rules, r#"{"items": [{"size": 1}, {"size": 9}]}"#),
        [
            "6:1 deny: stopped at 7:2 `every item in input.record.items {\n\t\titem.size < 5\n\t}` \
             (input.record.items = [[{\"size\":1},{\"size\":9}]]; item (does not hold) = [{\"size\":9}])"
        ]
    );
}

#[test]
fn an_else_is_reached_after_what_stands_before_it() {
    let rules = "deny contains \"no\" if level == \"high\"\n\nlevel := \"high\" if {\n\tinput.record.amount > 10\n} else := \"middle\" if {\n\tinput.record.amount > 5\n} else := \"low\"\n";
    assert_eq!(
        told(rules, r#"{"amount": 7}"#),
        [
            "6:1 deny: stopped at 6:23 `level == \"high\"` (level = [\"middle\"])\n  \
             8:1 level: stopped at 9:2 `input.record.amount > 10` (input.record.amount = [7])\n  \
             10:3 level: fired \"middle\""
        ]
    );
}

#[test]
fn an_error_is_told_where_it_happens() {
    let rules = "deny contains \"no\" if {\n\tinput.record.a\n\t1 / input.record.a > 0\n}";
    let lines = told(rules, r#"{"a": 0}"#);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("6:1 deny: failed at Some(\"8:2\"): "),
        "{lines:?}"
    );
    assert!(lines[0].contains("input.record.a = [0]"), "{lines:?}");
}

#[test]
fn statements_that_need_later_ones_are_told_together() {
    let rules = "deny contains \"no\" if {\n\tsize > 5\n\tsize = input.record.size\n}";
    let lines = told(rules, r#"{"size": 3}"#);
    assert!(lines[0].contains("input.record.size = [3]"), "{lines:?}");
}

#[test]
fn a_patch_is_explained_by_the_record_as_it_came_and_a_refusal_by_the_patched_one() {
    let rules = "patch contains {\"op\": \"set\", \"field\": \"name\", \"value\": \"X\"} if input.record.name == \"x\"\n\ndeny contains input.record.name\n";
    let (judged, explanation) = explain(&[package("crm.t.a", "", rules)], r#"{"name": "x"}"#);
    assert_eq!(judged.judgement.effect, Effect::Deny);
    let package = &explanation.packages[0];
    assert_eq!(package.evaluations, 2);
    assert_eq!(package.reads, ["name"]);
    let lines: Vec<String> = package.rules.iter().map(shown).collect();
    assert_eq!(
        lines,
        [
            "8:1 deny: fired \"X\"",
            "6:1 patch: fired {\"field\":\"name\",\"op\":\"set\",\"value\":\"X\"}"
        ]
    );
}

#[test]
fn prints_are_told_with_their_place() {
    let rules = "deny contains \"no\" if {\n\tprint(\"the name is\", input.record.name)\n\tinput.record.name == \"x\"\n}";
    let (_, explanation) = explain(&[package("crm.t.a", "", rules)], r#"{"name": "y"}"#);
    assert_eq!(
        explanation.packages[0].prints,
        ["crm/t/a.rego:7: the name is y"]
    );
}

#[test]
fn packages_that_do_not_govern_say_why() {
    let files = [
        package("crm.t.a", ", points: [scan], connections: [other]", "deny contains \"a\""),
        package("crm.t.b", ", enforcement: \"off\"", "deny contains \"b\""),
        (
            "crm/t/c.rego".to_owned(),
            "# METADATA\n# title: c\n# custom: {owner: t, objects: [lead], operations: [delete]}\npackage crm.t.c\n\ndeny contains \"c\"\n".to_owned(),
        ),
    ];
    let (_, explanation) = explain(&files, "{}");
    let silent: Vec<(&str, String)> = explanation
        .silent
        .iter()
        .map(|it| (it.package.as_str(), it.because.join("; ")))
        .collect();
    assert_eq!(
        silent,
        [
            (
                "crm.t.a",
                "point `gateway` is not one of `scan`; connection `acme-sf` is not one of `other`"
                    .to_owned()
            ),
            ("crm.t.b", "it is off".to_owned()),
            (
                "crm.t.c",
                "object `contact` is not one of `lead`; operation `create` is not one of `delete`"
                    .to_owned()
            ),
        ]
    );
}

#[test]
fn work_is_packages_and_their_definitions() {
    let rules = "deny contains \"a\" if input.record.a\n\ndeny contains \"b\" if input.record.b\n";
    let sources = Sources::global([package("crm.t.a", "", rules)]);
    let set = PolicySet::load(&sources).unwrap();
    let mut work = set.work(
        &sources,
        &operation(Kind::Create),
        &candidate(views("{\"a\": 1}")),
        &JudgeOptions::default(),
    );
    let lines: Vec<Option<u32>> = work
        .iter()
        .map(|it| it.rule.as_ref().map(|rule| rule.line))
        .collect();
    assert_eq!(lines, [None, Some(6), Some(8)]);
    assert!(work.iter_mut().all(Work::run));
}

#[test]
fn a_value_that_is_undefined_is_told_with_what_it_looked_at() {
    let rules = "deny contains \"no\" if region == \"eu\"\n\nregion := names[country]\n\nnames := {\"de\": \"eu\"}\n\ncountry := lower(input.record.country)";
    assert_eq!(
        told(rules, r#"{"country": "FR"}"#),
        [
            "6:1 deny: stopped at 6:23 `region == \"eu\"` (region = [])\n  \
             8:1 region: undefined (names[country] = []; country = [\"fr\"])\n  \
             10:1 names: fired {\"de\":\"eu\"}\n  12:1 country: fired \"fr\""
        ]
    );
}
