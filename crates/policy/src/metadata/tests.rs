use proptest::prelude::*;

use super::*;

fn read_text(text: &str) -> (Option<Metadata>, Vec<LoadError>) {
    let source = Source {
        path: "sales/discounts.rego".into(),
        text: text.into(),
    };
    let mut faults = Vec::new();
    let found = match read(&source, Layer::Global, &mut faults) {
        Found::None => None,
        Found::One(metadata, _) => Some(*metadata),
    };
    (found, faults)
}

fn block(custom: &str) -> String {
    format!("# METADATA\n# title: T\n# custom:\n{custom}package crm.a.b\n")
}

const WHOLE: &str = "# METADATA
# scope: package
# title: Discounts
# description: Who may give how much.
# custom:
#   owner: sales-ops
#   objects: [opportunity, Quote]
#   operations: [create, update]
#   connections: [acme-sf]
#   points: [gateway, queue]
#   enforcement: off
#   severity: high
#   needs: [before, related.account]
#   final: true
#   remediation: Ask your manager.
package crm.sales.discounts
";

#[test]
fn a_whole_block_is_read() {
    let (metadata, faults) = read_text(WHOLE);
    assert_eq!(faults, []);
    let metadata = metadata.unwrap();
    assert_eq!(metadata.owner, "sales-ops");
    assert_eq!(
        metadata.objects,
        Names::Only(["opportunity".into(), "quote".into()].into())
    );
    assert_eq!(metadata.operations, [Kind::Create, Kind::Update].into());
    assert_eq!(metadata.points, [Point::Gateway, Point::Queue].into());
    assert_eq!(metadata.enforcement, Enforcement::Off);
    assert_eq!(metadata.severity, Severity::High);
    assert_eq!(metadata.needs, ["account".to_owned()].into());
    assert!(metadata.is_final);
}

#[test]
fn a_star_means_every_write_and_neither_reads_nor_events() {
    let (metadata, faults) = read_text(&block(
        "#   owner: a\n#   objects: \"*\"\n#   operations: \"*\"\n",
    ));
    assert_eq!(faults, []);
    let metadata = metadata.unwrap();
    assert_eq!(metadata.objects, Names::Any);
    assert_eq!(metadata.operations, WRITES.into());
    assert_eq!(metadata.points, POINTS.into());
}

#[test]
fn every_fault_names_its_line_and_what_was_expected() {
    let required = "#   owner: a\n#   objects: [x]\n#   operations: [create]\n";
    let cases = [
        (
            "#   objects: [x]\n#   operations: [create]\n",
            1,
            "`owner` is missing",
        ),
        (
            "#   owner: a\n#   operations: [create]\n",
            1,
            "`objects` is missing",
        ),
        (
            "#   owner: a\n#   objects: [x]\n",
            1,
            "`operations` is missing",
        ),
        (
            "#   owner: a\n#   objects: [x]\n#   operations: [upsert]\n",
            6,
            "`create` and `update`",
        ),
        (
            "#   owner: a\n#   objects: [x]\n#   operations: [write]\n",
            6,
            "`write`",
        ),
        (
            "#   owner: 7\n#   objects: [x]\n#   operations: [create]\n",
            4,
            "`owner` is a number",
        ),
        (
            "#   owner: a\n#   objects: []\n#   operations: [create]\n",
            5,
            "`objects` is empty",
        ),
        (
            &format!("{required}#   enforcment: warn\n"),
            7,
            "`custom.enforcment` is not a metadata field",
        ),
        (
            &format!("{required}#   enforcement: maybe\n"),
            7,
            "one of enforce, warn, dryrun, off",
        ),
        (
            &format!("{required}#   severity: 3\n"),
            7,
            "one of low, medium, high, critical",
        ),
        (
            &format!("{required}#   points: [desk]\n"),
            7,
            "gateway, queue, hook",
        ),
        (
            &format!("{required}#   needs: [account]\n"),
            7,
            "`related.account`",
        ),
        (
            &format!("{required}#   final: yes please\n"),
            7,
            "`true` or `false`",
        ),
        (&format!("{required}#   owner: b\n"), 1, "stands twice"),
    ];
    for (custom, line, expected) in cases {
        let (_, faults) = read_text(&block(custom));
        let fault = faults
            .iter()
            .find(|fault| fault.to_string().contains(expected))
            .unwrap_or_else(|| panic!("{custom}: {faults:?}"));
        assert!(fault.line.is_some_and(|found| found >= line), "{fault}");
        assert_eq!(fault.file, "sales/discounts.rego");
    }
}

#[test]
fn a_block_on_a_rule_is_not_the_packages() {
    let (metadata, faults) = read_text(
        "package crm.a.b\n\n# METADATA\n# title: One rule\ndeny contains \"x\" if true\n",
    );
    assert_eq!(faults, []);
    assert!(metadata.is_none());
    let (_, faults) = read_text(
        "package crm.a.b\n# METADATA\n# custom: {owner: a}\ndeny contains \"x\" if true\n",
    );
    assert!(faults[0].message.contains("on a rule"));
}

#[test]
fn two_blocks_are_a_fault() {
    let (_, faults) = read_text(&format!(
        "{WHOLE}\n{}",
        WHOLE.replace("package crm.sales.discounts", "")
    ));
    assert!(faults[0].message.contains("already"), "{faults:?}");
}

#[test]
fn yaml_that_is_not_yaml_is_named_with_its_line() {
    let (_, faults) = read_text("# METADATA\n# title: [\n# x: }\npackage crm.a.b\n");
    assert!(faults[0].message.contains("not YAML"), "{faults:?}");
    assert!(faults[0].line.unwrap() >= 2);
}

#[test]
fn a_layer_of_one_connection_names_no_others() {
    let source = Source {
        path: "a.rego".into(),
        text: WHOLE.into(),
    };
    let mut faults = Vec::new();
    read(&source, Layer::Connection, &mut faults);
    let text: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(text.iter().any(|t| t.contains("`connections`")), "{text:?}");
    assert!(text.iter().any(|t| t.contains("`final`")), "{text:?}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(# ?(METADATA|title: x|custom:|  owner: a|  objects: \\[a|[a-z:\\[\\]{}&*! \"'-]{0,12})\n){0,12}package crm.a.b\n") {
        let (metadata, faults) = read_text(&text);
        if let Some(metadata) = metadata {
            prop_assert!(!metadata.operations.is_empty() || !faults.is_empty());
        }
    }
}

#[test]
fn fuzzed_bytes_never_panic() {
    bolero::check!()
        .with_iterations(2000)
        .for_each(|bytes: &[u8]| {
            if let Ok(text) = std::str::from_utf8(bytes) {
                let _ = read_text(text);
                let _ = read_text(&format!(
                    "# METADATA\n# {}\npackage a\n",
                    text.replace('\n', "\n# ")
                ));
            }
        });
}
