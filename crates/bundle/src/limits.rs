//! How large a bundle may be.

/// How large a bundle may be. What is larger is refused before it is held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive.
    pub archive: usize,
    /// Bytes of everything in it.
    pub unpacked: usize,
    /// How many times larger than the archive its content may be. Small archives may always unpack
    /// to a mebibyte: text of one letter shrinks a thousandfold.
    pub ratio: usize,
    /// Bytes of one file.
    pub file: usize,
    /// Files and folders.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            archive: 32 << 20,
            unpacked: 128 << 20,
            ratio: 200,
            file: 16 << 20,
            entries: 20_000,
        }
    }
}

impl Limits {
    /// How far an archive of that size may unpack.
    pub(crate) fn unpacks_to(&self, archive: usize) -> usize {
        let by_ratio = archive.saturating_mul(self.ratio).max(1 << 20);
        by_ratio.min(self.unpacked)
    }
}
