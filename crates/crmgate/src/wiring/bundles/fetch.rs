//! Asks a bundle's source for what it has.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use crmgate_bundle::Limits;
use crmgate_connector::secret::ExposeSecret as _;
use crmgate_outbound::{Body, BodyError, read_to_end};
use http::{HeaderValue, Request, Response, StatusCode, header};

use super::{Bundles, Slot, Trouble};
use crate::config::{HttpOrigin, Origin};

/// The type by which a server says that it can wait for something new.
const LONG_POLLING: &str = "application/vnd.openpolicyagent.bundles";
/// Longer tags are no tags.
const MAX_ETAG: usize = 1024;

/// What a source has.
#[derive(Debug)]
pub(super) enum Fetched {
    /// What it had before.
    Same,
    /// This.
    New {
        archive: Bytes,
        etag: Option<String>,
        long_poll: bool,
    },
}

impl Bundles {
    /// Asks the source. `etag` names what is known already.
    pub(super) async fn fetch(&self, slot: &Slot, etag: Option<&str>) -> Result<Fetched, Trouble> {
        match &slot.source.origin {
            Origin::File(file) => read(file).await,
            Origin::Http(http) => {
                let waits = slot.state().long_poll.then_some(http.long_poll).flatten();
                let wait = waits.unwrap_or_default();
                let asked = self.ask(http, etag, waits);
                match tokio::time::timeout(http.timeout + wait, asked).await {
                    Ok(fetched) => fetched,
                    Err(_) => Err(Trouble::new(
                        "timed_out",
                        format!(
                            "the whole answer did not come within {:?}",
                            http.timeout + wait
                        ),
                    )),
                }
            }
        }
    }

    async fn ask(
        &self,
        http: &HttpOrigin,
        etag: Option<&str>,
        wait: Option<Duration>,
    ) -> Result<Fetched, Trouble> {
        let request = request(http, etag, wait)?;
        let within = http.timeout + wait.unwrap_or_default();
        let response = self
            .client
            .send_within(request, within)
            .await
            .map_err(|error| Trouble::new("unreachable", error.to_string()))?;
        match response.status() {
            StatusCode::OK => whole(response).await,
            // An answer to a question that was not asked would leave nothing in force.
            StatusCode::NOT_MODIFIED if etag.is_some() => Ok(Fetched::Same),
            status => Err(Trouble::new("status", answers(status))),
        }
    }
}

fn request(
    http: &HttpOrigin,
    etag: Option<&str>,
    wait: Option<Duration>,
) -> Result<Request<Body>, Trouble> {
    let invalid = |error: http::Error| Trouble::new("unreachable", error.to_string());
    let mut prefer = "modes=snapshot".to_owned();
    if let Some(wait) = wait {
        prefer.push_str(&format!(";wait={}", wait.as_secs().max(1)));
    }
    let mut request = Request::get(http.url.as_str()).header("prefer", prefer);
    if let Some(etag) = etag {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    let bearer = http.bearer.iter().map(|secret| {
        let text = secret
            .get()
            .map(|token| format!("Bearer {}", token.expose_secret()));
        (header::AUTHORIZATION, text)
    });
    let own = http.headers.iter().map(|(name, secret)| {
        let text = secret.get().map(|value| value.expose_secret().to_owned());
        (name.clone(), text)
    });
    for (name, text) in bearer.chain(own) {
        let text = text.map_err(|error| Trouble::new("secret", error.to_string()))?;
        // INVARIANT: the value is a secret and no part of the message.
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Trouble::new(
                "secret",
                format!("the secret for `{name}` is no value of a header"),
            )
        })?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    request.body(Body::empty()).map_err(invalid)
}

async fn whole(response: Response<Body>) -> Result<Fetched, Trouble> {
    let text = |name| {
        let value: Option<&HeaderValue> = response.headers().get(name);
        value
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let etag = text(header::ETAG).filter(|etag| etag.len() <= MAX_ETAG);
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    let long_poll = kind.split(';').next().unwrap_or_default().trim() == LONG_POLLING;
    let body = read_to_end(response.into_body(), Limits::default().archive).await;
    let archive = body.map_err(|error| {
        let code = match &error {
            BodyError::TimedOut => "timed_out",
            BodyError::TooLarge { .. } => "too_large",
            BodyError::Broken(_) => "unreachable",
        };
        Trouble::new(code, format!("the answer can't be read: {error}"))
    })?;
    Ok(Fetched::New {
        archive,
        etag,
        long_poll,
    })
}

fn answers(status: StatusCode) -> String {
    let advice = match status.as_u16() {
        401 | 403 => "; check `bearer` and `headers`",
        300..=399 => "; redirects are not followed: configure the address it leads to",
        404 => "; check `url`",
        _ => "",
    };
    format!("the server answers {status}{advice}")
}

async fn read(file: &Path) -> Result<Fetched, Trouble> {
    let file = file.to_owned();
    let most = Limits::default().archive as u64;
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        // One byte over the limit is enough for `open` to say so.
        let opened = std::fs::File::open(&file);
        let read = opened.and_then(|opened| opened.take(most + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok(bytes),
            Err(error) => Err(format!("`{}` cannot be read: {error}", file.display())),
        }
    });
    let read = read.await.unwrap_or_else(|error| Err(error.to_string()));
    let archive = read.map_err(|problem| Trouble::new("unreadable", problem))?;
    Ok(Fetched::New {
        archive: archive.into(),
        etag: None,
        long_poll: false,
    })
}
