//! Signing in by a signed statement instead of a secret.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use x509_parser::pem::Pem;

use super::super::options::{Application, DynamicsOptions};
use super::refusal::Refused;
use crate::crm::Call;

const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far the clocks of both sides may be apart, in seconds.
const LEEWAY: f64 = 300.0;

#[derive(Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    sub: String,
    /// In seconds, which some clients give with fractions.
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
}

/// A public key, with the thumbprints of the certificate that it came in.
struct Registered {
    key: DecodingKey,
    sha1: Option<String>,
    sha256: Option<String>,
}

/// Checks that the assertion was made by the application, for this directory, and lately.
pub(super) fn check(
    options: &DynamicsOptions,
    call: &Call,
    application: &Application,
    (tenant, form, assertion): (&str, &HashMap<String, String>, &str),
) -> Result<(), Refused> {
    if form.get("client_assertion_type").map(String::as_str) != Some(KIND) {
        return Err(Refused::missing("client_assertion_type"));
    }
    let bad_signature = |detail: &str| {
        Refused::new(
            700_027,
            &format!(
                "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - {detail}]"
            ),
        )
    };
    let registered = application
        .certificate_pem
        .as_deref()
        .and_then(registered)
        .ok_or_else(|| bad_signature("The key was not found."))?;
    let header = decode_header(assertion)
        .map_err(|_| Refused::new(50_027, "JWT token is invalid or malformed."))?;
    if !matches!(header.alg, Algorithm::RS256 | Algorithm::PS256) {
        return Err(bad_signature("The algorithm is not supported."));
    }
    // Some clients pad what the standard leaves unpadded.
    let is = |given: &str, known: &Option<String>| {
        known
            .as_deref()
            .is_none_or(|known| known == given.trim_end_matches('='))
    };
    let named = match (&header.x5t_s256, &header.x5t, &header.kid) {
        (Some(given), _, _) => is(given, &registered.sha256),
        (None, Some(given), _) => is(given, &registered.sha1),
        (None, None, Some(_)) => true,
        (None, None, None) => false,
    };
    if !named {
        return Err(bad_signature("The key was not found."));
    }
    let mut validation = Validation::new(header.alg);
    // The simulator's clock can be moved, so times are checked below.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = decode::<Claims>(assertion, &registered.key, &validation)
        .map_err(|_| bad_signature("The key was found, but the signature is not valid."))?
        .claims;
    judge(options, call, application, (tenant, &claims))
}

fn judge(
    options: &DynamicsOptions,
    call: &Call,
    application: &Application,
    (tenant, claims): (&str, &Claims),
) -> Result<(), Refused> {
    let id = application.client_id.to_string();
    if claims.iss != id || claims.sub != id {
        return Err(Refused::new(
            700_023,
            "Client assertion must contain the application's identifier as 'iss' and 'sub'.",
        ));
    }
    let audience = [&call.base_url, "https://login.microsoftonline.com"]
        .into_iter()
        .flat_map(|base| {
            [tenant.to_owned(), options.tenant_id.to_string()].map(|tenant| {
                [
                    format!("{base}/{tenant}/oauth2/v2.0/token"),
                    format!("{base}/{tenant}/oauth2/token"),
                    format!("{base}/{tenant}/v2.0"),
                ]
            })
        })
        .flatten()
        .any(|known| known == claims.aud);
    if !audience {
        return Err(Refused::new(
            700_023,
            &format!(
                "Client assertion audience claim does not match Realm issuer. The audience was '{}'.",
                claims.aud
            ),
        ));
    }
    let now = call.at.as_duration().as_secs_f64();
    let early = claims.nbf.is_some_and(|from| from > now + LEEWAY);
    if claims.exp < now - LEEWAY || early {
        return Err(Refused::new(
            700_024,
            "Client assertion is not within its valid time range.",
        ));
    }
    Ok(())
}

fn registered(pem: &str) -> Option<Registered> {
    if !pem.contains("BEGIN CERTIFICATE") {
        return Some(Registered {
            key: DecodingKey::from_rsa_pem(pem.as_bytes()).ok()?,
            sha1: None,
            sha256: None,
        });
    }
    let (pem, _) = Pem::read(std::io::Cursor::new(pem.as_bytes())).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let public = &certificate.public_key().subject_public_key.data;
    Some(Registered {
        key: DecodingKey::from_rsa_der(public),
        sha1: Some(URL_SAFE_NO_PAD.encode(Sha1::digest(&pem.contents))),
        sha256: Some(URL_SAFE_NO_PAD.encode(Sha256::digest(&pem.contents))),
    })
}
