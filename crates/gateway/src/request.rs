//! From the wire to a native request.

use axum::body::Body as Incoming;
use bytes::Bytes;
use crmgate_connector::{Body, Class, Malformed, NativeRequest, Refusal, RequestHead};
use crmgate_domain::Mode;
use crmgate_listen::Peer;
use http::{Request, Uri};
use url::Url;

use crate::body::{self, Limits, Undecoded, Unread};
use crate::doors::Door;
use crate::headers;

/// A request that came in, its body not yet read.
pub(crate) struct Arrived {
    pub(crate) head: RequestHead,
    pub(crate) body: Incoming,
}

/// Cleans the head. `None` when the request does not tell which address of ours it was meant for.
pub(crate) fn arrive(request: Request<Incoming>, peer: &Peer, door: &Door) -> Option<Arrived> {
    let (mut parts, body) = request.into_parts();
    let gate = if let Some(url) = &door.public_url {
        url.clone()
    } else {
        let authority = peer.authority.as_ref()?;
        Url::parse(&format!("{}://{authority}/", peer.scheme())).ok()?
    };
    headers::clean_request(&mut parts.headers);
    let head = RequestHead {
        method: parts.method,
        uri: origin_form(parts.uri),
        headers: parts.headers,
        gate,
    };
    Some(Arrived { head, body })
}

/// Path and query alone: HTTP/2, and proxies, write the host before them.
fn origin_form(uri: Uri) -> Uri {
    if uri.authority().is_none() {
        return uri;
    }
    let mut parts = uri.into_parts();
    parts.scheme = None;
    parts.authority = None;
    Uri::from_parts(parts).unwrap_or_default()
}

/// Reads the body as the class wants it. The class may change by it.
///
/// What is written is judged on the whole, decoded body. What can't be read so is refused; where
/// the connection only observes, it becomes a request that is not understood and flows on as it
/// came. Bodies of refused requests are read all the same: a client that is still sending when its
/// connection closes never sees the answer.
pub(crate) async fn ready(
    class: Class,
    mut head: RequestHead,
    incoming: Incoming,
    mode: Mode,
    limits: Limits,
) -> Result<(Class, NativeRequest), Refusal> {
    let observes = mode == Mode::Observe;
    let judged = matches!(class, Class::Write(_) | Class::SignIn(_));
    if observes && matches!(class, Class::Unknown { .. }) {
        let body = body::flowing(incoming, limits.idle);
        return Ok((class, NativeRequest { head, body }));
    }
    let raw = match body::read(incoming, limits).await {
        Ok(raw) => raw,
        Err(Unread::Broken(why)) => return Err(incomplete(&why)),
        Err(Unread::TooLarge(body)) => {
            return too_large(class, head, body, observes, limits).await;
        }
    };
    match body::decode(&mut head.headers, raw.clone(), limits.max).await {
        Ok(decoded) => Ok((class, whole(head, decoded))),
        // What is not judged is the CRM's to understand.
        Err(_) if !judged => Ok((class, whole(head, raw))),
        Err(Undecoded::TooLarge) => too_large(class, head, Body::Full(raw), observes, limits).await,
        Err(Undecoded::Malformed(malformed)) if observes && is_write(&class) => {
            let class = Class::Unknown {
                why: malformed.message,
            };
            Ok((class, whole(head, raw)))
        }
        Err(Undecoded::Malformed(malformed)) => Err(Refusal::Malformed(malformed)),
    }
}

async fn too_large(
    class: Class,
    head: RequestHead,
    body: Body,
    observes: bool,
    limits: Limits,
) -> Result<(Class, NativeRequest), Refusal> {
    match class {
        Class::Open(_) | Class::Read(_) => Ok((class, NativeRequest { head, body })),
        Class::Write(_) if observes => {
            let why = format!("the body is longer than {} bytes", limits.max);
            Ok((Class::Unknown { why }, NativeRequest { head, body }))
        }
        Class::Write(_) | Class::SignIn(_) => {
            body::discard(body, limits).await;
            Err(Refusal::TooLarge { limit: limits.max })
        }
        Class::Unknown { why } => {
            body::discard(body, limits).await;
            Err(Refusal::NotUnderstood { message: why })
        }
    }
}

const fn is_write(class: &Class) -> bool {
    matches!(class, Class::Write(_))
}

const fn whole(head: RequestHead, body: Bytes) -> NativeRequest {
    NativeRequest {
        head,
        body: Body::Full(body),
    }
}

fn incomplete(why: &str) -> Refusal {
    Refusal::Malformed(Malformed::new(
        "body_incomplete",
        format!("the body did not come whole: {why}"),
    ))
}
