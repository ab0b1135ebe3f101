//! A file of lines that is rotated.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crmgate_domain::{Ambient, Timestamp};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Sink, SinkError};

#[cfg(test)]
mod tests;

/// When a file is full, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// The file that is written to. Full ones stand beside it, the time of their end in the name.
    pub path: PathBuf,
    /// How long it may get.
    pub rotate_size: u64,
    /// How old it may get.
    pub rotate_age: Duration,
    /// Whether full ones are compressed.
    pub gzip: bool,
    /// How many full ones are kept; the oldest go first. `None` keeps all.
    pub keep: Option<usize>,
}

/// Appends events to a file, on disk before it says so.
pub struct FileSink {
    settings: FileSettings,
    ambient: Arc<dyn Ambient>,
    open: Option<Open>,
    /// Whether full files may stand there that are to be compressed or removed.
    untidy: bool,
    /// What was last told of putting files away, so that it is told once.
    told: Option<String>,
}

/// The file that is written to.
struct Open {
    file: File,
    /// How far it is whole: behind the last line that is on disk.
    length: u64,
    since: Timestamp,
}

impl FileSink {
    /// Over a file, which is made with its folder where it is not there.
    #[must_use]
    pub fn new(settings: FileSettings, ambient: Arc<dyn Ambient>) -> Self {
        Self {
            settings,
            ambient,
            open: None,
            untidy: true,
            told: None,
        }
    }

    fn append(&mut self, events: &[Vec<u8>]) -> io::Result<usize> {
        if self.is_full() {
            self.rotate()?;
        }
        let mut open = match self.open.take() {
            // What others moved away or deleted is theirs; the next lines go where they are looked for.
            Some(open) if still_there(&open.file, &self.settings.path) => open,
            _ => self.opened()?,
        };
        let mut lines = Vec::new();
        let mut taken = 0;
        for event in events {
            let room = self.settings.rotate_size.saturating_sub(open.length);
            // An event that is longer than a whole file gets one of its own.
            if taken > 0 && (lines.len() + event.len()) as u64 >= room {
                break;
            }
            lines.extend_from_slice(event);
            lines.push(b'\n');
            taken += 1;
        }
        let written = open
            .file
            .write_all(&lines)
            .and_then(|()| open.file.sync_data());
        match written {
            Ok(()) => {
                open.length += lines.len() as u64;
                self.open = Some(open);
                Ok(taken)
            }
            // Half a line may stand there: opening it again cuts it off.
            Err(error) => Err(error),
        }
    }

    fn is_full(&self) -> bool {
        self.open.as_ref().is_some_and(|open| {
            let age = self.ambient.now().duration_since(open.since);
            let old = Duration::try_from(age).is_ok_and(|age| age >= self.settings.rotate_age);
            open.length > 0 && (old || open.length >= self.settings.rotate_size)
        })
    }

    /// Opens the file, and cuts off what a crash or a full disk left of a line.
    fn opened(&self) -> io::Result<Open> {
        let path = &self.settings.path;
        let folder = folder(path);
        fs::create_dir_all(folder)?;
        let mut file = private().read(true).append(true).create(true).open(path)?;
        let length = whole(&mut file)?;
        file.set_len(length)?;
        file.sync_all()?;
        sync_folder(folder)?;
        let born = file.metadata()?.created().ok();
        let since = born.and_then(|born| Timestamp::try_from(born).ok());
        let now = self.ambient.now();
        Ok(Open {
            file,
            length,
            since: since
                .filter(|since| length > 0 && *since < now)
                .unwrap_or(now),
        })
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.open.take().is_none() {
            return Ok(());
        }
        let path = &self.settings.path;
        let stamp = self
            .ambient
            .now()
            .strftime("%Y%m%dT%H%M%S%.3fZ")
            .to_string();
        // Numbered, so that names sort as the files ended even within one moment.
        let free = (0..10_000).map(|number| beside(path, &format!("{stamp}-{number:04}")));
        let target = free
            .into_iter()
            .find(|it| !it.exists() && !with_gz(it).exists());
        let target = target.ok_or_else(|| io::Error::other("too many files of one moment"))?;
        fs::rename(path, &target)?;
        self.untidy = true;
        sync_folder(folder(path))
    }

