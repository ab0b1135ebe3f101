//! OPA bundles: `.tar.gz` archives of policies and data with a manifest and, where wanted, a
//! signature.
//!
//! Values in, values out: [`open`] takes the bytes of an archive and gives a checked [`Bundle`];
//! [`build`] writes one that OPA loads and verifies; [`combine`] puts bundles and a folder together
//! to the sources of a policy set. Fetching them is the binary's business.
//!
//! How a bundle becomes policy sources:
//!
//! - It belongs to one layer, which the configuration names: the global one, or a connection's.
//!   `connections/…` inside a bundle is refused.
//! - `*.rego`, `data.json`, `data.yaml`, `params.yaml` with `params.schema.json`, and (in a
//!   connection's layer) `enforcement.yaml` mean what they mean in a folder. Messages name them
//!   `bundle:/path`.
//! - `data.params` of a bundle that has no `params.yaml` (one that `opa build` made) are parameters
//!   that no connection may change. Where there are both, they must be equal: OPA and crmgate would
//!   judge by different thresholds otherwise.
//! - Everything lies inside the manifest's roots, and no two bundles of a layer, nor a bundle and
//!   the folder, share any: a bundle can't quietly add to another team's policies.

mod archive;
mod build;
mod combine;
mod error;
mod hash;
mod keys;
mod limits;
mod manifest;
mod open;
mod package;
mod path;
mod roots;
mod signature;
#[cfg(test)]
mod tests;
mod unfold;

pub use build::{BuildOptions, Built, Signing, build};
pub use combine::{Placed, combine};
pub use error::BundleError;
pub use keys::{Algorithm, SigningKey, VerificationKey};
pub use limits::Limits;
pub use manifest::Manifest;
pub use open::{Bundle, Trust, open};
pub use roots::{Root, Roots};
pub use signature::Verification;
