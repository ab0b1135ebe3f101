//! Each kind of mistake, made once on purpose, beside what looks alike and is none.
//!
//! A file, or a folder, of `findings/` is one policy set. A line that something is found on ends
//! in `# finds <code>, …`; on every other line nothing may be found. What is said is kept as a
//! snapshot, to be read as a stranger would.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crmgate_lint::{Findings, Level, check, render};
use crmgate_policy::{PolicySet, Sources, read_folder};

use crate::support;

type Place = (String, u32, String);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/findings")
}

/// One policy set, by name.
fn sets() -> Vec<(String, Sources)> {
    let mut entries: Vec<_> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    entries
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let sources = if path.is_dir() {
                read_folder(&path).unwrap()
            } else {
                Sources::global([(format!("{name}.rego"), fs::read_to_string(&path).unwrap())])
            };
            (name, sources)
        })
        .collect()
}

fn look(sources: &Sources) -> Findings {
    let loaded = PolicySet::load(sources);
    check(sources, &support::catalogue(), loaded.as_ref().map(drop))
}

/// Every file of a set under the name that findings have.
fn files(sources: &Sources) -> Vec<(String, &str)> {
    let global = sources
        .global
        .iter()
        .map(|s| (s.path.clone(), s.text.as_str()));
    let own = sources.connections.iter().flat_map(|(name, own)| {
        own.files
            .iter()
            .map(move |s| (format!("connections/{name}/{}", s.path), s.text.as_str()))
    });
    global.chain(own).collect()
}

fn expected(sources: &Sources) -> BTreeSet<Place> {
    let mut all = BTreeSet::new();
    for (file, text) in files(sources) {
        for (index, line) in text.lines().enumerate() {
            let Some((_, codes)) = line.split_once("# finds ") else {
                continue;
            };
            let number = u32::try_from(index + 1).unwrap();
            for code in codes.split(',') {
                all.insert((file.clone(), number, code.trim().to_owned()));
            }
        }
    }
    all
}

fn told(sources: &Sources, findings: &Findings) -> String {
    let texts = files(sources);
    let text = |file: &str| texts.iter().find(|(name, _)| name == file).map(|(_, t)| *t);
    let all: Vec<String> = findings
        .all()
        .iter()
        .map(|finding| render(finding, text(&finding.file)))
        .collect();
    all.join("\n")
}

#[test]
fn each_mistake_is_found_and_what_looks_alike_is_not() {
    let mut wrong = Vec::new();
    for (name, sources) in sets() {
        let findings = look(&sources);
        let found: BTreeSet<Place> = findings
            .all()
            .iter()
            .map(|f| (f.file.clone(), f.line.unwrap_or(0), f.code.to_owned()))
            .collect();
        let expected = expected(&sources);
        for missing in expected.difference(&found) {
            wrong.push(format!("{name}: not found: {missing:?}"));
        }
        for extra in found.difference(&expected) {
            wrong.push(format!("{name}: found, and should not be: {extra:?}"));
        }
        insta::assert_snapshot!(name, told(&sources, &findings));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The codes that the sources know, each in the form `Level::X, "code"`.
fn codes() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let calls = ["Finding::new(", ".finding("].map(|call| text.split(call).skip(1));
        for call in calls.into_iter().flatten() {
            let mut quoted = call.split('"').skip(1).step_by(2);
            let words = |text: &&str| {
                text.len() > 1 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            };
            codes.extend(quoted.next().filter(words).map(str::to_owned));
        }
    }
    codes
}

#[test]
fn every_kind_of_finding_is_made_once_and_documented() {
    let made: BTreeSet<String> = sets()
        .iter()
        .flat_map(|(_, sources)| expected(sources))
        .map(|(_, _, code)| code)
        .collect();
    let documented = include_str!("../../src/lib.rs");
    let codes = codes();
    assert!(codes.len() > 30, "{codes:?}");
    for code in codes {
        assert!(made.contains(&code), "no file of `findings` makes `{code}`");
        let row = format!("//! | `{code}` |");
        assert!(documented.contains(&row), "`{code}` is not documented");
    }
}

#[test]
fn the_policies_that_ship_are_clean() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let sources = read_folder(&policies).unwrap();
    let findings = look(&sources);
    assert!(
        !findings.any(Level::Warning),
        "{}",
        told(&sources, &findings)
    );
}
