//! Time and randomness from the system: the door that the rest of the program goes through.

use std::sync::Arc;

use crmgate_domain::{Ambient, Timestamp};

/// The machine's clock and the operating system's randomness.
#[derive(Debug, Clone, Copy)]
struct System;

/// The machine's clock and randomness.
pub(crate) fn system() -> Arc<dyn Ambient> {
    Arc::new(System)
}

impl Ambient for System {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door that the ban points to"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn random(&self) -> [u8; 16] {
        rand::random()
    }
}
