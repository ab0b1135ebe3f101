//! What came out, for people and for machines.

mod coverage;
mod junit;
mod text;

pub use coverage::{CoverageReport, FileCoverage, Position, Range, lcov};
pub use junit::junit;
pub(crate) use text::{cut, seen_line};
pub use text::{failures, ranges, uncovered};
