//! `.signatures.json`: one JWT over the hashes of all files.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::archive::Entry;
use crate::{BundleError, SigningKey, VerificationKey, hash};

/// Where the signature stands in a bundle.
pub(crate) const FILE: &str = ".signatures.json";

/// Whom to believe.
#[derive(Debug, Clone, Default)]
pub struct Verification {
    /// Keys by their id.
    pub keys: BTreeMap<String, VerificationKey>,
    /// The one key that counts; without it, the one that the signature names.
    pub keyid: Option<String>,
    /// What the signature's `scope` must be; without it, the key's own.
    pub scope: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Signatures {
    #[serde(default)]
    signatures: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plugin: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What a reader must understand; none of it is understood here.
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    #[serde(default)]
    files: Vec<FileHash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    scope: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct FileHash {
    name: String,
    hash: String,
    #[serde(default)]
    algorithm: String,
}

/// Verifies the signature and the hash of every file; gives the id of the key.
pub(crate) fn verify(
    signatures: &[u8],
    files: &[Entry],
    verification: &Verification,
) -> Result<String, BundleError> {
    let bad = |problem: String| BundleError::Signature(problem);
    let signatures: Signatures = serde_json::from_slice(signatures)
        .map_err(|error| bad(format!("`/{FILE}` is not as it should be: {error}")))?;
    if let Some(plugin) = signatures.plugin.filter(|plugin| plugin != "_default") {
        return Err(bad(format!(
            "it needs the plugin `{plugin}`, which crmgate has not"
        )));
    }
    let [token] = signatures.signatures.as_slice() else {
        let found = signatures.signatures.len();
        return Err(bad(format!(
            "expected exactly one signature, found {found}"
        )));
    };
    let (keyid, payload) = token_payload(token, verification)?;
    hashes(payload.files, files)?;
    Ok(keyid)
}

fn token_payload(
    token: &str,
    verification: &Verification,
) -> Result<(String, Payload), BundleError> {
    let malformed = || BundleError::signature("the JWT is malformed");
    let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
    let (header, payload) = signed.split_once('.').ok_or_else(malformed)?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed());
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| malformed())?;
    if header.crit.is_some() {
        return Err(BundleError::signature(
            "the JWT demands an extension (`crit`)",
        ));
    }
    // Read for the id of its key alone until the signature is verified.
    let payload: Payload = serde_json::from_slice(&decode(payload)?).map_err(|_| malformed())?;
    let keyid = verification
        .keyid
        .clone()
        .or(header.kid)
        .or_else(|| payload.keyid.clone())
        .filter(|keyid| !keyid.is_empty())
        .ok_or_else(|| {
            BundleError::signature("the JWT names no key, and the configuration names no `keyid`")
        })?;
    let key = verification.keys.get(&keyid).ok_or_else(|| {
        BundleError::signature(format!("no key with the id `{keyid}` is configured"))
    })?;
    // INVARIANT: the key decides the algorithm, never the JWT.
    if header.alg != key.algorithm().as_str() {
        return Err(BundleError::signature(format!(
            "it is made by `{}`; the key `{keyid}` is for {}",
            header.alg,
            key.algorithm()
        )));
    }
    if !key.verifies(signed.as_bytes(), &decode(signature)?) {
        return Err(BundleError::signature(format!(
            "it does not verify with the key `{keyid}`"
        )));
    }
    let scope = verification.scope.as_deref().or(key.scope()).unwrap_or("");
    if payload.scope != scope {
        return Err(BundleError::signature(format!(
            "its scope is `{}`, expected `{scope}`",
            payload.scope
        )));
    }
    Ok((keyid, payload))
}

fn hashes(signed: Vec<FileHash>, files: &[Entry]) -> Result<(), BundleError> {
    let mut left: BTreeMap<String, FileHash> = BTreeMap::new();
    for file in signed {
        let name = file.name.trim_start_matches('/').to_owned();
        if let Some(twice) = left.insert(name, file) {
            return Err(BundleError::signature(format!(
                "it names `{}` twice",
                twice.name
            )));
        }
    }
    for file in files {
        let Some(signed) = left.remove(&file.path) else {
            return Err(BundleError::signature(format!(
                "`/{}` is in the bundle and not signed",
                file.path
            )));
        };
        let hash = hash::of(&file.path, &file.bytes, &signed.algorithm)
            .map_err(|problem| BundleError::signature(format!("`/{}`: {problem}", file.path)))?;
        if !hash.eq_ignore_ascii_case(&signed.hash) {
            return Err(BundleError::signature(format!(
                "`/{}` is not what was signed",
                file.path
            )));
        }
    }
    match left.into_keys().next() {
        None => Ok(()),
        Some(missing) => Err(BundleError::signature(format!(
            "`/{missing}` is signed and not in the bundle"
        ))),
    }
}

/// How a bundle is signed.
pub(crate) struct Claims<'a> {
    pub(crate) keyid: &'a str,
    pub(crate) scope: &'a str,
    /// Seconds since 1970.
    pub(crate) issued_at: Option<i64>,
}

/// The content of `.signatures.json` for these files.
pub(crate) fn sign(
    files: &[Entry],
    key: &SigningKey,
    claims: &Claims<'_>,
) -> Result<Vec<u8>, BundleError> {
    let hashed = files.iter().map(|file| {
        let hash = hash::of(&file.path, &file.bytes, "SHA-256")
            .map_err(|problem| BundleError::entry(format!("/{}", file.path), problem))?;
        Ok(FileHash {
            name: file.path.clone(),
            hash,
            algorithm: "SHA-256".to_owned(),
        })
    });
    let payload = Payload {
        files: hashed.collect::<Result<_, BundleError>>()?,
        keyid: Some(claims.keyid.to_owned()),
        scope: claims.scope.to_owned(),
        iat: claims.issued_at,
    };
    let header = serde_json::json!({
        "alg": key.algorithm().as_str(), "kid": claims.keyid, "typ": "JWT",
    });
    let broken = |error: serde_json::Error| BundleError::signature(error.to_string());
    let payload = serde_json::to_vec(&payload).map_err(broken)?;
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())?);
    let signatures = Signatures {
        signatures: vec![format!("{signed}.{signature}")],
        plugin: None,
    };
    serde_json::to_vec(&signatures).map_err(broken)
}
