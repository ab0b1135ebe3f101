//! What a name tells about its value where no mapping does.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

/// What a name hints at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hint {
    /// A credential: kept nowhere.
    Secret,
    /// Something about a person.
    Personal,
}

/// Parts of names of credentials.
const SECRET: [&str; 22] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "privatekey",
    "private_key",
    "credential",
    "authorization",
    "signature",
    "assertion",
    "sessionid",
    "session_id",
    "cookie",
    "pincode",
    "cvv",
];
/// Whole names of credentials: parts of too many other words.
const SECRET_WHOLE: [&str; 8] = ["sid", "sig", "pin", "code", "auth", "key", "otp", "jwt"];
/// Parts of names of what is about a person.
const PERSONAL: [&str; 18] = [
    "email",
    "e_mail",
    "e-mail",
    "phone",
    "mobile",
    "birth",
    "ssn",
    "socialsec",
    "social_sec",
    "passport",
    "iban",
    "taxid",
    "tax_id",
    "firstname",
    "first_name",
    "lastname",
    "last_name",
    "nationalid",
];

struct Words {
    parts: AhoCorasick,
    secrets: usize,
}

static WORDS: LazyLock<Option<Words>> = LazyLock::new(|| {
    let all = SECRET.iter().chain(&PERSONAL);
    let parts = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .build(all);
    Some(Words {
        parts: parts.ok()?,
        secrets: SECRET.len(),
    })
});

/// What a field's or parameter's name hints at.
#[must_use]
pub fn hint(name: &str) -> Option<Hint> {
    if SECRET_WHOLE
        .iter()
        .any(|word| name.eq_ignore_ascii_case(word))
    {
        return Some(Hint::Secret);
    }
    // A test builds the words, so that what cannot be told is never seen.
    let Some(words) = WORDS.as_ref() else {
        return Some(Hint::Secret);
    };
    let mut found = None;
    for hit in words.parts.find_overlapping_iter(name) {
        if hit.pattern().as_usize() < words.secrets {
            return Some(Hint::Secret);
        }
        found = Some(Hint::Personal);
    }
    found
}
