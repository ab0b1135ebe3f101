//! What several lists are narrowed by.

use clap::Args;

/// What decisions and queued operations can be narrowed by alike. All that is given must hold.
#[derive(Debug, Args)]
pub(crate) struct Narrowing {
    /// Only this connection's.
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<String>,
    /// Only about this object.
    #[arg(long, value_name = "OBJECT")]
    pub(crate) object: Option<String>,
    /// Only about this record.
    #[arg(long, value_name = "ID")]
    pub(crate) record: Option<String>,
    /// Only this actor's, by id.
    #[arg(long, value_name = "ID")]
    pub(crate) actor: Option<String>,
    /// Only from this time on: RFC 3339, or so long ago ("2h", "7d").
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only before this time: RFC 3339, or so long ago ("2h", "7d").
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}
