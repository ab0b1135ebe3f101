//! Reports, as people and programs get them.

use crmgate_authoring::Wanted;
use crmgate_authoring::report::{failures, junit, lcov, uncovered};

use crate::folder::{folder, run};

fn covering() -> Wanted {
    Wanted {
        coverage: true,
        ..Wanted::default()
    }
}

#[test]
fn junit_is_as_ci_systems_read_it() {
    let report = run(folder().path(), &Wanted::default());
    insta::assert_snapshot!(junit(&report, "policies").unwrap());
}

#[test]
fn a_run_without_tests_is_junit_as_well() {
    let wanted = Wanted {
        pack: Some("none".to_owned()),
        ..Wanted::default()
    };
    let report = run(folder().path(), &wanted);
    insta::assert_snapshot!(junit(&report, "policies").unwrap());
}

#[test]
fn failures_show_what_was_expected_and_what_came() {
    let report = run(folder().path(), &Wanted::default());
    insta::assert_snapshot!(failures(&report));
}

#[test]
fn reached_lines_are_told_as_opa_and_lcov_have_it() {
    let coverage = run(folder().path(), &covering()).coverage.unwrap();
    insta::assert_snapshot!("opa", serde_json::to_string_pretty(&coverage).unwrap());
    insta::assert_snapshot!("lcov", lcov(&coverage, "policies/"));
    let missed: Vec<(String, String)> = uncovered(&coverage)
        .into_iter()
        .map(|(file, _, lines)| (file, lines))
        .collect();
    let expected = [("other/none.rego", "6"), ("people/names.rego", "16")];
    assert_eq!(
        missed,
        expected.map(|(file, lines)| (file.to_owned(), lines.to_owned()))
    );
}

#[test]
fn a_packs_coverage_is_of_its_own_files() {
    let wanted = Wanted {
        pack: Some("people".to_owned()),
        ..covering()
    };
    let coverage = run(folder().path(), &wanted).coverage.unwrap();
    let files: Vec<&String> = coverage.files.keys().collect();
    assert_eq!(files, ["people/names.rego"]);
}