    /// Compresses full files and removes those beyond the number to keep. What fails here is tried
    /// again: nothing is lost by it but room.
    fn tidy(&mut self) -> io::Result<()> {
        if !self.untidy {
            return Ok(());
        }
        let mut full = self.full_files()?;
        if self.settings.gzip {
            for file in &mut full {
                if file.extension().is_none_or(|extension| extension != "gz") {
                    *file = compress(file)?;
                }
            }
        }
        full.sort();
        let keep = self.settings.keep.unwrap_or(usize::MAX);
        let beyond = full.len().saturating_sub(keep);
        full.iter().take(beyond).try_for_each(fs::remove_file)?;
        self.untidy = false;
        Ok(())
    }

    fn full_files(&self) -> io::Result<Vec<PathBuf>> {
        let path = &self.settings.path;
        let (stem, extension) = parts(path);
        let mut found = Vec::new();
        let entries = match fs::read_dir(folder(path)) {
            Ok(entries) => entries,
            // The folder is made with its first file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let file = entry?.path();
            let name = file.file_name().map(|name| name.to_string_lossy());
            let Some(name) = name else { continue };
            let bare = name.strip_suffix(".gz").unwrap_or(&name);
            let stamp = bare
                .strip_prefix(&format!("{stem}-"))
                .and_then(|rest| rest.strip_suffix(&extension));
            if stamp.is_some_and(is_stamp) {
                found.push(file);
            }
        }
        found.sort();
        Ok(found)
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn take(&mut self, events: &[Vec<u8>]) -> Result<usize, SinkError> {
        // A sync takes as long as the disk wants; this task has nothing else to do.
        tokio::task::yield_now().await;
        let taken = blocking(|| self.append(events));
        taken.map_err(|error| {
            let path = self.settings.path.display();
            SinkError::new(format!("`{path}`: {error}"))
        })
    }

    async fn idle(&mut self) {
        let tidied = blocking(|| {
            if self.is_full() {
                self.rotate()?;
            }
            self.tidy()
        });
        let problem = tidied.err().map(|error| error.to_string());
        if problem == self.told {
            return;
        }
        if let Some(error) = &problem {
            let path = self.settings.path.display().to_string();
            tracing::warn!(
                path,
                error,
                "a full file of the decision log could not be put away"
            );
        }
        self.told = problem;
    }
}

/// Lets other tasks go on elsewhere, where there is an elsewhere.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    let threads = Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if threads {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// Files that others do not read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o640);
    }
    options
}

/// Whether a path still leads to the file that was opened under it.
#[cfg(unix)]
fn still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let same = |one: fs::Metadata, other: fs::Metadata| {
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    };
    file.metadata()
        .is_ok_and(|one| fs::metadata(path).is_ok_and(|other| same(one, other)))
}

/// An open file can be neither moved nor deleted there.
#[cfg(not(unix))]
fn still_there(_: &File, _: &Path) -> bool {
    true
}

/// How far a file holds whole lines.
fn whole(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut block = [0_u8; 4096];
    while end > 0 {
        let from = end.saturating_sub(block.len() as u64);
        let size = usize::try_from(end - from).unwrap_or(block.len());
        let Some(part) = block.get_mut(..size) else {
            break;
        };
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

fn compress(file: &Path) -> io::Result<PathBuf> {
    let target = with_gz(file);
    let half = target.with_extension("gz.part");
    let mut source = File::open(file)?;
    let packed = private()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&half)?;
    let mut encoder = GzEncoder::new(packed, Compression::default());
    io::copy(&mut source, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(&half, &target)?;
    fs::remove_file(file)?;
    sync_folder(folder(file))?;
    Ok(target)
}

fn with_gz(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".gz");
    PathBuf::from(name)
}

fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// `decisions` and `.ndjson`.
fn parts(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>| {
        part.map_or_else(String::new, |part| part.to_string_lossy().into_owned())
    };
    let extension = text(path.extension());
    let extension = if extension.is_empty() {
        extension
    } else {
        format!(".{extension}")
    };
    (text(path.file_stem()), extension)
}

fn beside(path: &Path, stamp: &str) -> PathBuf {
    let (stem, extension) = parts(path);
    folder(path).join(format!("{stem}-{stamp}{extension}"))
}

fn is_stamp(text: &str) -> bool {
    text.len() >= 16
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'T' | b'Z' | b'.' | b'-'))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
