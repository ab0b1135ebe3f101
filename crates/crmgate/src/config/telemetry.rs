//! Where traces go.

use std::time::Duration;

use config::{Value, ValueKind};
use crmgate_connector::Secret;
use http::HeaderName;
use url::Url;

use super::section::Section;
use super::{secret, value};

/// Traces, and where they go.
pub(crate) struct Telemetry {
    /// A collector's address for OTLP over HTTP; `None`: no trace leaves.
    pub(crate) endpoint: Option<Url>,
    /// What stands on every call to it.
    pub(crate) headers: Vec<(HeaderName, Secret)>,
    /// How many of the traces that begin here are kept.
    pub(crate) sample: f64,
    /// Whether traces that callers began go on here.
    pub(crate) follow_callers: bool,
    pub(crate) service_name: String,
    /// How many spans may wait for the collector.
    pub(crate) queue: usize,
    /// How long one call to it may take.
    pub(crate) timeout: Duration,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry")
            .field("endpoint", &self.endpoint.as_ref().map(Url::as_str))
            .field("sample", &self.sample)
            .finish_non_exhaustive()
    }
}

impl Telemetry {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let endpoint = section.get("endpoint", |v| traces_url(value::web_url(v)?));
        let headers = section.section("headers").map(headers).unwrap_or_default();
        let sample = section.need("sample", fraction);
        let follow_callers = section.need("follow_callers", value::flag);
        let service_name = section.need("service_name", value::text);
        let queue = section.need("queue", value::count);
        let timeout = section.need("timeout", value::duration);
        section.finish();
        Self {
            endpoint,
            headers,
            sample,
            follow_callers,
            service_name,
            queue,
            timeout,
        }
    }
}

/// The signal's own address, as the OTLP standard makes it out of the collector's.
fn traces_url(mut url: Url) -> Result<Url, String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "holds a name or a password: expected them as a reference in `headers`".to_owned(),
        );
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with("/v1/traces") {
        url.set_path(&format!("{path}/v1/traces"));
    }
    Ok(url)
}

fn headers(mut section: Section<'_>) -> Vec<(HeaderName, Secret)> {
    let base = section.base().to_owned();
    let entries = section.entries();
    let read = entries.into_iter().filter_map(|(name, entry)| {
        let found = header(&name).and_then(|known| {
            let reference = value::text(&entry)?;
            let secret = secret::resolve(&base, &section.name(&name), &reference);
            Ok((known, secret.map_err(|error| error.problem)?))
        });
        found.map_err(|problem| section.fault(&name, problem)).ok()
    });
    read.collect()
}

fn header(name: &str) -> Result<HeaderName, String> {
    name.parse()
        .map_err(|_| format!("`{name}` is no name of a header"))
}

/// A number from 0 to 1.
fn fraction(value: &Value) -> Result<f64, String> {
    let number = match &value.kind {
        ValueKind::Float(number) => Some(*number),
        ValueKind::I64(0) => Some(0.0),
        ValueKind::I64(1) => Some(1.0),
        ValueKind::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| {
            format!(
                "expected a number from 0 to 1, found {}",
                value::describe(value)
            )
        })
}

#[cfg(test)]
mod tests;
