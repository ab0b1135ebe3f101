//! What was judged, as it may be remembered.

use serde::{Deserialize, Serialize};

/// Whether what was judged is kept beside a decision, and if not, why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadState {
    /// It is kept, masked.
    Kept,
    /// The configuration keeps none.
    #[default]
    Off,
    /// A `system.log.drop` rule said so. Such a decision goes to no sink either.
    Dropped,
    /// The masks could not be evaluated: nothing that might be a secret is kept.
    MaskFailed,
    /// It was erased on request.
    Erased,
    /// The time to keep it is over.
    Expired,
}

impl PayloadState {
    /// The word used in storage and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Off => "off",
            Self::Dropped => "dropped",
            Self::MaskFailed => "mask_failed",
            Self::Erased => "erased",
            Self::Expired => "expired",
        }
    }
}

/// What policies saw, masked before it came here. It can be erased later without breaking the
/// record: the decision's own row holds only a keyed hash of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Payload {
    /// Whether it is kept.
    pub state: PayloadState,
    /// The policy input as JSON text, masked; `None` unless it is kept.
    pub input: Option<String>,
    /// JSON pointers that a mask removed, as OPA's decision log names them.
    #[serde(default)]
    pub erased: Vec<String>,
    /// JSON pointers whose value a mask replaced.
    #[serde(default)]
    pub masked: Vec<String>,
}

/// The trace a decision belongs to, in W3C's hexadecimal form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceRef {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
}
