//! The workspace as its manifests and sources say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// One crate of ours.
pub(crate) struct Member {
    /// Folder below the root.
    pub(crate) dir: String,
    /// Its own crates that it uses outside tests.
    pub(crate) ours: BTreeSet<String>,
    /// The same with those that its tests use.
    pub(crate) ours_in_tests: BTreeSet<String>,
    /// Foreign crates that it uses outside tests.
    pub(crate) foreign: BTreeSet<String>,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// All members by package name.
pub(crate) fn members() -> BTreeMap<String, Member> {
    let root = root();
    let mut dirs: Vec<String> = vec!["tests".into()];
    for group in ["crates", "connectors"] {
        for entry in fs::read_dir(root.join(group)).unwrap() {
            let path = entry.unwrap().path();
            if path.join("Cargo.toml").exists() {
                dirs.push(format!(
                    "{group}/{}",
                    path.file_name().unwrap().to_str().unwrap()
                ));
            }
        }
    }
    dirs.into_iter().map(|dir| member(&root, dir)).collect()
}

fn member(root: &Path, dir: String) -> (String, Member) {
    let text = fs::read_to_string(root.join(&dir).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let name = manifest["package"]["name"].as_str().unwrap().to_owned();
    let names = |table: &str| -> BTreeSet<String> {
        manifest
            .get(table)
            .and_then(|t| t.as_table())
            .map(|t| t.keys().cloned().collect())
            .unwrap_or_default()
    };
    let is_ours = |name: &String| name.starts_with("crmgate");
    let mut used = names("dependencies");
    used.extend(names("build-dependencies"));
    let (ours, foreign) = used.into_iter().partition(is_ours);
    let mut ours_in_tests: BTreeSet<String> = names("dev-dependencies")
        .into_iter()
        .filter(is_ours)
        .collect();
    ours_in_tests.extend(BTreeSet::clone(&ours));
    (
        name,
        Member {
            dir,
            ours,
            ours_in_tests,
            foreign,
        },
    )
}

/// Every Rust file below a folder, with its text.
pub(crate) fn sources(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// The lines of a source outside comments and outside its `#[cfg(test)]` tail, numbered from 1.
pub(crate) fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
}
