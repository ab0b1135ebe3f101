//! How the bundles among the policies' sources stand.

use crmgate_domain::{ConnectionName, Timestamp};
use serde::Serialize;

/// How one bundle stands, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleStatus {
    /// What the configuration calls it.
    pub name: String,
    /// The connection whose layer it belongs to; the global layer without.
    pub connection: Option<ConnectionName>,
    /// Where it comes from, without anything that could be a secret.
    pub source: String,
    /// The revision of its manifest, of what is in force.
    pub revision: Option<String>,
    /// The `ETag` of what is in force.
    pub etag: Option<String>,
    /// The id of the key that verified it.
    pub signed_by: Option<String>,
    /// Whether what is in force is the copy kept from an earlier run.
    pub from_copy: bool,
    /// When its source last answered with something that is in force now.
    pub last_success: Option<Timestamp>,
    /// When what is in force came into force.
    pub since: Option<Timestamp>,
    /// What went wrong last, until it goes well again.
    pub trouble: Option<BundleTrouble>,
    /// What it holds in vain.
    pub warnings: Vec<String>,
}

/// Why the newest state of a bundle is not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleTrouble {
    /// Since when.
    pub since: Timestamp,
    /// A stable name: `unreachable`, `status`, `timed_out`, `secret`, `not_loaded`, or what is
    /// wrong with the archive: `bad_signature`, `too_large`, ….
    pub code: &'static str,
    /// What is wrong; no secrets.
    pub message: String,
}
