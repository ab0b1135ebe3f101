//! `crmgate policy bundle …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Form;

#[derive(Debug, Subcommand)]
pub(crate) enum Bundle {
    /// Builds an OPA bundle from a folder of policies, signed where a key is given.
    Build(Box<BundleBuild>),
    /// Verifies a bundle's signature and loads its policies.
    Verify(BundleVerify),
    /// Shows what is in a bundle, without asking who made it.
    Show(BundleShow),
}

#[derive(Debug, Args)]
pub(crate) struct BundleBuild {
    /// The folder. Its `connections/` are left out: each is a layer of its own.
    #[arg(default_value = "policies", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Where the bundle goes.
    #[arg(
        short = 'o',
        long = "file",
        value_name = "FILE",
        default_value = "bundle.tar.gz"
    )]
    pub(crate) file: PathBuf,
    /// What to call this version; a hash of its content without.
    #[arg(long, value_name = "TEXT")]
    pub(crate) revision: Option<String>,
    /// What the bundle owns, as `crm/sales`; what its files need without. Repeatable.
    #[arg(long = "root", value_name = "PATH")]
    pub(crate) roots: Vec<String>,
    /// Build this connection's layer instead of the global one.
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<String>,
    /// Sign with the private key (PEM) in this file, or with the secret in it.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) signature: SignatureArgs,
    #[command(flatten)]
    pub(crate) form: Form,
}

#[derive(Debug, Args)]
pub(crate) struct SignatureArgs {
    /// The algorithm: HS256, RS256, PS256, ES256 (384, 512), EdDSA.
    #[arg(long, value_name = "NAME", default_value = "RS256")]
    pub(crate) algorithm: String,
    /// The key's id, as the verifier's configuration names it.
    #[arg(long, value_name = "ID", default_value = "default")]
    pub(crate) keyid: String,
    /// The signature's scope.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) scope: String,
}

#[derive(Debug, Args)]
pub(crate) struct BundleVerify {
    /// The bundle.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The public key or certificate (PEM) in this file, or the secret in it. Without, the bundle
    /// must be unsigned.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) signature: SignatureArgs,
    #[command(flatten)]
    pub(crate) form: Form,
}

#[derive(Debug, Args)]
pub(crate) struct BundleShow {
    /// The bundle.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) form: Form,
}
