//! The CRM-native data plane: clients of a CRM point here instead and notice nothing, until a
//! policy has something to say.
//!
//! The gateway translates and decides nothing. It finds the connection by the host a client asked
//! for, reads the body under limits, undoes its encoding, keeps out headers that must not cross,
//! hands the request to [`App::serve`](crmgate_app::App::serve), and puts what comes back on the
//! wire with the `Crmgate-…` headers. It never names a vendor: what a CRM's protocol says is its
//! connector's word.
//!
//! | header on an answer | meaning |
//! |---|---|
//! | `Crmgate-Decision` | the id of the decision it rests on |
//! | `Crmgate-Effect` | `allow`, `deny`, `require_approval`, `error`; in observe mode what enforcing would have done |
//! | `Crmgate-Changed` | native names of the fields that a patch changed |
//! | `Crmgate-Warning` | codes of warnings |
//! | `Crmgate-Hold` | the id of the hold that the operation waits in |
//! | `Crmgate-Basis` | why it passed although it was not judged: `observed`, `opaque`, `failed_open` |
//! | `Crmgate-Mode` | `observe`: nothing is protected here |
//!
//! A request may say why it is made in `Crmgate-Purpose`; every other `Crmgate-…` header of a
//! request, or of a CRM's answer, is taken out.

mod answer;
mod body;
mod doors;
mod gateway;
mod headers;
mod observe;
mod request;

pub use doors::{Behind, Door, Doors};
pub use gateway::{Gateway, Settings};
