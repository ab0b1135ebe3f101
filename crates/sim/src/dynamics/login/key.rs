//! The key by which the directory signs its tokens: made when the first one is signed.

use std::sync::OnceLock;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

struct Key {
    secret: EncodingKey,
    id: String,
    public: Value,
}

fn key() -> Option<&'static Key> {
    static KEY: OnceLock<Option<Key>> = OnceLock::new();
    KEY.get_or_init(make).as_ref()
}

fn make() -> Option<Key> {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).ok()?;
    let secret = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).ok()?;
    let jwk = Jwk::from_encoding_key(&secret, Algorithm::RS256).ok()?;
    let mut public = serde_json::to_value(&jwk).ok()?;
    let modulus = public.get("n")?.as_str()?;
    let id: String = modulus.chars().take(27).collect();
    let fields = public.as_object_mut()?;
    fields.insert("kid".to_owned(), json!(id));
    fields.insert("x5t".to_owned(), json!(id));
    fields.insert("use".to_owned(), json!("sig"));
    Some(Key { secret, id, public })
}

/// Signs claims.
pub(super) fn sign(claims: &Value) -> Option<String> {
    let key = key()?;
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some(key.id.clone());
    header.x5t = Some(key.id.clone());
    encode(&header, claims, &key.secret).ok()
}

/// The public half, as a key set.
pub(super) fn public() -> Value {
    let keys: Vec<&Value> = key().map(|key| &key.public).into_iter().collect();
    json!({"keys": keys})
}
