//! Secrets by reference, so that they can change without a restart.

use std::sync::Arc;

pub use secrecy::{ExposeSecret, SecretString};

/// A secret that cannot be had now.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct SecretError {
    /// The setting that names the secret.
    pub setting: String,
    /// What is wrong; never the secret.
    pub problem: String,
}

/// A handle on a secret. Each use asks for its current value.
#[derive(Clone)]
pub struct Secret {
    source: Arc<dyn Fn() -> Result<SecretString, SecretError> + Send + Sync>,
}

impl Secret {
    /// A secret that `source` gives.
    pub fn new(
        source: impl Fn() -> Result<SecretString, SecretError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            source: Arc::new(source),
        }
    }

    /// A secret that does not change; for tests and the demo.
    #[must_use]
    pub fn fixed(text: &str) -> Self {
        let secret = SecretString::from(text);
        Self::new(move || Ok(secret.clone()))
    }

    /// The current value.
    ///
    /// # Errors
    /// When the file or variable cannot be read.
    pub fn get(&self) -> Result<SecretString, SecretError> {
        (self.source)()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}
