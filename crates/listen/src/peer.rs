//! Who calls, on the network.

use std::net::IpAddr;

use http::header::{self, HeaderMap};
use http::uri::Authority;
use http::{Request, Version};
use ipnet::IpNet;

use crate::{ForwardedHeaders, forwarded};

/// Where a request comes from and which address of ours it was meant for. Every request that
/// passed a [`Listener`](crate::Listener) has one among its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The caller's address.
    pub ip: IpAddr,
    /// Whether the caller speaks TLS, to us or to a trusted proxy.
    pub secure: bool,
    /// The host and port the caller meant, if it said so: `Host`, or `:authority` in HTTP/2.
    pub authority: Option<Authority>,
}

impl Peer {
    /// `https` or `http`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The host the caller meant, without the port.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.authority.as_ref().map(Authority::host)
    }
}

/// What the socket itself tells, and whom to believe more.
pub(crate) struct Origin<'a> {
    pub(crate) ip: IpAddr,
    pub(crate) secure: bool,
    pub(crate) trusted: &'a [IpNet],
    pub(crate) headers: ForwardedHeaders,
}

/// Works out the peer and takes the forwarding headers out of the request.
///
/// # Errors
/// What is wrong with the request, in words for its sender.
pub(crate) fn identify<B>(
    request: &mut Request<B>,
    origin: &Origin<'_>,
) -> Result<Peer, &'static str> {
    let mut peer = Peer {
        ip: origin.ip.to_canonical(),
        secure: origin.secure,
        authority: authority(request)?,
    };
    let is_trusted = |ip: IpAddr| origin.trusted.iter().any(|net| net.contains(&ip));
    if is_trusted(peer.ip) {
        let said = forwarded::read(request.headers(), origin.headers, is_trusted);
        peer.ip = said.ip.unwrap_or(peer.ip);
        peer.secure = said.secure.unwrap_or(peer.secure);
        if let Some(host) = said.host {
            peer.authority = Some(parse(&host)?);
        }
    }
    forwarded::strip(request.headers_mut());
    Ok(peer)
}

/// The address in the request's target and in `Host` must agree, for the two might be read by
/// different programs.
fn authority<B>(request: &Request<B>) -> Result<Option<Authority>, &'static str> {
    let target = request.uri().authority();
    let host = host_header(request.headers())?;
    match (target, host) {
        (Some(target), Some(host)) if !target.as_str().eq_ignore_ascii_case(host.as_str()) => {
            Err("the host in the request's target and the one in `Host` differ")
        }
        (Some(target), _) if target.as_str().contains('@') => {
            Err("the request's target names a user")
        }
        (Some(target), _) => Ok(Some(target.clone())),
        (None, Some(host)) => Ok(Some(host)),
        (None, None) if request.version() == Version::HTTP_11 => {
            Err("the request has no `Host` header")
        }
        (None, None) => Ok(None),
    }
}

fn host_header(headers: &HeaderMap) -> Result<Option<Authority>, &'static str> {
    let mut values = headers.get_all(header::HOST).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err("the request has more than one `Host` header");
    }
    let text = value.to_str().map_err(|_| BAD_HOST)?;
    parse(text).map(Some)
}

const BAD_HOST: &str = "the request's host is not a host name or address with a port at most";

fn parse(text: &str) -> Result<Authority, &'static str> {
    let authority: Authority = text.parse().map_err(|_| BAD_HOST)?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(BAD_HOST);
    }
    Ok(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(headers: &[(&str, &str)], from: &str) -> Result<(Peer, HeaderMap), &'static str> {
        let mut request = Request::get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let origin = Origin {
            ip: from.parse().unwrap(),
            secure: false,
            trusted: &trusted,
            headers: ForwardedHeaders::XForwarded,
        };
        let peer = identify(&mut request, &origin)?;
        Ok((peer, request.headers().clone()))
    }

    #[test]
    fn a_stranger_can_claim_nothing() {
        let headers = [
            ("host", "gate.example:8701"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "other.example"),
            ("forwarded", "for=1.2.3.4;proto=https;host=other.example"),
            ("x-real-ip", "1.2.3.4"),
        ];
        let (peer, left) = peer(&headers, "9.9.9.9").unwrap();
        assert_eq!(peer.ip, "9.9.9.9".parse::<IpAddr>().unwrap());
        assert_eq!(peer.scheme(), "http");
        assert_eq!(peer.authority.unwrap().as_str(), "gate.example:8701");
        assert_eq!(left.keys().collect::<Vec<_>>(), ["host"]);
    }

    #[test]
    fn a_trusted_proxy_is_believed_also_in_mapped_notation() {
        let headers = [
            ("host", "internal:80"),
            ("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.1.1.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "gate.example"),
            ("forwarded", "for=7.7.7.7;proto=http;host=evil.example"),
        ];
        for from in ["10.2.2.2", "::ffff:10.2.2.2"] {
            let (peer, left) = peer(&headers, from).unwrap();
            assert_eq!(peer.ip, "1.2.3.4".parse::<IpAddr>().unwrap());
            assert_eq!(peer.scheme(), "https");
            assert_eq!(peer.host(), Some("gate.example"));
            assert_eq!(left.keys().collect::<Vec<_>>(), ["host"]);
        }
    }

    #[test]
    fn hosts_that_can_be_read_two_ways_are_refused() {
        for headers in [
            vec![("host", "a.example"), ("host", "b.example")],
            vec![("host", "ada@b.example")],
            vec![("host", "a.example/path")],
            vec![("host", "")],
            vec![],
        ] {
            assert!(peer(&headers, "9.9.9.9").is_err(), "{headers:?}");
        }
        let mut request = Request::get("http://a.example/").header("host", "b.example");
        request = request.version(Version::HTTP_11);
        let origin = Origin {
            ip: "9.9.9.9".parse().unwrap(),
            secure: false,
            trusted: &[],
            headers: ForwardedHeaders::XForwarded,
        };
        assert!(identify(&mut request.body(()).unwrap(), &origin).is_err());
    }
}
