//! The demo's folder: made new at every start, and never another's.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// Says that a folder is a demo's, which may be cleared.
const MARKER: &str = ".crmgate-demo-folder";

/// A cleared and locked folder. The lock ends with the value, or with the process.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the folder: makes it, or clears it when it is a demo's and no demo uses it.
    ///
    /// # Errors
    /// When it holds something else than a demo's data, another demo uses it, or the disk says no.
    pub(crate) fn take(path: &Path) -> Result<Self, Failure> {
        let fault = |error: std::io::Error| {
            let problem = format!("the demo's folder `{}`: {error}", path.display());
            Failure::new(Exit::System, problem)
        };
        fs::create_dir_all(path).map_err(fault)?;
        let path = path.canonicalize().map_err(fault)?;
        let marker = path.join(MARKER);
        let empty = fs::read_dir(&path).map_err(fault)?.next().is_none();
        if !empty && !marker.is_file() {
            let problem = format!(
                "the folder `{}` is not a demo's and will not be cleared: name another by \
                 `--data-dir`",
                path.display()
            );
            return Err(Failure::new(Exit::Usage, problem));
        }
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&marker)
            .map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem = format!("another demo is using `{}`", path.display());
                return Err(Failure::new(Exit::System, problem));
            }
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
        clear(&path).map_err(fault)?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn clear(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name() == MARKER {
            continue;
        }
        // A link is removed, never followed: what it points to is not ours.
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_demos_own_folder_is_cleared_and_only_by_one_demo() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/demo");
        let taken = Folder::take(&path).unwrap();
        fs::write(taken.path().join("old"), "x").unwrap();
        fs::create_dir(taken.path().join("deep")).unwrap();
        let second = Folder::take(&path).unwrap_err();
        assert_eq!(second.exit, Exit::System);
        assert!(path.join("old").exists());
        drop(taken);
        let again = Folder::take(&path).unwrap();
        assert!(!path.join("old").exists());
        assert!(!path.join("deep").exists());
        drop(again);

        let precious = dir.path().join("precious");
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("thesis"), "years").unwrap();
        let refused = Folder::take(&precious).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        assert!(precious.join("thesis").exists());
    }
}
