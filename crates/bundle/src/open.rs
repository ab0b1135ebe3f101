//! From the bytes of an archive to a checked bundle.

use crmgate_policy::{FileKind, Source};
use sha2::{Digest, Sha256};

use crate::archive::{self, Entry};
use crate::manifest::Manifest;
use crate::path::base;
use crate::{BundleError, Limits, Verification, signature, unfold};

/// What to make of signatures.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// The bundle must be signed by a key of these, and every file must be what was signed.
    Signed(&'a Verification),
    /// No keys are configured: a bundle that is signed is refused, because nobody can tell by
    /// whom.
    Unsigned,
    /// Only to be looked at, never to judge by.
    Anyone,
}

/// A bundle that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Policies, data, parameters; paths below the bundle's root.
    pub files: Vec<Source>,
    /// The id of the key that verified it.
    pub signed_by: Option<String>,
    /// SHA-256 of the archive.
    pub digest: String,
    /// What it holds in vain.
    pub warnings: Vec<String>,
}

/// Reads, verifies and checks an archive.
///
/// # Errors
/// The first thing that is wrong, by its place.
pub fn open(archive: &[u8], trust: Trust<'_>, limits: &Limits) -> Result<Bundle, BundleError> {
    let mut entries = archive::unpack(archive, limits)?;
    let signatures = take(&mut entries, signature::FILE);
    supported(&entries)?;
    let signed_by = believe(signatures.as_ref(), &entries, trust)?;
    let manifest = match take(&mut entries, ".manifest") {
        Some(entry) => Manifest::parse(&entry.bytes)?,
        None => Manifest::none(),
    };
    let warnings = in_vain(&mut entries, &manifest);
    let files = sources(entries)?;
    let files = unfold::params(files)?;
    unfold::inside(&files, &manifest.roots)?;
    Ok(Bundle {
        manifest,
        files,
        signed_by,
        digest: hex::encode(Sha256::digest(archive)),
        warnings,
    })
}

fn take(entries: &mut Vec<Entry>, path: &str) -> Option<Entry> {
    let at = entries.iter().position(|entry| entry.path == path)?;
    Some(entries.remove(at))
}

fn believe(
    signatures: Option<&Entry>,
    entries: &[Entry],
    trust: Trust<'_>,
) -> Result<Option<String>, BundleError> {
    match (signatures, trust) {
        (_, Trust::Anyone) | (None, Trust::Unsigned) => Ok(None),
        (Some(signatures), Trust::Signed(verification)) => {
            signature::verify(&signatures.bytes, entries, verification).map(Some)
        }
        (None, Trust::Signed(_)) => Err(BundleError::signature(
            "the bundle is not signed, and keys are configured",
        )),
        (Some(_), Trust::Unsigned) => Err(BundleError::signature(
            "the bundle is signed, and no key is configured to verify it with",
        )),
    }
}

/// Refuses forms of bundle by name, before their content is looked at.
fn supported(entries: &[Entry]) -> Result<(), BundleError> {
    let refuse = |what: String, remedy: &str| {
        Err(BundleError::Unsupported {
            what,
            remedy: remedy.to_owned(),
        })
    };
    for entry in entries {
        let name = base(&entry.path);
        if name == "patch.json" {
            let what = format!("`/{}` makes this a delta bundle", entry.path);
            return refuse(
                what,
                "serve whole bundles (snapshots): deltas can't be signed",
            );
        }
        if name == ".manifest.pb" {
            return refuse(
                format!("`/{}` is a manifest in protobuf", entry.path),
                "build the bundle with a manifest in JSON",
            );
        }
        // OPA takes these wherever they stand.
        let strays = (entry.path.ends_with(".manifest") && entry.path != ".manifest")
            || name == signature::FILE;
        if strays {
            let problem = "expected it at the bundle's root, and only there";
            return Err(BundleError::entry(format!("/{}", entry.path), problem));
        }
    }
    Ok(())
}

/// Drops what OPA would run and crmgate does not, and says so.
fn in_vain(entries: &mut Vec<Entry>, manifest: &Manifest) -> Vec<String> {
    let mut warnings = Vec::new();
    if manifest.modules > 0 {
        warnings
            .push("the manifest's `wasm` entry points are ignored: crmgate evaluates Rego".into());
    }
    entries.retain(|entry| {
        let vain = matches!(base(&entry.path), "policy.wasm" | "plan.json" | "plan.pb");
        if vain {
            warnings.push(format!(
                "`/{}` is ignored: crmgate evaluates Rego",
                entry.path
            ));
        }
        !vain
    });
    warnings
}

fn sources(entries: Vec<Entry>) -> Result<Vec<Source>, BundleError> {
    let mut files = Vec::new();
    let mut policies_or_data = false;
    for Entry { path, bytes } in entries {
        let kind = FileKind::of(&path);
        if !kind.counts() {
            continue;
        }
        let told = format!("/{path}");
        if path.starts_with("connections/") {
            let problem = "a bundle is one layer; give the connection a bundle of its own \
                           (`connection` in `policies.bundles`)";
            return Err(BundleError::entry(told, problem));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| BundleError::entry(&told, "the file is not UTF-8"))?;
        policies_or_data |= matches!(kind, FileKind::Rego | FileKind::Data | FileKind::Params);
        files.push(Source { path, text });
    }
    if policies_or_data {
        Ok(files)
    } else {
        // What an empty archive would mean is that nothing governs any more.
        Err(BundleError::Archive(
            "it holds no policy and no data".to_owned(),
        ))
    }
}
