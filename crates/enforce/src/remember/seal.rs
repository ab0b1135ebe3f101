//! What is kept to find out whether a write happened, under a key that is not kept with it.
//!
//! Reading back needs the values that were written, for as long as the outcome is not known: whole
//! ones, which no mask may touch. So the store gets them sealed.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crmgate_decision_log::HashKey;
use crmgate_domain::{Ambient, Document, Object};
use crmgate_store::{Locate, ReadBack};
use serde::{Deserialize, Serialize};

/// The one member of what is expected, when it is sealed. No field of a CRM has such a name.
const SEALED: &str = "$sealed";
/// What the key is for.
const PURPOSE: &str = "read-back";

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Secret {
    locate: Locate,
    expect: Object,
}

/// A read-back whose values only this gate can read.
pub(crate) fn seal(read_back: &ReadBack, key: &HashKey, ambient: &dyn Ambient) -> ReadBack {
    let secret = Secret {
        locate: read_back.locate.clone(),
        expect: read_back.expect.clone(),
    };
    let mut expect = Object::new();
    let text = sealed(&secret, key, ambient);
    // Without it the write ends as uncertain: a person looks, and nothing leaks.
    expect.set(SEALED, text.map_or(Document::Null, Document::from));
    ReadBack {
        locate: Locate::Nowhere,
        expect,
        ..read_back.clone()
    }
}

/// A read-back as it was before it was sealed; one that cannot be read leads nowhere.
pub(crate) fn unseal(read_back: &ReadBack, key: &HashKey) -> ReadBack {
    let Some(sealed) = read_back.expect.get(SEALED) else {
        return read_back.clone();
    };
    let secret = sealed.as_str().and_then(|text| unsealed(text, key));
    let secret = secret.unwrap_or_else(|| Secret {
        locate: Locate::Nowhere,
        expect: Object::new(),
    });
    ReadBack {
        locate: secret.locate,
        expect: secret.expect,
        ..read_back.clone()
    }
}

fn aead(key: &HashKey) -> Option<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, &key.derived(PURPOSE)?).ok()?;
    Some(LessSafeKey::new(key))
}

fn sealed(secret: &Secret, key: &HashKey, ambient: &dyn Ambient) -> Option<String> {
    let random = ambient.random();
    let nonce = random.get(..NONCE_LEN)?;
    let mut text = serde_json::to_vec(secret).ok()?;
    let taken = Nonce::try_assume_unique_for_key(nonce).ok()?;
    aead(key)?
        .seal_in_place_append_tag(taken, Aad::from(PURPOSE), &mut text)
        .ok()?;
    Some(STANDARD.encode([nonce, &text].concat()))
}

fn unsealed(text: &str, key: &HashKey) -> Option<Secret> {
    let bytes = STANDARD.decode(text).ok()?;
    let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = text.to_vec();
    let text = aead(key)?
        .open_in_place(nonce, Aad::from(PURPOSE), &mut text)
        .ok()?;
    serde_json::from_slice(text).ok()
}

#[cfg(test)]
mod tests {
    use crmgate_store::suite::{Ticking, full_record};

    use super::*;

    #[test]
    fn only_the_key_opens_what_is_sealed() {
        let ambient = Ticking::default();
        let mut plain = full_record(&ambient).read_back.unwrap();
        plain.expect.set("Email", "ada@planted.example".into());
        plain.locate = Locate::Key {
            field: "Email".to_owned(),
            value: "ada@planted.example".to_owned(),
        };
        let (key, other) = (HashKey::new(b"one"), HashKey::new(b"two"));
        let sealed = seal(&plain, &key, &ambient);
        let stored = serde_json::to_string(&sealed).unwrap();
        assert!(
            !stored.contains("planted") && !stored.contains("Email"),
            "{stored}"
        );
        assert_eq!(
            (sealed.join_key, &sealed.version),
            (plain.join_key, &plain.version)
        );
        let read: ReadBack = serde_json::from_str(&stored).unwrap();
        assert_eq!(unseal(&read, &key), plain);
        assert_eq!(unseal(&plain, &key), plain);
        let lost = unseal(&read, &other);
        assert_eq!((lost.locate, lost.expect.len()), (Locate::Nowhere, 0));
    }
}
