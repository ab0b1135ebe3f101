//! The Salesforce connector.
//!
//! | module | what it knows |
//! |---|---|
//! | [`routes`](../routes.yaml), `door` | which requests are understood, after method overrides and suffixes |
//! | `parse`, `headers` | a native write into a draft; what is refused because two readers could differ |
//! | `metadata`, `values`, [`mapping`](../mapping.yaml) | names and values: native, normalized, canonical |
//! | `resolve`, `change` | the stored record, the version pin, the request that goes out |
//! | `upstream`, `failure`, `auth` | the CRM at the other end: sessions, answers, three failures |
//! | `login`, `soap`, `identity` | clients' own sign-in through the gate, and who they are |
//! | `render` | the gate's answers in Salesforce's shape |
//! | `write`, `together` | judged writes on their way, alone or in a collection |
//! | `own_key` | keys of the gate's own, and creates that meet them again |
//! | `read_back`, `fingerprint` | whether a write whose answer was lost happened |
//! | `allowance` | what the org says about the calls that are left |

mod allowance;
mod auth;
mod change;
mod connector;
mod door;
mod draft;
mod failure;
mod fingerprint;
mod headers;
mod id;
mod identity;
mod kind;
mod login;
mod lookup;
mod metadata;
mod outline;
mod own_key;
mod parse;
mod pass;
mod read_back;
mod records;
mod related;
mod render;
mod resolve;
mod section;
mod settings;
mod soap;
mod together;
mod upstream;
mod values;
mod write;

pub use kind::{KIND, Salesforce, kind};
