//! Rego policies: load, evaluate, combine.
//!
//! Values in, values out. [`PolicySet::load`] checks sources that somebody has read and prepares
//! one engine per layer; [`PolicySet::judge`] evaluates the packages that govern an operation and
//! combines what they say; [`Active`] holds the set in force. Only [`folder`] touches a disk.
//!
//! INVARIANT: whatever goes wrong while judging (an error, an undefined value, a value of the
//! wrong shape, a spent time budget) never makes an effect weaker.

pub mod active;
pub mod analysis;
mod bounds;
mod budget;
pub mod cases;
mod check;
mod clock;
pub mod coverage;
mod engines;
pub mod error;
pub mod explain;
pub mod folder;
pub mod govern;
mod input;
mod judge;
mod layer;
mod load;
mod looks;
mod message;
pub mod metadata;
pub mod options;
pub mod package;
mod params;
mod precheck;
mod raw;
mod reads;
mod revision;
pub mod rules;
pub mod set;
pub mod source;
mod symbols;
mod syntax;
mod system_log;
#[cfg(test)]
mod testing;
pub mod trial;
mod value;
mod watch;
mod yaml;

pub use active::{Active, Apart, Status};
pub use coverage::Coverage;
pub use error::{LoadError, LoadErrors};
pub use folder::read_folder;
pub use govern::{Governing, Target};
pub use load::progress::Step;
pub use metadata::Metadata;
pub use options::{JudgeOptions, Judged, Ungoverned};
pub use package::Package;
pub use rules::Reserved;
pub use set::PolicySet;
pub use source::{ConnectionSources, FileKind, Source, Sources};
pub use system_log::{LogVerdict, MaskError, MaskOp, MaskRule};
pub use watch::Watch;
