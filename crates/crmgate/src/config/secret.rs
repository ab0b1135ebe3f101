//! Secrets by reference: `env:NAME`, `file:PATH`. A file is read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crmgate_connector::secret::SecretString;
use crmgate_connector::{Secret, SecretError};

/// Makes a secret out of a reference. What it names must be there now.
///
/// # Errors
/// When the text is no reference, or what it names cannot be read.
pub(crate) fn resolve(base: &Path, setting: &str, reference: &str) -> Result<Secret, SecretError> {
    let fault = |problem: String| SecretError {
        setting: setting.to_owned(),
        problem,
    };
    let secret = match reference.split_once(':') {
        Some(("env", name)) if !name.is_empty() => {
            let value = variable(name).ok_or_else(|| {
                fault(format!(
                    "the environment variable `{name}` is not set, or empty"
                ))
            })?;
            Secret::new(move || Ok(value.clone()))
        }
        Some(("file", path)) if !path.is_empty() => {
            let file = Arc::new(SecretFile::new(setting, base.join(path)));
            Secret::new(move || file.read())
        }
        // INVARIANT: the text itself is not shown; it may be the secret, written here by mistake.
        _ => {
            return Err(fault(
                "expected a reference to a secret, `env:NAME` or `file:PATH`, not the secret itself"
                    .to_owned(),
            ));
        }
    };
    secret.get()?;
    Ok(secret)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one door by which secrets come from the environment"
)]
fn variable(name: &str) -> Option<SecretString> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
    Some(SecretString::from(value))
}

/// A secret in a file, and the text it had when it was last changed.
struct SecretFile {
    setting: String,
    path: PathBuf,
    seen: Mutex<Option<(SystemTime, u64, SecretString)>>,
}

impl SecretFile {
    fn new(setting: &str, path: PathBuf) -> Self {
        Self {
            setting: setting.to_owned(),
            path,
            seen: Mutex::default(),
        }
    }

    fn read(&self) -> Result<SecretString, SecretError> {
        let fault = |problem: String| SecretError {
            setting: self.setting.clone(),
            problem: format!("the file `{}` {problem}", self.path.display()),
        };
        let unreadable = |error: std::io::Error| fault(format!("cannot be read: {error}"));
        let about = std::fs::metadata(&self.path).map_err(unreadable)?;
        let changed = about.modified().map_err(unreadable)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, length, secret)) = &*seen
            && *at == changed
            && *length == about.len()
        {
            return Ok(secret.clone());
        }
        let text = std::fs::read_to_string(&self.path).map_err(unreadable)?;
        // Editors end a file with a line break, which is never part of a secret. Inner ones are:
        // a private key has many.
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(fault("is empty".to_owned()));
        }
        let secret = SecretString::from(text);
        *seen = Some((changed, about.len(), secret.clone()));
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use crmgate_connector::secret::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_changed_file_gives_the_new_secret() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "first\n").unwrap();
        let secret = resolve(dir.path(), "auth.secret", "file:token").unwrap();
        assert_eq!(secret.get().unwrap().expose_secret(), "first");
        std::fs::write(dir.path().join("token"), "the second\n").unwrap();
        assert_eq!(secret.get().unwrap().expose_secret(), "the second");
        std::fs::remove_file(dir.path().join("token")).unwrap();
        let problem = secret.get().unwrap_err().to_string();
        assert!(problem.starts_with("auth.secret: the file `"), "{problem}");
        assert!(problem.contains("cannot be read"), "{problem}");
    }

    #[test]
    fn a_secret_written_in_place_of_a_reference_is_refused_and_not_shown() {
        let problem = resolve(Path::new("."), "auth.secret", "hunter2").unwrap_err();
        assert!(!problem.to_string().contains("hunter2"));
        let problem = resolve(Path::new("."), "auth.secret", "env:CRMGATE_NO_SUCH").unwrap_err();
        assert!(problem.to_string().contains("`CRMGATE_NO_SUCH` is not set"));
    }
}
