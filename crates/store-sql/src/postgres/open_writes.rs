//! Open writes are known in the database only: other processes begin and end them, too.

/// The place of what is known in memory where one process is alone.
#[derive(Debug, Default)]
pub(crate) struct OpenWrites;

impl OpenWrites {
    pub(crate) const fn begin(&self, _: [u8; 16], _: [u8; 32]) {}

    pub(crate) const fn end(&self, _: &[u8; 16]) {}

    pub(crate) const fn may_hold(&self, _: &[u8; 32]) -> bool {
        true
    }
}
