//! Whatever is written, the linter comes back, and every place that it names is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crmgate_lint::{Findings, check, render, sarif};
use crmgate_policy::{Sources, read_folder};
use proptest::prelude::*;

use crate::support;

/// What one set of files may take, in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn look(sources: &Sources) -> Findings {
    let begun = Instant::now();
    let findings = check(sources, &support::catalogue(), Ok(()));
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    for finding in findings.all() {
        let file = sources.global.iter().find(|s| s.path == finding.file);
        let text = file.map(|source| source.text.as_str());
        if let Some((line, text)) = finding.line.zip(text) {
            let lines = text.lines().count().max(1);
            // What ends too soon is told behind the last line.
            assert!((1..=lines + 1).contains(&(line as usize)), "{finding:?}");
        }
        assert!(!finding.message.is_empty());
        assert!(render(finding, text).lines().count() >= 2);
    }
    assert_eq!(
        sarif(&findings, "policies", "0")["runs"][0]["results"]
            .as_array()
            .map(Vec::len),
        Some(findings.all().len())
    );
    findings
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn hostile_policies_are_looked_at_without_harm() {
    let mut seen = 0;
    for entry in fs::read_dir(repository().join("tests/hostile")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if let Ok(sources) = read_folder(&path) {
                look(&sources);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            look(&Sources::global([("crm/hostile.rego".to_owned(), text)]));
        }
        seen += 1;
    }
    assert!(seen > 20, "{seen} hostile policies");
}

/// A policy with most of the language in it, to cut and splice.
const WHOLE: &str = r#"# METADATA
# title: t
# custom: {owner: t, objects: [contact], operations: [create, update], needs: [related.account]}
package crm.a.b

import data.lib.h as helper
import input.record as rec

default allow := false

allow if not input.record.email

limits := {"a": [1, 2.5, -3], `b`: {"c", "d"}}

deny contains {"code": "x", "message": sprintf("%d", [n])} if {
	some k, v in limits
	n := count([x | some x in v; x != k]) + 1
	every y in v { regex.match(`^[a-z]+$`, y) }
	input.before[k].z == true with input.object as "lead"
	rec.stage in {"a"} | {"b"}
}

patch contains {"op": "set", "field": "title", "value": lower(rec.title)} if is_string(rec.title)

f(x) := y if { y := x * 2 } else := 0
"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_cut_and_spliced_policy_is_looked_at(
        from in 0_usize..900, length in 0_usize..60, to in 0_usize..900, noise in "[ -~\n\té]{0,6}",
    ) {
        let chars: Vec<char> = WHOLE.chars().collect();
        let from = from.min(chars.len());
        let cut: String = chars[from..(from + length).min(chars.len())].iter().collect();
        let mut text: Vec<char> = chars.clone();
        let at = to.min(text.len());
        text.splice(at..at, cut.chars().chain(noise.chars()));
        look(&Sources::global([("crm/a/b.rego".to_owned(), text.into_iter().collect())]));
    }
}

/// Many packages: what is looked at by pairs must not take for ever.
#[test]
fn hundreds_of_packages_are_looked_at_in_a_moment() {
    let files = (0..300).map(|number| {
        let text = WHOLE.replace("crm.a.b", &format!("crm.a.b{number}"));
        (format!("crm/a/b{number}.rego"), text)
    });
    look(&Sources::global(files));
}
