//! The key that signs checkpoints, and where checkpoints go.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use crmgate_app::{CheckpointKey, CheckpointSink, RecordParts};
use crmgate_connector::Secret;
use crmgate_connector::secret::ExposeSecret as _;
use crmgate_outbound::Client;
use crmgate_store::StoredCheckpoint;
use crmgate_store::checkpoint::{Signer, Verifier};
use http::{Request, header};
use rcgen::{KeyPair, PKCS_ED25519};
use url::Url;

use crate::config::Config;
use crate::exit::{Exit, Failure};

/// The key's file in the data folder, where no other is configured.
const KEY_FILE: &str = "checkpoint.key";
/// The longest answer to a posted checkpoint that is read.
const MAX_ANSWER: usize = 64 << 10;

/// What the record's care is made of.
///
/// # Errors
/// When the key cannot be used, or a sink cannot be made.
pub(crate) fn parts(config: &Config) -> Result<RecordParts, Failure> {
    let record = &config.record;
    let key = match &record.key {
        Some(secret) => {
            let pem = secret
                .get()
                .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
            key("`record.key`", pem.expose_secret())?
        }
        None => own_key(&config.data_dir)?,
    };
    let mut sinks: Vec<Arc<dyn CheckpointSink>> = Vec::new();
    if let Some(path) = &record.checkpoint_file {
        sinks.push(Arc::new(FileSink { path: path.clone() }));
    }
    if record.checkpoint_log {
        sinks.push(Arc::new(LogSink));
    }
    if let Some(url) = &record.checkpoint_url {
        let client = Client::new(config.upstream.0.clone())
            .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
        sinks.push(Arc::new(PostSink {
            client,
            url: url.clone(),
            bearer: record.checkpoint_bearer.clone(),
        }));
    }
    if sinks.is_empty() {
        tracing::warn!(
            "checkpoints of the record go nowhere: whoever can write the database could cut or \
             rewrite the record unseen"
        );
    }
    Ok(RecordParts {
        settings: record.settings,
        key: Some(key),
        sinks,
    })
}

fn key(what: &str, pem: &str) -> Result<CheckpointKey, Failure> {
    let unusable = |problem: String| Failure::new(Exit::Config, format!("{what}: {problem}"));
    let pair = KeyPair::from_pem(pem)
        .map_err(|error| unusable(format!("expected an Ed25519 key, PKCS #8 in PEM: {error}")))?;
    let public_pem = pair.public_key_pem();
    let signer = Signer::new(pem).map_err(|error| unusable(error.to_string()))?;
    let verifier = Verifier::new(&public_pem).map_err(|error| unusable(error.to_string()))?;
    Ok(CheckpointKey {
        signer,
        verifier,
        public_pem,
    })
}

/// The key in the data folder, made when it is not there.
fn own_key(dir: &Path) -> Result<CheckpointKey, Failure> {
    let path = dir.join(KEY_FILE);
    let named = format!("`{}`", path.display());
    let system = |error: std::io::Error| Failure::new(Exit::System, format!("{named}: {error}"));
    match std::fs::read_to_string(&path) {
        Ok(pem) => return key(&named, &pem),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(system(error)),
    }
    let made = KeyPair::generate_for(&PKCS_ED25519)
        .map_err(|error| Failure::new(Exit::System, format!("{named}: {error}")))?;
    let pem = made.serialize_pem();
    write_private(&path, &pem).map_err(system)?;
    tracing::info!(file = %path.display(), "made the key that signs checkpoints of the record");
    key(&named, &pem)
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let beside = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(beside, path)
}

/// Appends checkpoints to a file, one a line.
struct FileSink {
    path: PathBuf,
}

#[async_trait]
impl CheckpointSink for FileSink {
    fn name(&self) -> &'static str {
        "file"
    }

    async fn hand(&self, checkpoints: &[StoredCheckpoint]) -> Result<(), String> {
        let lines: String = checkpoints
            .iter()
            .map(|checkpoint| format!("{}\n", checkpoint.jws))
            .collect();
        let path = self.path.clone();
        let appended = tokio::task::spawn_blocking(move || append(&path, &lines)).await;
        appended
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("`{}`: {error}", self.path.display()))
    }
}

fn append(path: &Path, lines: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?;
    file.write_all(lines.as_bytes())?;
    file.sync_all()
}

/// Writes checkpoints into the log: whoever collects it can vouch for the record.
struct LogSink;

#[async_trait]
impl CheckpointSink for LogSink {
    fn name(&self) -> &'static str {
        "log"
    }

    async fn hand(&self, checkpoints: &[StoredCheckpoint]) -> Result<(), String> {
        for checkpoint in checkpoints {
            tracing::info!(
                number = checkpoint.number,
                jws = checkpoint.jws,
                "checkpoint of the record"
            );
        }
        Ok(())
    }
}

/// Posts checkpoints, one a request.
struct PostSink {
    client: Client,
    url: Url,
    bearer: Option<Secret>,
}

#[async_trait]
impl CheckpointSink for PostSink {
    fn name(&self) -> &'static str {
        "http"
    }

    async fn hand(&self, checkpoints: &[StoredCheckpoint]) -> Result<(), String> {
        for checkpoint in checkpoints {
            self.post(checkpoint).await?;
        }
        Ok(())
    }
}

impl PostSink {
    async fn post(&self, checkpoint: &StoredCheckpoint) -> Result<(), String> {
        let mut request = Request::post(self.url.as_str())
            .header(header::CONTENT_TYPE, "application/jose")
            // Which one it is, so that one that comes twice is known.
            .header("idempotency-key", checkpoint.number);
        if let Some(bearer) = &self.bearer {
            let token = bearer.get().map_err(|error| error.to_string())?;
            let value = format!("Bearer {}", token.expose_secret());
            request = request.header(header::AUTHORIZATION, value);
        }
        let request = request
            .body(checkpoint.jws.clone().into_bytes())
            .map_err(|_| "the request cannot be written: is the token one line?".to_owned())?;
        let answer = self.client.execute(request, MAX_ANSWER).await;
        let status = answer.map_err(|error| error.to_string())?.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("the answer was {status}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use crmgate_store::checkpoint::Checkpoint;

    use super::*;

    #[test]
    fn the_key_is_made_once_for_its_owner_alone_and_signs() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let first = own_key(dir.path()).unwrap();
        let again = own_key(dir.path()).unwrap();
        assert_eq!(first.public_pem, again.public_pem);
        let about = std::fs::metadata(dir.path().join(KEY_FILE)).unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o600);
        let extent = crmgate_store::Extent {
            heads: Vec::new(),
            first: 1,
            last: 7,
        };
        let checkpoint = Checkpoint::next(None, extent, "2026-03-01T12:00:00Z".parse().unwrap());
        let jws = first.signer.sign(&checkpoint).unwrap();
        assert_eq!(again.verifier.read(&jws).unwrap(), checkpoint);
        let other = tempfile::tempdir().unwrap();
        let other = own_key(other.path()).unwrap();
        assert!(other.verifier.read(&jws).is_err(), "another key");
        let bent = jws.replacen("eyJ", "eyK", 1);
        assert!(first.verifier.read(&bent).is_err());
        let Err(refused) = key("`record.key`", "no key") else {
            panic!("it took no key for one");
        };
        assert!(refused.message.contains("`record.key`"), "{refused}");
    }
}
