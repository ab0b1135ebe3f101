//! Whether what the gate writes can be written where the configuration says.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use super::{Line, Verdict};
use crate::config::Config;
use crate::config::decision_log::Target;

/// What is written to see whether it can be.
const TRIAL: &str = ".crmgate-check";

/// Folders and files that could not be written.
pub(super) fn faults(config: &Config) -> Vec<Line> {
    let data = made(&config.data_dir).err();
    let data = data.map(|error| fault("data_dir", &config.data_dir, &error));
    let checkpoints = config.record.checkpoint_file.iter().filter_map(|file| {
        // Its folder is not made: a disk that is not mounted must not go unseen.
        let error = written(folder(file)).err()?;
        Some(fault("record.checkpoint_file", file, &error))
    });
    let sinks = config.decision_log.sinks.iter().filter_map(|(name, sink)| {
        let Target::File(settings) = &sink.target else {
            return None;
        };
        let error = made(folder(&settings.path)).err()?;
        let setting = format!("decision_log.sinks.{name}.path");
        Some(fault(&setting, &settings.path, &error))
    });
    data.into_iter().chain(checkpoints).chain(sinks).collect()
}

fn fault(setting: &str, path: &Path, error: &io::Error) -> Line {
    let path = path.display();
    // The gate may run as somebody who has the right.
    if error.kind() == io::ErrorKind::PermissionDenied {
        let message = format!("`{path}` cannot be written by who runs this check: {error}");
        return Line::new(Verdict::Warning, "files", setting, message);
    }
    let message = format!("`{path}` cannot be written: {error}");
    Line::new(Verdict::Fault, "files", setting, message)
}

fn folder(file: &Path) -> &Path {
    file.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Whether a folder can be written, or made where it is not there.
fn made(folder: &Path) -> io::Result<()> {
    let there = folder.ancestors().find(|one| one.exists());
    let there = there.filter(|one| !one.as_os_str().is_empty());
    written(there.unwrap_or(Path::new(".")))
}

/// Only trying tells: rights, quotas and disks that are mounted for reading alone.
fn written(folder: &Path) -> io::Result<()> {
    let trial = folder.join(TRIAL);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&trial)?;
    fs::remove_file(&trial)
}
