//! Credentials have no place in a queue: the gate writes with the connection's own.

use super::form::NativeForm;
use super::request::Wrong;

/// Parts of names that only credentials have.
const PARTS: &[&str] = &[
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "passwd",
    "session",
    "credential",
    "api-key",
    "api_key",
    "apikey",
];

/// Query parameters that carry credentials under names of their own.
const QUERY: &[&str] = &["sid", "code", "sig", "signature", "assertion"];

/// A refused credential. Its value is not told.
pub(crate) fn refused(field: &str) -> Wrong {
    let message = "holds a credential: leave it out, what is queued is written with the \
                   connection's own";
    Wrong::at("credential_in_request", field, message)
}

pub(crate) fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

/// Refuses a request with a credential in its headers or its query, going by the names.
pub(crate) fn refuse_names(form: &NativeForm) -> Result<(), Wrong> {
    if let Some(name) = form.headers.keys().find(|name| is_credential(name)) {
        return Err(refused(&format!("request.headers.{name}")));
    }
    let query = form.path.split_once('?').map_or("", |(_, query)| query);
    let named = url::form_urlencoded::parse(query.as_bytes())
        .any(|(name, _)| is_credential(&name) || QUERY.contains(&name.as_ref()));
    if named {
        return Err(refused("request.path"));
    }
    Ok(())
}
