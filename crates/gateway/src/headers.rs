//! Which headers may cross the gate at all. What a CRM takes beyond that is its connector's word.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Headers of one connection, never of the message.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Our own headers begin so. Nobody else's word counts in them, in either direction.
const OURS: &str = "crmgate-";

/// The one thing that a caller may say in a header of ours: why it asks.
const PURPOSE: &str = "crmgate-purpose";

/// What is taken out of a request before a connector sees it.
pub(crate) fn clean_request(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    remove_ours(headers, PURPOSE);
    // Already answered by the listener when the body is read.
    headers.remove(header::EXPECT);
    hide_secrets(headers);
}

/// Parts of names of headers that carry credentials, whatever a CRM's clients call theirs.
const SECRET: [&str; 6] = ["auth", "cookie", "key", "secret", "session", "token"];

/// Marks credentials, so that nothing that formats a request shows them.
fn hide_secrets(headers: &mut HeaderMap) {
    for (name, value) in headers.iter_mut() {
        let name = name.as_str();
        if SECRET.iter().any(|part| name.contains(part)) {
            value.set_sensitive(true);
        }
    }
}

/// What is taken out of an answer before a client sees it.
pub(crate) fn clean_response(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    remove_ours(headers, "");
    // Would send the client round the gate.
    headers.remove(header::ALT_SVC);
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn remove_ours(headers: &mut HeaderMap, but: &str) {
    let ours: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(OURS) && name.as_str() != but)
        .cloned()
        .collect();
    for name in ours {
        headers.remove(name);
    }
}

/// Text as a header's value; what a header can't hold becomes `?`.
pub(crate) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| {
        let safe: String = text
            .chars()
            .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
            .collect();
        HeaderValue::from_str(&safe).unwrap_or_else(|_| HeaderValue::from_static("?"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_connection_s_own_headers_and_ours_stay_outside() {
        let mut request = headers(&[
            ("connection", "close, X-Private"),
            ("connection", "x-other"),
            ("x-private", "1"),
            ("x-other", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
            ("proxy-authorization", "Basic x"),
            ("crmgate-decision", "forged"),
            ("crmgate-purpose", "quarterly clean-up"),
            ("authorization", "Bearer t"),
            ("content-type", "application/json"),
        ]);
        clean_request(&mut request);
        let mut left: Vec<_> = request.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "content-type", "crmgate-purpose"]);
    }

    #[test]
    fn a_request_that_is_formatted_shows_no_credential() {
        let mut request = headers(&[
            ("authorization", "Bearer s3cret"),
            ("x-acme-session", "s3cret"),
            ("cookie", "sid=s3cret"),
            ("content-type", "application/json"),
        ]);
        clean_request(&mut request);
        let text = format!("{request:?}");
        assert!(!text.contains("s3cret") && text.contains("json"), "{text}");
    }

    #[test]
    fn an_answer_can_neither_forge_our_word_nor_lead_round_the_gate() {
        let mut response = headers(&[
            ("crmgate-effect", "allow"),
            ("alt-svc", "h3=\"crm.example:443\""),
            ("keep-alive", "timeout=5"),
            ("etag", "W/\"1\""),
        ]);
        clean_response(&mut response);
        assert_eq!(response.keys().collect::<Vec<_>>(), ["etag"]);
    }

    #[test]
    fn a_value_cannot_break_out_of_its_line() {
        assert_eq!(value("a\r\nb: c"), "a??b: c");
        assert_eq!(value("code_1, code_2"), "code_1, code_2");
    }
}
