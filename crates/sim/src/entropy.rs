//! Tokens and identifiers that nobody can guess, yet that a seed repeats.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

/// A stream of bytes derived from a seed.
#[derive(Debug)]
pub struct Entropy {
    seed: [u8; 16],
    drawn: AtomicU64,
}

impl Entropy {
    /// Starts from `seed`, or from the operating system's randomness without one.
    #[must_use]
    pub fn new(seed: Option<[u8; 16]>) -> Self {
        Self {
            seed: seed.unwrap_or_else(rand::random),
            drawn: AtomicU64::new(0),
        }
    }

    /// The next 32 bytes.
    #[must_use]
    pub fn draw(&self) -> [u8; 32] {
        let index = self.drawn.fetch_add(1, Ordering::Relaxed);
        Sha256::new()
            .chain_update(self.seed)
            .chain_update(index.to_be_bytes())
            .finalize()
            .into()
    }

    /// The next 16 bytes.
    #[must_use]
    pub fn draw16(&self) -> [u8; 16] {
        let mut half = [0; 16];
        half.copy_from_slice(self.draw().split_at(16).0);
        half
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_draws_differ() {
        let (one, two) = (Entropy::new(Some([7; 16])), Entropy::new(Some([7; 16])));
        let first = one.draw();
        assert_eq!(first, two.draw());
        assert_ne!(first, one.draw());
        assert_ne!(Entropy::new(None).draw16(), Entropy::new(None).draw16());
    }
}
