//! Time and randomness: the one door to both.

use crate::Timestamp;

/// What a process draws from its surroundings. The binary implements it on the system; tests on a
/// clock they can move and on numbers they know.
pub trait Ambient: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Sixteen bytes that nobody can guess.
    fn random(&self) -> [u8; 16];
}
