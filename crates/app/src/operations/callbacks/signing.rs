//! What callbacks are signed with, as Standard Webhooks has it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crmgate_connector::{Secret, SecretError};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use sha2::Sha256;

/// The key in a secret of the form `whsec_…`.
///
/// # Errors
/// When it cannot be read or is none.
pub fn key_of(secret: &Secret) -> Result<Vec<u8>, SecretError> {
    let text = secret.get()?;
    let bad = || SecretError {
        setting: "operations.callbacks.secrets".to_owned(),
        problem: "expected `whsec_` and 24 to 64 bytes in Base64, as `echo \
                  whsec_$(openssl rand -base64 32)` makes them"
            .to_owned(),
    };
    let text = text.expose_secret().trim();
    let encoded = text.strip_prefix("whsec_").ok_or_else(bad)?;
    let key = STANDARD.decode(encoded).map_err(|_| bad())?;
    if (24..=64).contains(&key.len()) {
        Ok(key)
    } else {
        Err(bad())
    }
}

pub(super) fn sign(key: &[u8], id: &str, timestamp: i64, body: &str) -> String {
    // A key of any length will do for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let key = key_of(&Secret::fixed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signed = sign(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_are_held_to_their_form() {
        for bad in [
            "",
            "whsec_",
            "whsec_!!",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_c2hvcnQ=",
        ] {
            let error = key_of(&Secret::fixed(bad)).unwrap_err().to_string();
            assert!(
                error.contains("whsec_") && !error.contains("c2hvcnQ"),
                "{error}"
            );
        }
    }
}
