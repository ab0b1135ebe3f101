//! Reads policies from a folder. The only part of the crate that touches a disk.
//!
//! `<root>/<pack>/…` is the global layer, `<root>/connections/<name>/…` a connection's.

use std::io;
use std::path::{Path, PathBuf};

use crmgate_domain::ConnectionName;

use crate::precheck::MAX_BYTES;
use crate::source::FileKind;
use crate::{LoadError, LoadErrors, Source, Sources};

/// The folder of the connections' layers.
const CONNECTIONS: &str = "connections";
/// Folders inside one another; links that lead round in circles end here.
const MAX_DEPTH: usize = 8;
/// Files that are read.
const MAX_FILES: usize = 20_000;

/// Reads every file below `root` that a policy set is made of.
///
/// # Errors
/// When the folder or a file can't be read, a file is too large or not UTF-8, or a folder below
/// `connections` is not named like a connection. What is wrong with a connection's layer is told
/// in its sources.
pub fn read_folder(root: &Path) -> Result<Sources, LoadErrors> {
    read_kinds(root, FileKind::counts)
}

/// Reads every file of Rego tests below `root`.
///
/// # Errors
/// As for [`read_folder`].
pub fn read_tests(root: &Path) -> Result<Sources, LoadErrors> {
    read_kinds(root, |kind| kind == FileKind::RegoTest)
}

fn read_kinds(root: &Path, wanted: impl Fn(FileKind) -> bool) -> Result<Sources, LoadErrors> {
    let mut found = Vec::new();
    let mut faults = Vec::new();
    walk(root, String::new(), &mut found, &mut faults);
    let mut sources = Sources::default();
    for fault in std::mem::take(&mut faults) {
        match split(&fault.file) {
            Ok((Some(name), _)) => of(&mut sources, &name, fault),
            _ => faults.push(fault),
        }
    }
    for (path, file) in found {
        let (connection, below) = match split(&path) {
            Ok(split) => split,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        if !wanted(FileKind::of(&below)) {
            continue;
        }
        let text = match read(&file) {
            Ok(text) => text,
            Err(error) => {
                let fault = LoadError::file("unreadable", &path, error.to_string());
                match &connection {
                    Some(name) => of(&mut sources, name, fault),
                    None => faults.push(fault),
                }
                continue;
            }
        };
        let source = Source { path: below, text };
        match connection {
            None => sources.global.push(source),
            Some(name) => sources
                .connections
                .entry(name)
                .or_default()
                .files
                .push(source),
        }
    }
    match LoadErrors::new(faults) {
        None => Ok(sources),
        Some(errors) => Err(errors),
    }
}

/// What cannot be read of a connection's layer is that connection's affair.
fn of(sources: &mut Sources, name: &ConnectionName, fault: LoadError) {
    let connection = sources.connections.entry(name.clone()).or_default();
    connection.faults.push(fault.of(name));
}

/// The connection whose layer a path belongs to, and the path below that layer.
fn split(path: &str) -> Result<(Option<ConnectionName>, String), LoadError> {
    let Some(rest) = path
        .strip_prefix(CONNECTIONS)
        .and_then(|rest| rest.strip_prefix('/'))
    else {
        return Ok((None, path.to_owned()));
    };
    let Some((name, below)) = rest.split_once('/') else {
        let plain = LoadError::file("connection", path, "a file directly below `connections`");
        return if FileKind::of(rest).counts() {
            Err(plain.remedy("put it below `connections/<name>/`"))
        } else {
            Ok((None, rest.to_owned()))
        };
    };
    match name.parse() {
        Ok(name) => Ok((Some(name), below.to_owned())),
        Err(error) => {
            let error: crmgate_domain::ids::BadConnectionName = error;
            Err(LoadError::file("connection", path, error.to_string()))
        }
    }
}

fn walk(
    folder: &Path,
    below: String,
    found: &mut Vec<(String, PathBuf)>,
    faults: &mut Vec<LoadError>,
) {
    let mut open = vec![(folder.to_owned(), below, 0)];
    while let Some((folder, below, depth)) = open.pop() {
        let entries = match std::fs::read_dir(&folder).and_then(Iterator::collect) {
            Ok(entries) => entries,
            Err(error) => {
                let shown = if below.is_empty() {
                    folder.display().to_string()
                } else {
                    below
                };
                faults.push(LoadError::file("unreadable", &shown, error.to_string()));
                continue;
            }
        };
        let mut entries: Vec<std::fs::DirEntry> = entries;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if below.is_empty() {
                name.clone()
            } else {
                format!("{below}/{name}")
            };
            // Dotfiles are other tools' own; `..data` is how mounted volumes are swapped.
            if name.starts_with('.') {
                continue;
            }
            if entry.path().is_dir() {
                if depth < MAX_DEPTH {
                    open.push((entry.path(), path, depth + 1));
                } else {
                    let message = format!("folders nest deeper than {MAX_DEPTH}");
                    faults.push(LoadError::file("limit", &path, message));
                }
            } else if found.len() < MAX_FILES {
                found.push((path, entry.path()));
            } else {
                let message = format!("more than {MAX_FILES} files");
                faults.push(LoadError::file("limit", &path, message));
                return;
            }
        }
    }
}

