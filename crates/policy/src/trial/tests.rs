use super::*;
use crate::testing::package;

fn trials(policy: &str, tests: &str) -> Result<Trials, LoadErrors> {
    let sources = Sources::global([package("crm.t.a", "", policy)]);
    let set = PolicySet::load(&sources).unwrap();
    let tests = Sources::global([("t/a_test.rego".to_owned(), tests.to_owned())]);
    Trials::load(&set, &sources, &tests)
}

fn ran(policy: &str, tests: &str) -> Vec<(String, Tried)> {
    let trials = trials(policy, tests).unwrap();
    let all = trials.all().iter();
    all.map(|trial| (trial.name.clone(), trials.run(trial, None)))
        .collect()
}

fn word(tried: &Tried) -> &'static str {
    match tried.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed { .. } => "failed",
        Outcome::Error { .. } => "error",
        Outcome::Skipped => "skipped",
    }
}

const POLICY: &str = "deny contains \"no\" if input.record.amount > 10\n\nlate if time.now_ns() > 2000000000000000000";

#[test]
fn tests_pass_fail_err_and_wait_as_opa_has_it() {
    let tests = "package crm.t.a_test\n\nimport data.crm.t.a\n\n\
        test_true if \"no\" in a.deny with input as {\"record\": {\"amount\": 11}}\n\n\
        test_undefined if \"no\" in a.deny with input as {\"record\": {\"amount\": 9}}\n\n\
        test_false := false\n\n\
        test_no_truth := \"yes\"\n\n\
        test_error if 1 / object.get({}, \"x\", 0) > 0\n\n\
        todo_test_later if false\n\n\
        test_clock if a.late with time.now_ns as 2100000000000000000\n\n\
        test_clock_stands if not a.late\n\n\
        test_nothing_is_given if not input.record\n\n\
        helper_test if false\n\n\
        test_function(x) := x\n";
    let ran = ran(POLICY, tests);
    let words: Vec<(&str, &str)> = ran
        .iter()
        .map(|(name, tried)| (name.as_str(), word(tried)))
        .collect();
    assert_eq!(
        words,
        [
            ("test_true", "passed"),
            ("test_undefined", "failed"),
            ("test_false", "failed"),
            ("test_no_truth", "failed"),
            ("test_error", "error"),
            ("todo_test_later", "skipped"),
            ("test_clock", "passed"),
            ("test_clock_stands", "passed"),
            ("test_nothing_is_given", "passed"),
        ]
    );
    let Outcome::Error { message } = &ran[4].1.outcome else {
        panic!("{ran:?}");
    };
    assert!(message.starts_with("t/a_test.rego:13:"), "{message}");
}

#[test]
fn a_failure_shows_where_it_stops_and_what_was_there() {
    let tests = "package crm.t.a\n\ntest_b if {\n\tsome amount in [3]\n\tprint(\"amount\", amount)\n\tcount(deny) == 1 with input as {\"record\": {\"amount\": amount}}\n}\n";
    let (_, tried) = ran(POLICY, tests).remove(0);
    let Outcome::Failed {
        at: Some((at, saw)),
    } = &tried.outcome
    else {
        panic!("{tried:?}");
    };
    assert_eq!((at.line, at.column), (6, 2));
    assert!(
        at.text.starts_with("count(deny) == 1 with input as"),
        "{at:?}"
    );
    assert_eq!(saw[0], Seen::new("count(deny)", &[Value::from(0_i64)]));
    assert_eq!(tried.prints, ["t/a_test.rego:5: amount 3"]);
}

#[test]
fn tests_of_one_name_are_tests_of_their_own() {
    let tests = "package crm.t.a_test\n\ntest_a if 1 == 2\n\ntest_a if 1 == 1\n\ntest_b if true\n\ntest_a if 2 == 3\n";
    let words: Vec<(String, &str)> = ran(POLICY, tests)
        .iter()
        .map(|(name, tried)| (name.clone(), word(tried)))
        .collect();
    let expected = [
        ("test_a", "failed"),
        ("test_a#02", "passed"),
        ("test_b", "passed"),
        ("test_a#03", "failed"),
    ];
    assert_eq!(words, expected.map(|(name, word)| (name.to_owned(), word)));
}

#[test]
fn faults_of_tests_are_told_with_their_place() {
    let cases = [
        (
            "package x\n\ntest_a[name] if {\n\tsome name in [\"a\"]\n}\n",
            "t/a_test.rego:3:1: `test_a` has a name of several parts",
        ),
        ("package x\n\ntest_a if {\n", "t/a_test.rego:"),
        (
            "package x\n\ntest_a if no.such(1)\n",
            "t/a_test.rego:3:11: there is no function `no.such`",
        ),
        (
            "package x\n\ntest_a if a\n\na if test_a\n",
            "rules may not use themselves",
        ),
    ];
    for (tests, part) in cases {
        let told = trials(POLICY, tests).unwrap_err().to_string();
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn coverage_counts_tests() {
    let tests = "package crm.t.a_test\n\ntest_a if count(data.crm.t.a.deny) == 0 with input as {\"record\": {}}\n";
    let trials = trials(POLICY, tests).unwrap();
    let tap = Tap::covering();
    assert_eq!(word(&trials.run(&trials.all()[0], Some(&tap))), "passed");
    let mut coverage = tap.done();
    coverage.retain(|file| !file.ends_with("_test.rego"));
    assert_eq!(coverage.missed()["crm/t/a.rego"], [8]);
}

#[test]
fn connections_have_tests_of_their_own_over_their_parameters() {
    use crate::ConnectionSources;
    let lib = (
        "lib/l.rego".to_owned(),
        "package lib.l\n\nover(a, b) if a > b\n".to_owned(),
    );
    let mut sources = Sources::global([package("crm.t.a", "", POLICY), lib]);
    let (path, text) = package(
        "crm.own.b",
        "",
        "import data.lib.l\n\ndeny contains \"b\" if l.over(input.record.b, 1)",
    );
    let name: ConnectionName = "acme-sf".parse().unwrap();
    let own = ConnectionSources {
        files: vec![Source { path, text }],
        ..ConnectionSources::default()
    };
    sources.connections.insert(name.clone(), own);
    let set = PolicySet::load(&sources).unwrap();
    let mut tests = Sources::default();
    let text = "package crm.own.b_test\n\nimport data.crm.own.b\n\ntest_b if count(b.deny) == 1 with input as {\"record\": {\"b\": 2}}\n";
    tests
        .connections
        .entry(name)
        .or_default()
        .files
        .push(Source {
            path: "own/b_test.rego".to_owned(),
            text: text.to_owned(),
        });
    let trials = Trials::load(&set, &sources, &tests).unwrap();
    assert_eq!(trials.all()[0].file, "connections/acme-sf/own/b_test.rego");
    assert_eq!(word(&trials.run(&trials.all()[0], None)), "passed");
}
