//! What a CRM must be able to do to stand behind the gate.
//!
//! A connector owns *all* that is particular to its CRM; everything above speaks in these types
//! and never names a vendor. The contract, with its MUSTs, is on [`Connector`]; the suite that
//! every connector runs is `conformance`, behind the feature of that name.
//!
//! The way of one write through a connector:
//!
//! ```text
//! NativeRequest ─classify─▶ Class::Write ─parse─▶ Draft ─resolve─▶ Resolved{kind, id, change}
//!                                                                       │ judged, patched, recorded
//! NativeResponse ◀─reply─ Written ◀─write(permit, outgoing)─ Outgoing ◀─┘
//! ```

pub mod allowance;
pub mod answer;
pub mod assemble;
pub mod capabilities;
pub mod change;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod connector;
pub mod failure;
pub mod http;
pub mod kind;
pub mod mapping;
pub mod outline;
pub mod records;
pub mod rewrite;
pub mod routes;
pub mod secret;
pub mod session;
pub mod together;
pub mod unkeyed;
pub mod vocabulary;

pub use allowance::Allowance;
pub use answer::Refusal;
pub use capabilities::{Capabilities, Pin};
pub use change::{Draft, NativeChange, Needs, Outgoing, Resolved, Target};
pub use connector::{Connector, Credential, Identity, ParseFailure, ReadBackResult, Written};
pub use failure::{Failure, Malformed};
pub use http::{Body, BodyError, NativeRequest, NativeResponse, RequestHead};
pub use kind::{BuildContext, ConnectorKind, Fault, Sample};
pub use outline::Outline;
pub use records::{Fields, Locator, QueryPage, StoredRecord};
pub use routes::{Class, Matched, Route, RouteClass, Routes};
pub use secret::{Secret, SecretError};
pub use session::{Attempt, Session, SignIn, SignInError, Token};
pub use together::{Delivered, Desk, Form, Parcel};
