//! Time that tests move, and randomness that they know.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crmgate_domain::{Ambient, Timestamp};

/// Starts at a fixed moment and stands still until it is moved. Random bytes never repeat within
/// one value.
#[derive(Debug)]
pub struct TestAmbient {
    now: Mutex<Timestamp>,
    drawn: AtomicU64,
}

impl Default for TestAmbient {
    fn default() -> Self {
        Self {
            now: Mutex::new("2026-03-01T12:00:00Z".parse().unwrap()),
            drawn: AtomicU64::new(1),
        }
    }
}

impl TestAmbient {
    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap();
        *now = now.checked_add(by).unwrap();
    }
}

impl Ambient for TestAmbient {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn random(&self) -> [u8; 16] {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 16];
        let (head, tail) = bytes.split_at_mut(8);
        head.copy_from_slice(&drawn.to_be_bytes());
        tail.copy_from_slice(&drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        bytes
    }
}
