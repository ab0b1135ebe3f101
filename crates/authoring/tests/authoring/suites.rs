//! Which tests run, and how they go.

use crmgate_authoring::Wanted;
use crmgate_authoring::suite::{Kind, Test, Verdict};
use regex::Regex;

use crate::folder::{folder, run, suite, systems, write};

fn names(wanted: &Wanted) -> Vec<String> {
    let report = run(folder().path(), wanted);
    report.tests.iter().map(Test::title).collect()
}

#[test]
fn tests_and_cases_are_counted_and_cases_run_for_every_system() {
    let report = run(folder().path(), &Wanted::default());
    let words: Vec<(Kind, Option<u32>, String, Verdict)> = report
        .tests
        .iter()
        .map(|test| (test.kind, test.line, test.title(), test.verdict))
        .collect();
    let case = |line, name: &str, verdict| (Kind::Case, Some(line), name.to_owned(), verdict);
    let rego = |line, name: &str, verdict| (Kind::Rego, Some(line), name.to_owned(), verdict);
    assert_eq!(
        words,
        [
            case(2, "a name is needed (one)", Verdict::Passed),
            case(2, "a name is needed (two)", Verdict::Passed),
            case(8, "with \"quotes\" & <angles> (one)", Verdict::Failed),
            case(8, "with \"quotes\" & <angles> (two)", Verdict::Failed),
            case(14, "long (one)", Verdict::Passed),
            case(14, "long (two)", Verdict::Passed),
            rego(5, "test_needed", Verdict::Passed),
            rego(7, "test_wrong", Verdict::Failed),
            rego(12, "test_broken", Verdict::Error),
            rego(14, "todo_test_later", Verdict::Skipped),
        ]
    );
    assert_eq!(
        (report.passed, report.failed, report.errors, report.skipped),
        (5, 3, 1, 1)
    );
    assert!(!report.passed());
}

#[test]
fn only_what_is_wanted_runs() {
    let filter = |filter: &str| Wanted {
        filter: Some(Regex::new(filter).unwrap()),
        ..Wanted::default()
    };
    assert_eq!(names(&filter("::long$")), ["long (one)", "long (two)"]);
    assert_eq!(names(&filter("names_test.rego::test_n")), ["test_needed"]);
    let pack = |pack: &str| Wanted {
        pack: Some(pack.to_owned()),
        ..Wanted::default()
    };
    assert_eq!(names(&pack("people")).len(), 10);
    assert_eq!(names(&pack("other")).len(), 0);
}

#[test]
fn progress_is_told_up_to_the_end() {
    let dir = folder();
    let mut told = Vec::new();
    suite(dir.path())
        .unwrap()
        .run(&Wanted::default(), &systems(), &mut |done, all| {
            told.push((done, all));
        });
    let expected: Vec<(usize, usize)> = (1..=7).map(|done| (done, 7)).collect();
    assert_eq!(told, expected);
}

#[test]
fn every_fault_of_tests_and_cases_is_told_together() {
    let dir = folder();
    write(
        dir.path(),
        "people/cases/wrong.yaml",
        "- name: x\n  objct: contact\n",
    );
    write(
        dir.path(),
        "people/wrong_test.rego",
        "package x\n\ntest_a if no.such(1)\n",
    );
    let told = suite(dir.path()).unwrap_err().to_string();
    assert!(told.contains("people/cases/wrong.yaml:"), "{told}");
    assert!(told.contains("did you mean `object`?"), "{told}");
    assert!(told.contains("people/wrong_test.rego:3:"), "{told}");
}

#[test]
fn cases_below_a_connection_are_judged_by_all_that_it_meets() {
    let dir = folder();
    let policy = "# METADATA\n# title: Own\n# custom: {owner: t, objects: [contact], operations: [update]}\n\
                  package crm.own.x\n\ndeny contains {\"code\": \"own\", \"message\": \"own\"}\n";
    write(dir.path(), "connections/acme/own/x.rego", policy);
    write(
        dir.path(),
        "connections/acme/own/cases/x.yaml",
        "- name: own\n  operation: update\n  object: contact\n  record: {last_name: Ada}\n  expect: {effect: deny, codes: [own]}\n",
    );
    let report = run(
        dir.path(),
        &Wanted {
            pack: Some("own".to_owned()),
            ..Wanted::default()
        },
    );
    assert_eq!((report.passed, report.failed), (2, 0), "{:?}", report.tests);
}
