//! Messages in several parts: how a batch is written, and how its answer is read.
//!
//! Heads are read by `httparse`; what lies between the boundaries is read here, strictly: what is
//! not as the standard says is no part, and a message without its end says so.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use crate::upstream::{Answer, Call};

const CONTENT_ID: HeaderName = HeaderName::from_static("content-id");
/// The most headers of a part.
const MOST_HEADERS: usize = 64;
/// The longest boundary that the standard allows.
const LONGEST_BOUNDARY: usize = 70;

/// A message, as far as it came.
#[derive(Debug, Default)]
pub(crate) struct Message<'a> {
    /// In order; `None` for a part that cannot be read.
    pub(crate) parts: Vec<Option<Part<'a>>>,
    /// What came of a part whose end did not.
    pub(crate) cut_off: Option<Part<'a>>,
    /// Whether its end came, too.
    pub(crate) whole: bool,
}

/// One part.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) headers: HeaderMap,
    pub(crate) body: &'a [u8],
}

/// The boundary of a `multipart/mixed`; `None` when it is something else.
pub(crate) fn boundary(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (essence, rest) = text.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/mixed") {
        return None;
    }
    let value = rest.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let named = name.trim().eq_ignore_ascii_case("boundary");
        named.then(|| value.trim())
    })?;
    let value = value
        .strip_prefix('"')
        .map_or(Some(value), |rest| rest.strip_suffix('"'))?;
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    let good = !value.is_empty() && value.len() <= LONGEST_BOUNDARY && value.bytes().all(fits);
    good.then(|| value.to_owned())
}

/// Takes a message apart. A part counts once the boundary after it has come.
pub(crate) fn read<'a>(body: &'a [u8], boundary: &str) -> Message<'a> {
    let mut message = Message::default();
    let mut open: Option<usize> = None;
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let start = at;
        at += line.len();
        let Some(last) = delimiter(line, boundary) else {
            continue;
        };
        // Cut off in the middle of the line, it could be anything.
        let ended = last || line.ends_with(b"\n");
        if !ended {
            break;
        }
        if let Some(from) = open {
            let text = body.get(from..start).unwrap_or_default();
            message.parts.push(part(without_line_end(text)));
        }
        if last {
            message.whole = true;
            break;
        }
        open = Some(at);
    }
    if !message.whole {
        let rest = open.and_then(|from| body.get(from..));
        message.cut_off = rest.and_then(part);
    }
    message
}

/// Whether a line is this boundary, and whether it is the last one.
fn delimiter(line: &[u8], boundary: &str) -> Option<bool> {
    let rest = line
        .strip_prefix(b"--")?
        .strip_prefix(boundary.as_bytes())?;
    let (rest, last) = match rest.strip_prefix(b"--") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let padding = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    rest.iter().all(padding).then_some(last)
}

/// The line end before a boundary belongs to the boundary.
fn without_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

fn part(text: &[u8]) -> Option<Part<'_>> {
    let mut room = [httparse::EMPTY_HEADER; MOST_HEADERS];
    match httparse::parse_headers(text, &mut room) {
        Ok(httparse::Status::Complete((length, headers))) => Some(Part {
            headers: header_map(headers)?,
            body: text.get(length..)?,
        }),
        Ok(httparse::Status::Partial) | Err(_) => None,
    }
}

fn header_map(headers: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for header in headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        map.append(name, HeaderValue::from_bytes(header.value).ok()?);
    }
    Some(map)
}

impl Part<'_> {
    pub(crate) fn content_id(&self) -> Option<&str> {
        let id = self.headers.get(CONTENT_ID)?.to_str().ok()?;
        Some(id.trim())
    }

    /// The answer that the part holds; `None` when it holds none that can be read.
    pub(crate) fn answer(&self) -> Option<Answer> {
        let kind = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/http") {
            return None;
        }
        answer(self.body).or_else(|| {
            // A head that ends with the part.
            let ended = [self.body, b"\r\n\r\n"].concat();
            answer(&ended)
        })
    }
}

fn answer(text: &[u8]) -> Option<Answer> {
    let mut room = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut room);
    let Ok(httparse::Status::Complete(length)) = response.parse(text) else {
        return None;
    };
    let body = text.get(length..)?;
    let empty = body.iter().all(u8::is_ascii_whitespace);
    Some(Answer {
        status: StatusCode::from_u16(response.code?).ok()?,
        headers: header_map(response.headers)?,
        body: if empty {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(body)
        },
    })
}

/// Writes requests that stand by themselves.
pub(crate) fn requests<'a>(calls: impl Iterator<Item = &'a Call>, boundary: &str) -> Vec<u8> {
    let mut text = Vec::new();
    for call in calls {
        open(&mut text, boundary);
        request(&mut text, None, call);
    }
    close(&mut text, boundary);
    text
}

/// Writes requests that happen together or not at all, numbered from 1.
pub(crate) fn change_set<'a>(
    calls: impl Iterator<Item = &'a Call>,
    (outer, inner): (&str, &str),
) -> Vec<u8> {
    let mut text = Vec::new();
    open(&mut text, outer);
    let kind = format!("Content-Type: multipart/mixed; boundary={inner}\r\n\r\n");
    text.extend_from_slice(kind.as_bytes());
    for (index, call) in calls.enumerate() {
        open(&mut text, inner);
        request(&mut text, Some(index + 1), call);
    }
    close(&mut text, inner);
    text.extend_from_slice(b"\r\n");
    close(&mut text, outer);
    text
}

fn open(text: &mut Vec<u8>, boundary: &str) {
    text.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
}

fn close(text: &mut Vec<u8>, boundary: &str) {
    text.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
}

fn request(text: &mut Vec<u8>, id: Option<usize>, call: &Call) {
    let id = id.map_or_else(String::new, |id| format!("Content-ID: {id}\r\n"));
    let (method, path): (&Method, &str) = (&call.method, &call.path_and_query);
    let head = format!(
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n{id}\r\n\
         {method} {path} HTTP/1.1\r\n"
    );
    text.extend_from_slice(head.as_bytes());
    // A header's value cannot hold a line end.
    for (name, value) in &call.headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(&call.body);
    text.extend_from_slice(b"\r\n");
}
