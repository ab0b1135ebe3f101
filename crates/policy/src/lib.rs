//! Rego policies: load, evaluate, combine.