fn read(file: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut bytes = Vec::new();
    // Data may be larger than a policy; beyond this it belongs into a lookup.
    let most = MAX_BYTES as u64 * 16;
    // Opening a pipe would wait for whoever writes into it, and everybody's policies with it.
    if !std::fs::metadata(file)?.is_file() {
        return Err(io::Error::other("this is no ordinary file"));
    }
    std::fs::File::open(file)?
        .take(most + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!(
            "the file has more than {most} bytes"
        )));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("the file is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, bytes: &[u8]) {
        let file = root.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn what_is_no_file_is_that_layers_fault_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            "sales/discounts.rego",
            b"package crm.sales.discounts",
        );
        let layer = dir.path().join("connections/acme-sf/own");
        std::fs::create_dir_all(&layer).unwrap();
        std::os::unix::fs::symlink("/dev/zero", layer.join("endless.rego")).unwrap();
        let pipe = std::process::Command::new("mkfifo")
            .arg(layer.join("data.yaml"))
            .status();
        let sources = read_folder(dir.path()).unwrap();
        assert_eq!(sources.global.len(), 1);
        let layer = sources.connections.values().next().unwrap();
        let faults = layer.faults.iter().map(ToString::to_string);
        let found = faults.filter(|fault| fault.contains("this is no ordinary file"));
        let expected = if pipe.is_ok_and(|done| done.success()) {
            2
        } else {
            1
        };
        assert_eq!(found.count(), expected, "{:?}", layer.faults);
    }

    #[test]
    fn layers_are_told_by_their_folders() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            "sales/discounts.rego",
            b"package crm.sales.discounts",
        );
        write(dir.path(), "sales/cases/a.yaml", b"[]");
        write(dir.path(), "sales/README.md", b"x");
        write(dir.path(), ".git/config.yaml", b"x");
        write(
            dir.path(),
            "connections/acme-sf/own/x.rego",
            b"package crm.own.x",
        );
        write(dir.path(), "connections/README.md", b"x");
        let sources = read_folder(dir.path()).unwrap();
        let paths: Vec<&str> = sources.global.iter().map(|s| s.path.as_str()).collect();
        assert_eq!(paths, ["sales/discounts.rego"]);
        let own = &sources.connections[&"acme-sf".parse().unwrap()];
        assert_eq!(own.files[0].path, "own/x.rego");
    }

    #[test]
    fn what_cannot_be_read_of_a_connection_is_its_own_affair() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a/x.rego", b"package a");
        write(dir.path(), "connections/acme-sf/b/x.rego", b"package \xff");
        let sources = read_folder(dir.path()).unwrap();
        assert_eq!(sources.global.len(), 1);
        let (name, own) = sources.connections.first_key_value().unwrap();
        assert_eq!(own.faults[0].connection.as_ref(), Some(name));
        assert_eq!(own.faults[0].file, "connections/acme-sf/b/x.rego");
        let errors = crate::PolicySet::load(&sources).unwrap_err();
        assert!(errors.to_string().contains("is not UTF-8"), "{errors}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a/x.rego", b"package \xff");
        write(dir.path(), "connections/ACME/x.rego", b"");
        write(dir.path(), "connections/x.rego", b"");
        let told = read_folder(dir.path()).unwrap_err().to_string();
        assert!(told.contains("a/x.rego: the file is not UTF-8"), "{told}");
        assert!(told.contains("`ACME` is not a connection name"), "{told}");
        assert!(told.contains("connections/x.rego: "), "{told}");
        assert!(read_folder(&dir.path().join("none")).is_err());
    }
}
