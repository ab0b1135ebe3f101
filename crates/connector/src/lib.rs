//! The connector trait, its capabilities, failure kinds and conformance suite.
