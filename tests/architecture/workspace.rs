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

/// The lines of a source outside comments and tests, numbered from 1: without its items under
/// `#[cfg(test)]`, and without everything from an inline `#[cfg(test)] mod … {` on.
pub(crate) fn code_lines(text: &str) -> Vec<(usize, &str)> {
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
        .peekable();
    let mut code = Vec::new();
    while let Some((number, line)) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            code.push((number, line));
            continue;
        }
        while lines.next_if(|(_, line)| is_attribute(line)).is_some() {}
        if lines.peek().is_some_and(|(_, line)| is_inline_module(line)) {
            break;
        }
        // The layout is rustfmt's: an item ends where its indentation comes back.
        let own = indentation(line);
        for (_, line) in lines.by_ref() {
            if indentation(line) == own && line.trim_end().ends_with([';', '}', ',']) {
                break;
            }
        }
    }
    code
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn is_attribute(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with("#[")
}

fn is_inline_module(line: &str) -> bool {
    let line = line.trim();
    let module = line.starts_with("mod ") || (line.starts_with("pub") && line.contains(" mod "));
    module && line.ends_with('{')
}

#[test]
fn tests_are_no_code_and_what_follows_them_is() {
    let text = "a\n#[cfg(test)]\nmod tests;\nb // c\n#[cfg(test)]\n#[path = \"x\"]\nfn f(\n  x: u8,\n) {\n  d;\n}\n\
                e\n  #[cfg(test)]\n  g: \"{\",\n#[cfg(test)]\nuse f::{\n  g,\n};\nh\n#[cfg(test)]\nmod inline {\n}\nnever\n";
    let lines: Vec<_> = code_lines(text)
        .into_iter()
        .map(|(number, line)| (number, line.trim()))
        .collect();
    assert_eq!(lines, [(1, "a"), (4, "b"), (12, "e"), (19, "h")]);
}
