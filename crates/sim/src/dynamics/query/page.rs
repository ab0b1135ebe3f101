//! Pages: the cookie that the link to the next one carries.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use uuid::Uuid;

use super::super::error::{ApiError, Outcome};
use super::options::Options;

/// What the service leaves as it is inside a cookie that is encoded once.
const INNER: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'%')
    .add(b'=')
    .add(b'{')
    .add(b'}')
    .add(b'/')
    .add(b'&')
    .add(b'+');
/// The cookie as a whole in the link.
const OUTER: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'<')
    .add(b'>')
    .add(b'"')
    .add(b'&')
    .add(b'+')
    .add(b'#');

/// Beyond this no page is.
pub(super) const MAX_PAGE: usize = 1_000_000;

/// Where the next page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub(crate) page: usize,
    /// The row with which the page before ended.
    pub(crate) last: Uuid,
}

impl Cookie {
    /// The cookie inside `pagingcookie`, not yet encoded.
    pub(crate) fn plain(&self, first: Uuid, id_column: &str) -> String {
        let braced = |id: Uuid| id.braced().to_string().to_uppercase();
        format!(
            "<cookie page=\"{}\"><{id_column} last=\"{}\" first=\"{}\" /></cookie>",
            self.page - 1,
            braced(self.last),
            braced(first)
        )
    }

    /// Encoded twice, as it stands in answers.
    pub(crate) fn sealed(&self, first: Uuid, id_column: &str) -> String {
        let once = lower(&utf8_percent_encode(&self.plain(first, id_column), INNER).to_string());
        lower(&utf8_percent_encode(&once, INNER).to_string())
    }

    /// The value of `$skiptoken`.
    pub(crate) fn token(&self, first: Uuid, id_column: &str) -> String {
        let cookie = format!(
            "<cookie pagenumber=\"{}\" pagingcookie=\"{}\" istracking=\"False\" />",
            self.page,
            self.sealed(first, id_column)
        );
        // `=` and `/` stay as they are here: the service's own links look so.
        utf8_percent_encode(&cookie, OUTER).to_string()
    }

    /// Reads a `$skiptoken` of which the address's own encoding is already undone.
    pub(crate) fn read(token: &str) -> Outcome<Self> {
        let bad = || ApiError::bad_request("0x80048d19", "Malformed Query : Invalid $skiptoken");
        let page = attribute(token, "pagenumber")
            .and_then(|text| text.parse().ok())
            .filter(|page| (2..=MAX_PAGE).contains(page))
            .ok_or_else(bad)?;
        let sealed = attribute(token, "pagingcookie").ok_or_else(bad)?;
        let last = Self::last(sealed).ok_or_else(bad)?;
        Ok(Self { page, last })
    }

    /// The last row's identifier in a paging cookie, however often it is encoded.
    pub(crate) fn last(sealed: &str) -> Option<Uuid> {
        let mut text = sealed.to_owned();
        for _ in 0..3 {
            if let Some(last) = attribute(&text, "last") {
                return Uuid::try_parse(last.trim_matches(['{', '}'])).ok();
            }
            text = percent_decode_str(&text).decode_utf8().ok()?.into_owned();
        }
        None
    }
}

/// The address of the next page: the query as it came, with the new token.
pub(crate) fn next_link(address: &str, options: &Options, token: &str) -> String {
    let mut query = String::new();
    for (name, value) in &options.raw {
        let plain = percent_decode_str(name).decode_utf8_lossy();
        if plain != "$skiptoken" {
            query.push_str(&format!("{plain}={value}&"));
        }
    }
    format!("{address}?{query}$skiptoken={token}")
}

fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// The service writes its escapes in lower case here.
fn lower(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut left = 0;
    for letter in text.chars() {
        if letter == '%' {
            left = 2;
            out.push(letter);
        } else if left > 0 {
            left -= 1;
            out.push(letter.to_ascii_lowercase());
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_looks_real_and_reads_back() {
        let (last, first) = (Uuid::from_u128(7), Uuid::from_u128(3));
        let cookie = Cookie { page: 2, last };
        let token = cookie.token(first, "accountid");
        assert!(
            token.starts_with("%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%253ccookie%2520page%253d%25221%2522"),
            "{token}"
        );
        assert!(token.ends_with("istracking=%22False%22%20/%3E"), "{token}");
        let decoded = percent_decode_str(&token).decode_utf8().unwrap();
        assert_eq!(Cookie::read(&decoded).unwrap(), cookie);
        assert!(Cookie::read("<cookie pagenumber=\"2\" />").is_err());
    }
}
