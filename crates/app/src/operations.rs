//! Queued operations: submitting them, and looking after them.

pub mod form;
