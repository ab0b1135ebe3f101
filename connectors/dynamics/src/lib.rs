//! The Dynamics 365 (Dataverse) connector.
//!
//! | module | what it knows |
//! |---|---|
//! | [`routes`](../routes.yaml), `request`, `key` | which requests are understood, and which record they name |
//! | `draft`, `body`, `headers` | a native write into a draft; what is refused because two readers could differ |
//! | `table`, `metadata`, `row` | the environment's tables and stored records |
//! | `value`, `values`, [`mapping`](../mapping.yaml) | values: native, normalized, canonical |
//! | `resolve`, `related`, `frame`, `change` | the stored record, the version pin, the request that goes out |
//! | `upstream`, `fault`, `auth`, `write`, `read_back`, `fingerprint` | the CRM at the other end: sessions, answers, three failures |
//! | `together`, `multipart`, `allowed` | writes that go in one call, and what is left of the allowance |
//! | `sign_in`, `identity`, `pass`, `links`, `render` | clients' sign-in, reads, and the gate's own answers |

mod allowed;
mod auth;
mod body;
mod canonical;
mod change;
mod connector;
mod draft;
mod fault;
mod fingerprint;
mod frame;
mod headers;
mod identity;
mod key;
mod links;
mod metadata;
mod multipart;
mod outline;
mod pass;
mod read_back;
mod records;
mod related;
mod render;
mod request;
mod resolve;
mod row;
mod settings;
mod sign_in;
mod table;
mod together;
mod upstream;
mod value;
mod values;
mod write;

pub use connector::{DynamicsKind, KIND, kind};
