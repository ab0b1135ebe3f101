//! What lies where.

use std::collections::BTreeSet;
use std::fs;

use crate::workspace::{root, sources};

const TOP: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "connectors",
    "crates",
    "deploy",
    "examples",
    "policies",
    "rust-toolchain.toml",
    "tests",
];

#[test]
fn the_top_shows_the_product() {
    let found: BTreeSet<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    let known: BTreeSet<String> = TOP.iter().map(|name| (*name).to_owned()).collect();
    let strange: Vec<_> = found.difference(&known).collect();
    assert!(strange.is_empty(), "not part of the top level: {strange:?}");
}

#[test]
fn files_are_plain_and_not_too_long() {
    let mut wrong = Vec::new();
    for group in ["crates", "connectors", "tests"] {
        for (path, text) in sources(&root().join(group)) {
            if path.ends_with("mod.rs") {
                wrong.push(format!(
                    "{}: name the file after its module",
                    path.display()
                ));
            }
            let is_test = path.ends_with("tests.rs")
                || path.iter().any(|part| part == "tests" || part == "benches");
            let lines = text.lines().count();
            if !is_test && lines > 600 {
                wrong.push(format!(
                    "{}: {lines} lines; one room with too much in it",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_top_folder_has_a_guide() {
    for dir in [
        "crates",
        "connectors",
        "policies",
        "tests",
        "examples",
        "deploy",
    ] {
        assert!(
            root().join(dir).join("README.md").exists(),
            "{dir}/README.md is missing"
        );
    }
}
