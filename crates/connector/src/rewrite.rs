//! Link rewriting: a client that follows what an answer says must arrive at the gate again.
//!
//! Answers flow through [`Links::body`] chunk by chunk. Only string values directly under listed
//! keys are looked at; every other byte leaves as it came. What is not JSON passes unchanged.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::Body;

#[cfg(test)]
mod tests;

/// Which JSON keys hold links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkKeys {
    /// Whole names.
    pub exact: &'static [&'static str],
    /// Ends of names: `@odata.nextLink`, which also stands behind a property's name.
    pub suffixes: &'static [&'static str],
}

impl LinkKeys {
    fn contain(self, key: &str) -> bool {
        self.exact.contains(&key) || self.suffixes.iter().any(|suffix| key.ends_with(suffix))
    }
}

/// Origins to replace by another, in one direction.
///
/// An origin is compared as a URL reader would: scheme and host in any case, a default port or
/// none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    from: Arc<[String]>,
    to: String,
}

impl Links {
    /// Links to any of `from` become links to `to`; paths stay.
    #[must_use]
    pub fn new<'a>(from: impl IntoIterator<Item = &'a Url>, to: &Url) -> Self {
        Self {
            from: from
                .into_iter()
                .map(|url| url.origin().ascii_serialization())
                .collect(),
            to: to.origin().ascii_serialization(),
        }
    }

    /// One URL, rewritten when it points to a known origin.
    #[must_use]
    pub fn url<'a>(&self, url: &'a str) -> Cow<'a, str> {
        match self.known_origin(url) {
            Some(rest) => Cow::Owned(format!("{}{rest}", self.to)),
            None => Cow::Borrowed(url),
        }
    }

    /// What follows the origin, when it is a known one.
    fn known_origin<'a>(&self, url: &'a str) -> Option<&'a str> {
        let (scheme, after) = url.split_once("://")?;
        if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
            return None;
        }
        let end = after.find(['/', '?', '#', '\\']).unwrap_or(after.len());
        let (authority, rest) = (after.get(..end)?, after.get(end..)?);
        let parsed = Url::parse(&format!("{scheme}://{authority}/")).ok()?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return None;
        }
        let origin = parsed.origin().ascii_serialization();
        self.from.contains(&origin).then_some(rest)
    }

    /// Every URL of a known origin anywhere in a text that is not JSON: XML, plain text.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut out = String::new();
        let mut done = 0;
        for (at, _) in text.match_indices("http") {
            let Some(candidate) = text.get(at..) else {
                continue;
            };
            let end = candidate
                .find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\'' | '&'))
                .unwrap_or(candidate.len());
            let url = candidate.get(..end).unwrap_or_default();
            if at < done {
                continue;
            }
            if let Cow::Owned(rewritten) = self.url(url) {
                out.push_str(text.get(done..at).unwrap_or_default());
                out.push_str(&rewritten);
                done = at + end;
            }
        }
        if done == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(text.get(done..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// The named headers, rewritten in place.
    pub fn headers(&self, headers: &mut HeaderMap, names: &[HeaderName]) {
        for name in names {
            let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) else {
                continue;
            };
            if let Cow::Owned(text) = self.text(value)
                && let Ok(value) = HeaderValue::from_str(&text)
            {
                headers.insert(name.clone(), value);
            }
        }
    }

    /// A JSON body, whole or flowing, with the links under `keys` rewritten.
    #[must_use]
    pub fn body(&self, body: Body, keys: LinkKeys) -> Body {
        match body {
            Body::Full(bytes) => Body::Full(self.json(&bytes, keys)),
            Body::Stream(stream) => {
                let rewriter = JsonRewriter::new(self.clone(), keys);
                let rewritten = futures::stream::unfold(
                    (stream, Some(rewriter)),
                    |(mut stream, rewriter)| async move {
                        let mut rewriter = rewriter?;
                        Some(match stream.next().await {
                            Some(Ok(chunk)) => {
                                let mut out = Vec::with_capacity(chunk.len() + 64);
                                rewriter.feed(&chunk, &mut out);
                                (Ok(Bytes::from(out)), (stream, Some(rewriter)))
                            }
                            Some(Err(error)) => (Err(error), (stream, None)),
                            None => (Ok(Bytes::from(rewriter.finish())), (stream, None)),
                        })
                    },
                );
                // A piece of a link can be held back, which leaves an empty chunk.
                let full = rewritten
                    .filter(|chunk| std::future::ready(!chunk.as_ref().is_ok_and(Bytes::is_empty)));
                Body::Stream(Box::pin(full))
            }
        }
    }

    /// A whole JSON text with the links under `keys` rewritten.
    #[must_use]
    pub fn json(&self, body: &Bytes, keys: LinkKeys) -> Bytes {
        let mut out = Vec::with_capacity(body.len() + 64);
        let mut rewriter = JsonRewriter::new(self.clone(), keys);
        rewriter.feed(body, &mut out);
        out.extend(rewriter.finish());
        if out == **body {
            body.clone()
        } else {
            out.into()
        }
    }
}

