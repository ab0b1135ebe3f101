//! Copies of what was in force, so that a start does not need the servers.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The folder of the copies.
#[derive(Debug, Clone)]
pub(super) struct Copies(PathBuf);

/// What is known of a copy.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    /// Where it came from: another address is another bundle.
    source: String,
    etag: Option<String>,
    /// Its length: an archive and a note that were written at different times do not belong
    /// together.
    length: usize,
}

impl Copies {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The copy of a bundle with its `ETag`, when there is one from that source. Whether it is
    /// sound is for whoever opens it.
    pub(super) async fn read(&self, name: &str, source: &str) -> Option<(Bytes, Option<String>)> {
        let (archive, about) = (self.archive(name), self.about(name));
        let read = tokio::task::spawn_blocking(move || {
            let text = std::fs::read(about).ok()?;
            let about: About = serde_json::from_slice(&text).ok()?;
            let archive = std::fs::read(archive).ok()?;
            Some((about, archive))
        });
        let (about, archive) = read.await.ok()??;
        if about.source != source {
            return None;
        }
        let etag = about.etag.filter(|_| about.length == archive.len());
        Some((archive.into(), etag))
    }

    /// Keeps a copy.
    ///
    /// # Errors
    /// When it can't be written; an older copy stays then.
    pub(super) async fn write(
        &self,
        name: &str,
        source: &str,
        archive: &Bytes,
        etag: Option<&str>,
    ) -> std::io::Result<()> {
        let about = About {
            source: source.to_owned(),
            etag: etag.map(str::to_owned),
            length: archive.len(),
        };
        let about = serde_json::to_vec(&about).map_err(std::io::Error::other)?;
        let (to_archive, to_about) = (self.archive(name), self.about(name));
        let (folder, archive) = (self.0.clone(), archive.clone());
        let written = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(folder)?;
            replace(&to_archive, &archive)?;
            replace(&to_about, &about)
        });
        written.await.map_err(std::io::Error::other)?
    }

    fn archive(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.tar.gz"))
    }

    fn about(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.json"))
    }
}

/// Whole or not at all, whatever crashes.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let next = path.with_extension("next");
    let mut file = std::fs::File::create(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(next, path)
}
