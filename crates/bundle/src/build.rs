//! Builds bundles that OPA loads and verifies.

use std::collections::BTreeMap;

use crmgate_domain::{Document, Object};
use crmgate_policy::{FileKind, Source};
use sha2::{Digest, Sha256};

use crate::archive::{self, Entry};
use crate::path::folder;
use crate::signature::{self, Claims};
use crate::unfold::{PARAMS, merge, object, places};
use crate::{Bundle, BundleError, Limits, Root, Roots, SigningKey, Trust, Verification, open};

/// How a bundle is built.
#[derive(Debug, Default)]
pub struct BuildOptions<'a> {
    /// What to call this version; a hash of the content without.
    pub revision: Option<&'a str>,
    /// What the bundle owns; what its files need without.
    pub roots: Option<Vec<Root>>,
    /// How to sign it; unsigned without.
    pub signing: Option<Signing<'a>>,
}

/// How a bundle is signed.
#[derive(Debug)]
pub struct Signing<'a> {
    /// The key.
    pub key: &'a SigningKey,
    /// The text the key was read from: an HMAC secret verifies what it signed.
    pub text: &'a str,
    /// The key's id, as the verifier's configuration names it.
    pub keyid: &'a str,
    /// The signature's `scope`; none when empty.
    pub scope: &'a str,
    /// When, in seconds since 1970.
    pub issued_at: Option<i64>,
}

/// A bundle and its archive.
#[derive(Debug)]
pub struct Built {
    /// The archive: the same for the same files and options, up to the signature's time.
    pub archive: Vec<u8>,
    /// What [`open`] makes of it.
    pub bundle: Bundle,
}

/// Packs the files of one layer: policies as they are, data as JSON, parameters with their schema,
/// and once more as `data.params`, where OPA looks for them.
///
/// # Errors
/// When the files make no bundle: what [`open`] would say of it.
pub fn build(files: &[Source], options: &BuildOptions<'_>) -> Result<Built, BundleError> {
    let mut entries = layout(files)?;
    let revision = options
        .revision
        .map_or_else(|| fingerprint(&entries), str::to_owned);
    let roots = match &options.roots {
        Some(roots) => Roots::new(roots.clone()).map_err(BundleError::Manifest)?,
        None => needed(files)?,
    };
    let roots: Vec<String> = roots.iter().map(ToString::to_string).collect();
    let manifest = serde_json::json!({"revision": revision, "roots": roots, "rego_version": 1});
    entries.insert(
        0,
        Entry {
            path: ".manifest".to_owned(),
            bytes: manifest.to_string().into_bytes(),
        },
    );
    let mut verification = Verification::default();
    if let Some(signing) = &options.signing {
        let claims = Claims {
            keyid: signing.keyid,
            scope: signing.scope,
            issued_at: signing.issued_at,
        };
        let bytes = signature::sign(&entries, signing.key, &claims)?;
        let path = signature::FILE.to_owned();
        entries.push(Entry { path, bytes });
        let key = signing.key.verification(signing.text);
        verification.keys.insert(signing.keyid.to_owned(), key);
        verification.scope = Some(signing.scope.to_owned());
    }
    let archive = archive::pack(&entries)?;
    let trust = if options.signing.is_some() {
        Trust::Signed(&verification)
    } else {
        Trust::Unsigned
    };
    // What is handed out is known to open.
    let bundle = open(&archive, trust, &Limits::default())?;
    Ok(Built { archive, bundle })
}

fn layout(files: &[Source]) -> Result<Vec<Entry>, BundleError> {
    let mut entries = Vec::new();
    let mut data: BTreeMap<String, Object> = BTreeMap::new();
    for source in files {
        let folder = folder(&source.path).join("/");
        match FileKind::of(&source.path) {
            // JSON, because OPA and crmgate read some words of YAML differently.
            FileKind::Data => {
                let held = data.entry(folder).or_default();
                merge(held, &object(source)?, &source.path)?;
            }
            FileKind::Params if !folder.is_empty() => {
                let held = data.entry(PARAMS.to_owned()).or_default();
                merge(held, &object(source)?, &source.path)?;
                entries.push(verbatim(source));
            }
            _ => entries.push(verbatim(source)),
        }
    }
    for (folder, object) in data {
        let name = "data.json";
        entries.push(Entry {
            path: if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            },
            bytes: Document::Object(object).to_json().into_bytes(),
        });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

fn verbatim(source: &Source) -> Entry {
    Entry {
        path: source.path.clone(),
        bytes: source.text.clone().into_bytes(),
    }
}

/// The narrowest roots that follow teams: `crm/<team>`, `params/<team>`, a library's package, a
/// folder of data.
fn needed(files: &[Source]) -> Result<Roots, BundleError> {
    let mut roots = Vec::new();
    for source in files {
        let kind = FileKind::of(&source.path);
        let team = |place: &Root| place.clone().first(2);
        let deeper = |place: &Root| kind == FileKind::Params && *place == Root::parse(PARAMS);
        let at_the_root = |place: &Root| kind == FileKind::Data && *place == Root::parse("");
        for (place, _) in places(source, |place| deeper(place) || at_the_root(place))? {
            let crm = Root::parse("crm").contains(&place);
            roots.push(if crm { team(&place) } else { place });
        }
    }
    Ok(Roots::widest(roots))
}

fn fingerprint(entries: &[Entry]) -> String {
    let mut hash = Sha256::new();
    for entry in entries {
        for part in [entry.path.as_bytes(), &entry.bytes] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hex::encode(hash.finalize()).chars().take(16).collect()
}
