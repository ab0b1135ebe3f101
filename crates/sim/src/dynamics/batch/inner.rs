//! The requests in a batch.

use std::collections::HashMap;

use http::{HeaderName, HeaderValue, Method, Uri, header};

use super::super::error::{ApiError, Outcome};
use super::mime::{self, Part};
use crate::crm::Call;

/// Headers of the batch that its requests share unless they say otherwise.
const SHARED: [&str; 3] = ["authorization", "callerobjectid", "mscrmcallerid"];

/// One request in a batch, as it was written.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) content_id: Option<String>,
    pub(super) method: Method,
    /// As it stands in the request line.
    pub(super) address: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// What stands in a batch at top level.
#[derive(Debug)]
pub(super) enum Item {
    Alone(Step),
    Together(Vec<Step>),
}

impl Item {
    /// How many requests it holds.
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Alone(_) => 1,
            Self::Together(steps) => steps.len(),
        }
    }
}

impl Step {
    pub(super) fn read(part: &Part<'_>) -> Outcome<Self> {
        let kind = part.header("content-type").unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/http") {
            return Err(ApiError::query(format!(
                "The message header 'Content-Type' has the invalid value '{kind}'. The operation content type must be 'application/http'."
            )));
        }
        let text = part.body.trim_start_matches(['\r', '\n']);
        let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
        let (method, address) = request_line(line.trim_end())?;
        let (head, body) = mime::head_and_body(rest);
        Ok(Self {
            content_id: part.header("content-id").map(str::to_owned),
            method,
            address,
            headers: mime::headers(head.lines()).map_err(ApiError::query)?,
            body: body.to_owned(),
        })
    }

    /// The request as if it had come by itself. `known`: the records that the change set has written
    /// so far.
    pub(super) fn call(&self, batch: &Call, known: &HashMap<String, String>) -> Outcome<Call> {
        let path = self.path(batch, known)?;
        let uri: Uri = path.replace(' ', "%20").parse().map_err(|_| {
            ApiError::query(format!(
                "Invalid URI '{}' in a batch request.",
                self.address
            ))
        })?;
        let mut headers = http::HeaderMap::new();
        for name in SHARED {
            if let Some(value) = batch.headers.get(name) {
                headers.insert(name, value.clone());
            }
        }
        for (name, value) in &self.headers {
            let pair = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(value),
            );
            let (Ok(name), Ok(value)) = pair else {
                return Err(ApiError::query(format!("'{name}' is no header.")));
            };
            // Who calls is told once.
            if name != header::AUTHORIZATION {
                headers.insert(name, value);
            }
        }
        Ok(Call {
            method: self.method.clone(),
            uri,
            headers,
            body: self.body.clone().into(),
            base_url: batch.base_url.clone(),
            at: batch.at,
            rows: batch.rows.clone(),
        })
    }

    fn path(&self, batch: &Call, known: &HashMap<String, String>) -> Outcome<String> {
        let address = self.address.as_str();
        let reference = address.strip_prefix('/').unwrap_or(address);
        if let Some(rest) = reference.strip_prefix('$')
            && rest.starts_with(|letter: char| letter.is_ascii_digit())
        {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (id, tail) = rest.split_at(end);
            let found = known.get(id).ok_or_else(|| {
                ApiError::query(format!(
                    "Content-ID Reference: '${id}' does not exist in the batch context."
                ))
            })?;
            let found = found.strip_prefix(&batch.base_url).unwrap_or(found);
            return Ok(format!("{found}{tail}"));
        }
        if address.contains("://") && !address.starts_with('/') {
            let rest = address.strip_prefix(&batch.base_url);
            let rest = rest.filter(|rest| rest.starts_with('/'));
            return rest.map(str::to_owned).ok_or_else(|| {
                ApiError::query(format!(
                    "The URI '{address}' is not valid because it is not based on '{}/api/data/v9.2/'.",
                    batch.base_url
                ))
            });
        }
        if address.starts_with('/') {
            return Ok(address.to_owned());
        }
        let root = batch.path().strip_suffix("$batch").unwrap_or_default();
        Ok(format!("{root}{address}"))
    }
}

/// Method and address; an address may hold spaces.
fn request_line(line: &str) -> Outcome<(Method, String)> {
    let bad = || {
        ApiError::query(format!(
            "The request line '{line}' is invalid. The request line at the start of each operation must be of the format 'HttpMethod RequestUrl HttpVersion'."
        ))
    };
    let (method, rest) = line.split_once(' ').ok_or_else(bad)?;
    let (address, version) = rest.rsplit_once(' ').ok_or_else(bad)?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| bad())?;
    if version != "HTTP/1.1" || address.trim().is_empty() {
        return Err(bad());
    }
    Ok((method, address.trim().to_owned()))
}
