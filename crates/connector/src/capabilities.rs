//! What a CRM can do, declared; nothing above a connector asks which CRM it is.

/// Differences between CRMs that the code above must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// A create can carry an id or key chosen by the gate, so that reading back is conclusive.
    pub keyed_create: bool,
    /// How exactly an update or delete can be pinned to the version that was read.
    pub pin: Pin,
    /// The service credential can write on behalf of another user, who then counts as the writer.
    pub impersonation: bool,
}

/// How a write is pinned to a record version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// By row version: exact.
    Version,
    /// By modification time, to the second: two changes within one second are not told apart.
    Second,
    /// Not at all.
    None,
}
