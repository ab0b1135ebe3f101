//! The record stores on SQL.
