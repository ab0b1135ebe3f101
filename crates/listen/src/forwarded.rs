//! What proxies say about the caller.

use std::net::{IpAddr, SocketAddr};

use http::header::{self, HeaderMap, HeaderName};

use crate::ForwardedHeaders;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// All headers by which a proxy, or somebody who plays one, speaks about the caller.
const ALL: [HeaderName; 10] = [
    header::FORWARDED,
    FOR,
    PROTO,
    HOST,
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-forwarded-ssl"),
    HeaderName::from_static("x-forwarded-by"),
    HeaderName::from_static("x-real-ip"),
];

/// What a trusted proxy said; `None` where it said nothing that can be understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) ip: Option<IpAddr>,
    pub(crate) secure: Option<bool>,
    pub(crate) host: Option<String>,
}

pub(crate) fn strip(headers: &mut HeaderMap) {
    for name in ALL {
        headers.remove(name);
    }
}

pub(crate) fn read(
    headers: &HeaderMap,
    kind: ForwardedHeaders,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Said {
    match kind {
        ForwardedHeaders::XForwarded => x_forwarded(headers, is_trusted),
        ForwardedHeaders::Forwarded => forwarded(headers, is_trusted),
    }
}

/// Each proxy appends the address it was called from. From the right, the first address that is no
/// trusted proxy's is the caller's; everything to its left is only the caller's claim.
fn x_forwarded(headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Said {
    let mut ip = None;
    for value in list(headers, &FOR).iter().rev() {
        let Some(address) = address(value) else {
            break;
        };
        ip = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    Said {
        ip,
        secure: list(headers, &PROTO).last().and_then(|it| secure(it)),
        host: list(headers, &HOST).pop(),
    }
}

/// As above; scheme and host are taken from the element that names the caller, for the proxy that
/// was called by it wrote them.
fn forwarded(headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Said {
    let mut said = Said::default();
    // Line by line: a quote that a caller left open must not swallow what a proxy added.
    for element in list(headers, &header::FORWARDED).iter().rev() {
        let mut here = Said::default();
        for pair in split_quoted(element, ';') {
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            let value = unquote(value.trim());
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => here.ip = address(&value),
                "proto" => here.secure = secure(&value),
                "host" => here.host = Some(value),
                _ => {}
            }
        }
        let Some(ip) = here.ip else {
            break;
        };
        said = here;
        if !is_trusted(ip) {
            break;
        }
    }
    said
}

fn list(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| split_quoted(value, ','))
        .collect()
}

fn secure(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "https" => Some(true),
        "http" => Some(false),
        _ => None,
    }
}

/// An address, with or without a port: `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]`, `[::1]:5`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let parsed = bare
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|it| it.ip()));
    parsed.ok().map(|ip| ip.to_canonical())
}

/// Splits at `at`, but not inside of double quotes; the parts are trimmed and never empty.
fn split_quoted(text: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut escaped = false;
    for character in text.chars() {
        if character == at && !quoted {
            parts.push(String::new());
            continue;
        }
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    let trimmed = parts.iter().map(|part| part.trim().to_owned());
    trimmed.filter(|part| !part.is_empty()).collect()
}

fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|it| it.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut plain = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        if character == '\\' {
            plain.extend(characters.next());
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &'static str, values: &[&str], kind: ForwardedHeaders) -> Said {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        read(&headers, kind, |ip| ip.to_string().starts_with("10."))
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn the_first_stranger_from_the_right_is_the_caller() {
        let x = |values: &[&str]| said("x-forwarded-for", values, ForwardedHeaders::XForwarded).ip;
        assert_eq!(x(&["1.1.1.1"]), ip("1.1.1.1"));
        assert_eq!(x(&["6.6.6.6, 1.1.1.1:443, 10.0.0.1"]), ip("1.1.1.1"));
        assert_eq!(x(&["6.6.6.6", "1.1.1.1, 10.0.0.1"]), ip("1.1.1.1"));
        assert_eq!(x(&["[2001:db8::1]:9, 10.0.0.1"]), ip("2001:db8::1"));
        assert_eq!(x(&["10.0.0.2, 10.0.0.1"]), ip("10.0.0.2"));
        assert_eq!(x(&["1.1.1.1, garbage, 10.0.0.1"]), ip("10.0.0.1"));
        assert_eq!(x(&[]), None);
    }

    #[test]
    fn the_standard_header_is_read_with_its_quotes() {
        let values = [
            "for=6.6.6.6;host=evil.example;proto=http",
            r#"for="[2001:db8::1]:4711";proto=https;host="gate.example:8701", For=10.0.0.1;proto=http"#,
        ];
        let said = said("forwarded", &values, ForwardedHeaders::Forwarded);
        assert_eq!(said.ip, ip("2001:db8::1"));
        assert_eq!(said.secure, Some(true));
        assert_eq!(said.host.as_deref(), Some("gate.example:8701"));
    }

    #[test]
    fn an_open_quote_of_the_caller_hides_nobody() {
        for claim in ["for=\"", "for=6.6.6.6;host=\"x", "\\\""] {
            let said = said(
                "forwarded",
                &[claim, "for=1.1.1.1"],
                ForwardedHeaders::Forwarded,
            );
            assert_eq!(said.ip, ip("1.1.1.1"), "{claim}");
        }
    }

    #[test]
    fn an_obfuscated_identifier_ends_the_walk() {
        let values = ["for=1.1.1.1, for=_hidden, for=10.0.0.1;proto=https"];
        let said = said("forwarded", &values, ForwardedHeaders::Forwarded);
        assert_eq!(said.ip, ip("10.0.0.1"));
        assert_eq!(said.secure, Some(true));
    }

    /// Whatever a header holds: no panic, and somebody who is not trusted is never passed over.
    #[test]
    fn reading_survives_everything() {
        bolero::check!()
            .with_iterations(2000)
            .for_each(|input: &[u8]| {
                let Ok(value) = http::HeaderValue::from_bytes(input) else {
                    return;
                };
                for (name, kind) in [
                    (FOR, ForwardedHeaders::XForwarded),
                    (header::FORWARDED, ForwardedHeaders::Forwarded),
                ] {
                    let mut headers = HeaderMap::new();
                    headers.append(name.clone(), value.clone());
                    read(&headers, kind, |_| true);
                    headers.append(name, "for=9.9.9.9".parse().unwrap());
                    if kind == ForwardedHeaders::Forwarded {
                        assert_eq!(read(&headers, kind, |_| false).ip, ip("9.9.9.9"));
                    }
                }
            });
    }
}
