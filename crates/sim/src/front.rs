//! The front that both simulators share: bodies, links, faults, journal, `/_sim/…`.

use std::io::{self, Read, Write};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use bytes::Bytes;
use flate2::Compression;
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};

use crate::Options;
use crate::control;
use crate::crm::{Answer, Call, Crm, Refusal};
use crate::faults::{Ending, Faults, Kind, RowFaults, Verdict};
use crate::journal::Journal;

/// The longest body taken, before and after decompression.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// Shorter answers aren't worth compressing.
const MIN_COMPRESSED: usize = 1024;

/// A simulated CRM behind the shared front. Clones share all state.
#[derive(Clone)]
pub struct Front {
    shared: Arc<Shared>,
}

struct Shared {
    crm: Arc<dyn Crm>,
    options: Options,
    journal: Journal,
    faults: Arc<Faults>,
}

/// One way in: the state, and the scheme by which requests come here.
#[derive(Clone)]
struct Door {
    shared: Arc<Shared>,
    scheme: &'static str,
}

impl Front {
    /// Puts the front before `crm`.
    #[must_use]
    pub fn new(crm: Arc<dyn Crm>, options: Options) -> Self {
        let shared = Shared {
            crm,
            options,
            journal: Journal::default(),
            faults: Arc::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The service, with links by [`Options::tls`].
    pub fn router(&self) -> Router {
        self.router_for(self.shared.options.tls)
    }

    /// The service for a listener that speaks TLS, or doesn't. Any number of listeners can share one state.
    pub fn router_for(&self, tls: bool) -> Router {
        let scheme = if tls { "https" } else { "http" };
        Router::new().fallback(enter).with_state(Door {
            shared: Arc::clone(&self.shared),
            scheme,
        })
    }

    /// The calls so far.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.shared.journal
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }
}

async fn enter(State(door): State<Door>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let read = axum::body::to_bytes(body, MAX_BODY).await;
    let shared = &door.shared;
    let mut call = Call {
        base_url: base_url(
            shared.options.public_url.as_ref(),
            door.scheme,
            &parts.headers,
            &parts.uri,
        ),
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body: Bytes::new(),
        at: shared.options.clock.now(),
        rows: None,
    };
    match read
        .map_err(|_| Refusal::TooLarge)
        .and_then(|raw| decompress(&call.headers, raw))
    {
        Ok(plain) => call.body = plain,
        Err(refusal) => {
            let answer = shared.crm.refuse(&call, refusal);
            return finish(shared, &call, answer, None);
        }
    }
    if call.path().starts_with(control::PREFIX) {
        let answer = control::answer(&*shared.crm, &shared.journal, &shared.faults, &call);
        return answer.map(Body::from);
    }
    let verdict = shared.faults.strike(&call.method, call.path());
    call.rows = RowFaults::of(&shared.faults, &call.method, call.path());
    serve(shared, call, verdict).await
}

async fn serve(shared: &Shared, call: Call, verdict: Verdict) -> Response<Body> {
    let _under_way = shared.crm.arrive(&call);
    if !verdict.delay.is_zero() {
        tokio::time::sleep(verdict.delay).await;
    }
    let Some(Ending {
        kind,
        status,
        retry_after,
    }) = verdict.ending
    else {
        let answer = shared.crm.answer(&call);
        return finish(shared, &call, answer, None);
    };
    let answer = match kind {
        Kind::Delay => shared.crm.answer(&call),
        Kind::Status => shared.crm.refuse(
            &call,
            Refusal::Status {
                status,
                retry_after,
            },
        ),
        Kind::LockRow => shared.crm.refuse(&call, Refusal::LockedRow),
        Kind::ExpireSession => {
            shared.crm.expire_session(&call);
            shared.crm.answer(&call)
        }
        Kind::DropBeforeCommit => return sever(shared, &call, kind),
        Kind::DropAfterCommit => {
            drop(shared.crm.answer(&call));
            return sever(shared, &call, kind);
        }
    };
    finish(shared, &call, answer, Some(kind))
}

fn finish(shared: &Shared, call: &Call, answer: Answer, fault: Option<Kind>) -> Response<Body> {
    let answer = if shared.options.compress {
        compress(&call.headers, answer, shared.crm.marks_compressed())
    } else {
        answer
    };
    shared.journal.note(call, Some(answer.status()), fault);
    answer.map(Body::from)
}

/// Closes the connection without an answer: hyper gives a connection up when the body fails before the head was
/// flushed, and the head is never flushed before the body was asked for its first frame.
fn sever(shared: &Shared, call: &Call, kind: Kind) -> Response<Body> {
    shared.journal.note(call, None, Some(kind));
    let broken = futures::stream::once(async {
        Err::<Bytes, _>(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "a fault closed the connection",
        ))
    });
    let mut response = Response::new(Body::from_stream(broken));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn base_url(public: Option<&url::Url>, scheme: &str, headers: &HeaderMap, uri: &Uri) -> String {
    if let Some(url) = public {
        return url.as_str().trim_end_matches('/').to_owned();
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host
        .or_else(|| uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or("localhost");
    format!("{scheme}://{host}")
}

fn decompress(headers: &HeaderMap, raw: Bytes) -> Result<Bytes, Refusal> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else {
        return Ok(raw);
    };
    let encoding = encoding.to_str().unwrap_or("?").trim().to_ascii_lowercase();
    match encoding.as_str() {
        "" | "identity" => Ok(raw),
        "gzip" | "x-gzip" => inflate(GzDecoder::new(&*raw)),
        // What HTTP calls deflate has a zlib wrapper; many clients leave it out.
        "deflate" => inflate(ZlibDecoder::new(&*raw)).or_else(|refusal| match refusal {
            Refusal::TooLarge => Err(refusal),
            _ => inflate(DeflateDecoder::new(&*raw)),
        }),
        _ => Err(Refusal::UnknownEncoding(encoding)),
    }
}

fn inflate(reader: impl Read) -> Result<Bytes, Refusal> {
    let mut plain = Vec::new();
    let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
    reader
        .take(limit + 1)
        .read_to_end(&mut plain)
        .map_err(|_| Refusal::BrokenEncoding)?;
    if plain.len() > MAX_BODY {
        Err(Refusal::TooLarge)
    } else {
        Ok(Bytes::from(plain))
    }
}

/// Compresses an answer for clients that accept it; `mark`: its `ETag` then says so.
fn compress(headers: &HeaderMap, answer: Answer, mark: bool) -> Answer {
    let accepts = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let wanted = accepts
        .split(',')
        .any(|one| one.split(';').next().unwrap_or_default().trim() == "gzip");
    if !wanted || answer.body().len() < MIN_COMPRESSED {
        return answer;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    if encoder.write_all(answer.body()).is_err() {
        return answer;
    }
    let Ok(packed) = encoder.finish() else {
        return answer;
    };
    let mut answer = answer.map(|_| Bytes::from(packed));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if mark
        && let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok())
        && let Some(tag) = tag.strip_suffix('"')
        && let Ok(tag) = HeaderValue::from_str(&format!("{tag}-gzip\""))
    {
        headers.insert(header::ETAG, tag);
    }
    answer
}

#[cfg(test)]
mod tests;
