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
//! | `read_back` | whether a write whose answer was lost happened |

mod auth;
mod change;
mod connector;
mod door;
mod draft;
mod failure;
mod headers;
mod id;
mod identity;
mod kind;
mod login;
mod lookup;
mod metadata;
mod outline;
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
mod upstream;
mod values;
mod write;

pub use kind::{KIND, Salesforce, kind};
