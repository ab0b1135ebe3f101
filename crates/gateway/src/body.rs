//! Bodies of requests: read under limits, decoded once, or passed as they flow.

use std::io::Read;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body as Incoming, HttpBody as _};
use bytes::{Bytes, BytesMut};
use crmgate_connector::{Body, BodyError, Malformed};
use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
use futures::{Stream, StreamExt as _};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use tokio::time::Instant;

/// How a body may come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The longest, also after decoding.
    pub(crate) max: usize,
    /// How long it may stand still.
    pub(crate) idle: Duration,
}

/// Slower than this, on average after the first stand-still time, is no client but an attempt to
/// keep us busy.
const SLOWEST_BYTES_PER_SECOND: u64 = 1024;

/// Why a body was not read whole.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It is over the limit. Holds the body from its first byte on, for whoever may pass it.
    TooLarge(Body),
    /// It stood still, dripped, or broke off.
    Broken(String),
}

/// Reads a body to its end.
pub(crate) async fn read(body: Incoming, limits: Limits) -> Result<Bytes, Unread> {
    let announced = body.size_hint().lower();
    let mut stream = body.into_data_stream();
    if announced > u64::try_from(limits.max).unwrap_or(u64::MAX) {
        return Err(Unread::TooLarge(flow(stream, limits.idle, None)));
    }
    let began = Instant::now();
    let mut read = BytesMut::new();
    loop {
        let sustained = Duration::from_secs(count(read.len()) / SLOWEST_BYTES_PER_SECOND);
        let slowest = began + limits.idle + sustained;
        let until = slowest.min(Instant::now() + limits.idle);
        let chunk = match tokio::time::timeout_at(until, stream.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => return Err(Unread::Broken(format!("it broke off: {error}"))),
            Ok(None) => return Ok(read.freeze()),
            Err(_) => return Err(Unread::Broken("it came too slowly".to_owned())),
        };
        if read.len() + chunk.len() > limits.max {
            read.extend_from_slice(&chunk);
            let begin = Some(read.freeze());
            return Err(Unread::TooLarge(flow(stream, limits.idle, begin)));
        }
        if read.is_empty() && stream.is_end_stream() {
            // Most bodies come in one piece, which need not be copied.
            return Ok(chunk);
        }
        read.extend_from_slice(&chunk);
    }
}

/// A body that is passed as it comes, but must keep coming.
pub(crate) fn flowing(body: Incoming, idle: Duration) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    flow(body.into_data_stream(), idle, None)
}

fn flow(stream: axum::body::BodyDataStream, idle: Duration, begin: Option<Bytes>) -> Body {
    let rest = futures::stream::unfold(Some(stream), move |stream| async move {
        let mut stream = stream?;
        let (item, stream) = match tokio::time::timeout(idle, stream.next()).await {
            Ok(None) => return None,
            Ok(Some(Ok(chunk))) => (Ok(chunk), Some(stream)),
            Ok(Some(Err(error))) => (Err(BodyError(error.to_string())), None),
            Err(_) => (
                Err(BodyError("it stood still for too long".to_owned())),
                None,
            ),
        };
        Some((item, stream))
    });
    let begin = futures::stream::iter(begin.map(Ok));
    Body::Stream(Box::pin(Shareable(Mutex::new(Box::pin(begin.chain(rest))))))
}

/// How much more than the limit is read of a body that is refused for its length.
const PATIENCE: usize = 8;

/// Reads what is left of a body that nobody wants, so that its sender comes to read the answer.
pub(crate) async fn discard(body: Body, limits: Limits) {
    let most = limits.max.saturating_mul(PATIENCE);
    let reading = async {
        let Body::Stream(mut stream) = body else {
            return;
        };
        let mut read = 0_usize;
        while let Some(Ok(chunk)) = stream.next().await {
            read = read.saturating_add(chunk.len());
            if read > most {
                return;
            }
        }
    };
    // Whether it came to its end or not: the answer is the same.
    tokio::time::timeout(limits.idle, reading).await.ok();
}

/// A stream behind a lock that is never contended: only `&mut` reaches it.
struct Shareable<S>(Mutex<S>);

impl<S: Stream + Unpin> Stream for Shareable<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let stream = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        stream.poll_next_unpin(cx)
    }
}

/// Why a body was not decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Undecoded {
    /// What comes out is over the limit.
    TooLarge,
    /// It can't be decoded, or two readers could decode it differently.
    Malformed(Malformed),
}

/// Above this, decoding is not done between other requests' work.
const LONG: usize = 64 * 1024;

/// Undoes the `Content-Encoding`, and takes it out of the headers.
pub(crate) async fn decode(
    headers: &mut HeaderMap,
    body: Bytes,
    max: usize,
) -> Result<Bytes, Undecoded> {
    let Some(encoding) = encoding(headers)? else {
        headers.remove(CONTENT_ENCODING);
        return Ok(body);
    };
    let decoded = if body.len() > LONG {
        let work = tokio::task::spawn_blocking(move || inflate(encoding, &body, max));
        work.await
            .unwrap_or_else(|_| Err(malformed("the body can't be decompressed")))?
    } else {
        inflate(encoding, &body, max)?
    };
    headers.remove(CONTENT_ENCODING);
    Ok(decoded)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Deflate,
}

fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Undecoded> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("?").trim().to_ascii_lowercase();
    match text.as_str() {
        _ if values.next().is_some() => {}
        "" | "identity" => return Ok(None),
        "gzip" | "x-gzip" => return Ok(Some(Encoding::Gzip)),
        "deflate" => return Ok(Some(Encoding::Deflate)),
        _ => {}
    }
    Err(Undecoded::Malformed(Malformed::new(
        "unsupported_encoding",
        "`Content-Encoding`: expected one of `gzip`, `deflate`, `identity`, once",
    )))
}

fn inflate(encoding: Encoding, body: &[u8], max: usize) -> Result<Bytes, Undecoded> {
    if body.is_empty() {
        return Ok(Bytes::new());
    }
    let (decoded, rest) = match encoding {
        Encoding::Gzip => {
            let mut decoder = GzDecoder::new(body);
            (drain(&mut decoder, max)?, decoder.into_inner())
        }
        // The name means zlib's form; some send the bare one.
        Encoding::Deflate if is_zlib(body) => {
            let mut decoder = ZlibDecoder::new(body);
            (drain(&mut decoder, max)?, decoder.into_inner())
        }
        Encoding::Deflate => {
            let mut decoder = DeflateDecoder::new(body);
            (drain(&mut decoder, max)?, decoder.into_inner())
        }
    };
    if !rest.is_empty() {
        // Some readers take what follows as more of the body, some don't.
        return Err(malformed("bytes follow the end of the compressed body"));
    }
    Ok(decoded)
}

/// The two bytes that begin zlib's form: method 8, and a checksum over both.
fn is_zlib(body: &[u8]) -> bool {
    match body {
        [first, second, ..] => {
            first & 0x0f == 8 && (u16::from(*first) * 256 + u16::from(*second)) % 31 == 0
        }
        _ => false,
    }
}

fn drain(decoder: &mut impl Read, max: usize) -> Result<Bytes, Undecoded> {
    let mut decoded = Vec::new();
    decoder
        .take(count(max).saturating_add(1))
        .read_to_end(&mut decoded)
        .map_err(|_| malformed("the body is not what its `Content-Encoding` says"))?;
    if decoded.len() > max {
        return Err(Undecoded::TooLarge);
    }
    Ok(decoded.into())
}

fn malformed(message: &str) -> Undecoded {
    Undecoded::Malformed(Malformed::new("broken_encoding", message))
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
