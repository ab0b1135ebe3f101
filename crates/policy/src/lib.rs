//! Rego policies: load, evaluate, combine.
//!
//! Values in, values out. [`PolicySet::load`] checks sources that somebody has read and prepares
//! one engine per layer; [`PolicySet::judge`] evaluates the packages that govern an operation and
//! combines what they say; [`Active`] holds the set in force. Only the `folder` module touches a disk.
//!
//! INVARIANT: whatever goes wrong while judging (an error, an undefined value, a value of the
//! wrong shape, a spent time budget) never makes an effect weaker.

pub mod active;
pub mod error;
pub mod govern;
pub mod options;
pub mod set;
pub mod source;

pub use active::{Active, Status};
pub use error::{LoadError, LoadErrors};
pub use govern::{Governing, Target};
pub use options::{JudgeOptions, Judged, Ungoverned};
pub use set::PolicySet;
pub use source::{ConnectionSources, Source, Sources};