/// Rewrites one JSON text as it flows by.
struct JsonRewriter {
    links: Links,
    keys: LinkKeys,
    place: Place,
    /// The string that just ended, with its quotes: a key if a colon follows.
    last: Vec<u8>,
    /// Whether the value that starts next stands under a listed key.
    armed: bool,
    /// The raw link that is being collected, from its opening quote on.
    link: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Between,
    /// In a string that flows on at once; `escaped` after a backslash.
    Text {
        escaped: bool,
    },
    /// In a string that is held back.
    Link {
        escaped: bool,
    },
}

/// No listed key is longer; longer strings are not kept.
const LONGEST_KEY: usize = 512;

impl JsonRewriter {
    fn new(links: Links, keys: LinkKeys) -> Self {
        Self {
            links,
            keys,
            place: Place::Between,
            last: Vec::new(),
            armed: false,
            link: Vec::new(),
        }
    }

    fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        for &byte in chunk {
            match self.place {
                Place::Between => self.between(byte, out),
                Place::Text { escaped } => {
                    out.push(byte);
                    if self.last.len() <= LONGEST_KEY {
                        self.last.push(byte);
                    }
                    self.place = match byte {
                        b'"' if !escaped => Place::Between,
                        _ => Place::Text {
                            escaped: byte == b'\\' && !escaped,
                        },
                    };
                }
                Place::Link { escaped } => {
                    self.link.push(byte);
                    if byte == b'"' && !escaped {
                        self.place = Place::Between;
                        self.end_link(out);
                    } else {
                        self.place = Place::Link {
                            escaped: byte == b'\\' && !escaped,
                        };
                    }
                }
            }
        }
    }

    fn between(&mut self, byte: u8, out: &mut Vec<u8>) {
        if byte == b'"' && self.armed {
            self.armed = false;
            self.link.push(byte);
            self.place = Place::Link { escaped: false };
            return;
        }
        out.push(byte);
        match byte {
            b'"' => {
                self.last.clear();
                self.last.push(byte);
                self.place = Place::Text { escaped: false };
            }
            b':' => {
                self.armed = serde_json::from_slice::<String>(&self.last)
                    .is_ok_and(|key| self.keys.contain(&key));
                self.last.clear();
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => {
                self.armed = false;
                self.last.clear();
            }
        }
    }

    fn end_link(&mut self, out: &mut Vec<u8>) {
        let raw = std::mem::take(&mut self.link);
        let rewritten = serde_json::from_slice::<String>(&raw)
            .ok()
            .and_then(|link| match self.links.url(&link) {
                Cow::Owned(link) => serde_json::to_vec(&link).ok(),
                Cow::Borrowed(_) => None,
            });
        out.extend(rewritten.unwrap_or(raw));
    }

    /// What is still held back: a text that ended in the middle of a link.
    fn finish(self) -> Vec<u8> {
        self.link
    }
}
