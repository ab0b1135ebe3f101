//! Archives of all kinds.
