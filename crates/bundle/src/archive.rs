//! `.tar.gz` in and out.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use tar::EntryType;

use crate::{BundleError, Limits, path};

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Below the root, without a slash before it.
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

/// Every file, in the archive's order.
pub(crate) fn unpack(archive: &[u8], limits: &Limits) -> Result<Vec<Entry>, BundleError> {
    let raw = gunzip(archive, limits)?;
    let broken = |error: std::io::Error| BundleError::Archive(error.to_string());
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    let mut count = 0;
    for entry in tar::Archive::new(raw.as_slice())
        .entries()
        .map_err(broken)?
    {
        let mut entry = entry.map_err(broken)?;
        count += 1;
        if count > limits.entries {
            return Err(BundleError::Limit {
                what: "the number of entries".to_owned(),
                limit: limits.entries.to_string(),
            });
        }
        let Some(path) = file(&entry)? else { continue };
        if entry.size() > limits.file as u64 {
            return Err(BundleError::Limit {
                what: format!("the file `/{path}`"),
                limit: format!("{} bytes", limits.file),
            });
        }
        if !names.insert(path.clone()) {
            return Err(BundleError::entry(
                format!("/{path}"),
                "the archive has it twice",
            ));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(broken)?;
        if bytes.len() as u64 != entry.size() {
            return Err(BundleError::entry(format!("/{path}"), "it breaks off"));
        }
        found.push(Entry { path, bytes });
    }
    Ok(found)
}

/// Unpacks wholly before anything is believed: the checksum stands at the end.
fn gunzip(archive: &[u8], limits: &Limits) -> Result<Vec<u8>, BundleError> {
    if archive.len() > limits.archive {
        return Err(BundleError::Limit {
            what: "the archive".to_owned(),
            limit: format!("{} bytes", limits.archive),
        });
    }
    let most = limits.unpacks_to(archive.len());
    let mut raw = Vec::new();
    MultiGzDecoder::new(archive)
        .take(most as u64 + 1)
        .read_to_end(&mut raw)
        .map_err(|error| BundleError::Archive(error.to_string()))?;
    if raw.len() > most {
        return Err(BundleError::Limit {
            what: "the archive's content".to_owned(),
            limit: format!("{most} bytes for an archive of {} bytes", archive.len()),
        });
    }
    Ok(raw)
}

/// The path of a file, nothing for a folder, a fault for everything else.
fn file<R: std::io::Read>(entry: &tar::Entry<'_, R>) -> Result<Option<String>, BundleError> {
    let raw = entry.path_bytes();
    let told = || String::from_utf8_lossy(&raw).into_owned();
    let refused = |problem: &str| Err(BundleError::entry(told(), problem));
    match entry.header().entry_type() {
        EntryType::Regular => path::clean(&raw)
            .map(Some)
            .map_err(|problem| BundleError::entry(told(), problem)),
        EntryType::Directory => {
            // The root itself, and a slash at the end, are how folders are written.
            let name = raw.strip_suffix(b"/").unwrap_or(&raw);
            if matches!(name, b"" | b".") {
                return Ok(None);
            }
            match path::clean(name) {
                Ok(_) => Ok(None),
                Err(problem) => refused(&problem),
            }
        }
        // A comment that `git archive` writes; it names no file.
        EntryType::XGlobalHeader => Ok(None),
        EntryType::Symlink | EntryType::Link => {
            refused("it is a link: a bundle holds files and folders only")
        }
        _ => refused("it is neither a file nor a folder"),
    }
}

/// Packs files so that equal files make equal archives.
pub(crate) fn pack(files: &[Entry]) -> Result<Vec<u8>, BundleError> {
    let broken = |error: std::io::Error| BundleError::Archive(error.to_string());
    let mut tar = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(file.bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_entry_type(EntryType::Regular);
        tar.append_data(&mut header, &file.path, file.bytes.as_slice())
            .map_err(broken)?;
    }
    let raw = tar.into_inner().map_err(broken)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&raw).map_err(broken)?;
    gzip.finish().map_err(broken)
}
