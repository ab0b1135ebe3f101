//! Why an archive is no bundle that can be used.

/// What is wrong with a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It is larger than a bundle may be.
    #[error("{what} is over the limit of {limit}")]
    Limit {
        /// What is too large, too many, too deep.
        what: String,
        /// The limit with its unit.
        limit: String,
    },
    /// The bytes are no archive.
    #[error("not a `.tar.gz` archive: {0}")]
    Archive(String),
    /// An entry that no bundle may have.
    #[error("{path}: {problem}")]
    Entry {
        /// The entry as the archive names it.
        path: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// The manifest.
    #[error("/.manifest: {0}")]
    Manifest(String),
    /// A form of bundle that crmgate does not take.
    #[error("{what}; {remedy}")]
    Unsupported {
        /// Which.
        what: String,
        /// What to do instead.
        remedy: String,
    },
    /// The signature, or its absence.
    #[error("signature: {0}")]
    Signature(String),
    /// A file outside the manifest's roots.
    #[error("{path}: {what} lies outside the manifest's roots ({roots})")]
    OutsideRoots {
        /// The file.
        path: String,
        /// The package or the data.
        what: String,
        /// The roots.
        roots: String,
    },
    /// A key that can't be used.
    #[error("the key can't be used: {0}")]
    Key(String),
}

impl BundleError {
    /// A stable name, for metrics and programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Limit { .. } => "too_large",
            Self::Archive(_) => "no_archive",
            Self::Entry { .. } => "bad_entry",
            Self::Manifest(_) => "bad_manifest",
            Self::Unsupported { .. } => "unsupported",
            Self::Signature(_) => "bad_signature",
            Self::OutsideRoots { .. } => "outside_roots",
            Self::Key(_) => "bad_key",
        }
    }

    pub(crate) fn entry(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Entry {
            path: path.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn signature(problem: impl Into<String>) -> Self {
        Self::Signature(problem.into())
    }
}
