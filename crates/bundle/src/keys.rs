//! Keys that sign bundles and keys that verify them.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use aws_lc_rs::{hmac, signature::VerificationAlgorithm};
use x509_parser::oid_registry::{
    OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::BundleError;

/// An HMAC secret shorter than this could be guessed.
const MIN_SECRET: usize = 32;

macro_rules! algorithms {
    ($($name:ident = $word:literal),+ $(,)?) => {
        /// How a bundle is signed, by its JWT name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names of RFC 7518 and RFC 8037")]
        pub enum Algorithm { $($name),+ }

        impl Algorithm {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The JWT name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }
        }
    };
}

algorithms! {
    Hs256 = "HS256", Hs384 = "HS384", Hs512 = "HS512",
    Rs256 = "RS256", Rs384 = "RS384", Rs512 = "RS512",
    Ps256 = "PS256", Ps384 = "PS384", Ps512 = "PS512",
    Es256 = "ES256", Es384 = "ES384", Es512 = "ES512",
    EdDsa = "EdDSA",
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|known| known.as_str() == text);
        found.copied().ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|known| known.as_str()).collect();
            format!("expected one of {}, found `{text}`", all.join(", "))
        })
    }
}

/// What kind of key an algorithm needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Secret,
    Rsa,
    /// With the length of an uncompressed point on its curve.
    Ec(usize),
    Ed25519,
}

impl Algorithm {
    const fn family(self) -> Family {
        match self {
            Self::Hs256 | Self::Hs384 | Self::Hs512 => Family::Secret,
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                Family::Rsa
            }
            Self::Es256 => Family::Ec(65),
            Self::Es384 => Family::Ec(97),
            Self::Es512 => Family::Ec(133),
            Self::EdDsa => Family::Ed25519,
        }
    }

    const fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Hs384 => hmac::HMAC_SHA384,
            Self::Hs512 => hmac::HMAC_SHA512,
            _ => hmac::HMAC_SHA256,
        }
    }

    fn verifier(self) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match self {
            Self::Hs256 | Self::Hs384 | Self::Hs512 => return None,
            Self::Rs256 => &lc::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &lc::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &lc::RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &lc::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &lc::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &lc::RSA_PSS_2048_8192_SHA512,
            Self::Es256 => &lc::ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &lc::ECDSA_P384_SHA384_FIXED,
            Self::Es512 => &lc::ECDSA_P521_SHA512_FIXED,
            Self::EdDsa => &lc::ED25519,
        })
    }
}

/// A key that bundles are verified with.
#[derive(Clone)]
pub struct VerificationKey {
    algorithm: Algorithm,
    material: Vec<u8>,
    scope: Option<String>,
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // INVARIANT: the material may be a secret and is never shown.
        write!(f, "VerificationKey({})", self.algorithm)
    }
}

impl VerificationKey {
    /// Reads a public key or a certificate in PEM, or for HS* the secret itself.
    ///
    /// # Errors
    /// When the text is no such key, or one for another algorithm.
    pub fn new(
        algorithm: Algorithm,
        text: &str,
        scope: Option<String>,
    ) -> Result<Self, BundleError> {
        let material = match algorithm.family() {
            Family::Secret => secret(text)?,
            family => public(family, text)?,
        };
        Ok(Self {
            algorithm,
            material,
            scope,
        })
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The scope that signatures by this key must name.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.algorithm.verifier() {
            None => {
                let key = hmac::Key::new(self.algorithm.hmac(), &self.material);
                hmac::verify(&key, message, signature).is_ok()
            }
            Some(verifier) => lc::UnparsedPublicKey::new(verifier, &self.material)
                .verify(message, signature)
                .is_ok(),
        }
    }
}

fn secret(text: &str) -> Result<Vec<u8>, BundleError> {
    if text.len() < MIN_SECRET {
        return Err(BundleError::Key(format!(
            "expected a secret of at least {MIN_SECRET} bytes, found {}",
            text.len()
        )));
    }
    Ok(text.as_bytes().to_vec())
}

/// The bits of a public key: a PKCS #1 structure, a point, or 32 bytes.
fn public(family: Family, text: &str) -> Result<Vec<u8>, BundleError> {
    let bad = |problem: String| BundleError::Key(problem);
    let pem = pem::parse(text).map_err(|_| {
        bad(
            "expected a public key or a certificate in PEM, with its `-----BEGIN …-----`"
                .to_owned(),
        )
    })?;
    let no_key = |error: String| bad(format!("the `{}` does not parse: {error}", pem.tag()));
    let (found, bits) = match pem.tag() {
        "PUBLIC KEY" => {
            let (_, info) = SubjectPublicKeyInfo::from_der(pem.contents())
                .map_err(|error| no_key(error.to_string()))?;
            info_bits(&info)
        }
        "CERTIFICATE" => {
            let (_, certificate) = X509Certificate::from_der(pem.contents())
                .map_err(|error| no_key(error.to_string()))?;
            info_bits(certificate.public_key())
        }
        "RSA PUBLIC KEY" => (Some(Family::Rsa), pem.contents().to_vec()),
        other => {
            return Err(bad(format!(
                "expected `PUBLIC KEY`, `RSA PUBLIC KEY` or `CERTIFICATE`, found `{other}`"
            )));
        }
    };
    if found == Some(family) {
        Ok(bits)
    } else {
        Err(bad(
            "it is a key for another algorithm; name that one".to_owned()
        ))
    }
}

fn info_bits(info: &SubjectPublicKeyInfo<'_>) -> (Option<Family>, Vec<u8>) {
    let bits = info.subject_public_key.data.to_vec();
    let oid = &info.algorithm.algorithm;
    let family = if *oid == OID_PKCS1_RSAENCRYPTION {
        Some(Family::Rsa)
    } else if *oid == OID_KEY_TYPE_EC_PUBLIC_KEY {
        Some(Family::Ec(bits.len()))
    } else if *oid == OID_SIG_ED25519 {
        Some(Family::Ed25519)
    } else {
        None
    };
    (family, bits)
}

/// A key that bundles are signed with.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Secret(Box<hmac::Key>),
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm)
    }
}

impl SigningKey {
    /// Reads a private key in PEM, or for HS* the secret itself.
    ///
    /// # Errors
    /// When the text is no such key, or one for another algorithm.
    pub fn new(algorithm: Algorithm, text: &str) -> Result<Self, BundleError> {
        let pair = match algorithm.family() {
            Family::Secret => {
                let key = hmac::Key::new(algorithm.hmac(), &secret(text)?);
                Pair::Secret(Box::new(key))
            }
            _ => Self::private(algorithm, text)?,
        };
        Ok(Self { algorithm, pair })
    }

    fn private(algorithm: Algorithm, text: &str) -> Result<Pair, BundleError> {
        let pem = pem::parse(text).map_err(|_| {
            let problem = "expected a private key in PEM, with its `-----BEGIN …-----`";
            BundleError::Key(problem.to_owned())
        })?;
        let rejected = |error: aws_lc_rs::error::KeyRejected| {
            BundleError::Key(format!(
                "the `{}` is no private key for {algorithm} ({error}); name the algorithm that it \
                 was made for",
                pem.tag()
            ))
        };
        let der = pem.contents();
        match (algorithm.family(), pem.tag()) {
            (Family::Rsa, "PRIVATE KEY") => {
                RsaKeyPair::from_pkcs8(der).map(Pair::Rsa).map_err(rejected)
            }
            (Family::Rsa, "RSA PRIVATE KEY") => {
                RsaKeyPair::from_der(der).map(Pair::Rsa).map_err(rejected)
            }
            (Family::Ec(_), "PRIVATE KEY" | "EC PRIVATE KEY") => {
                let curve = match algorithm {
                    Algorithm::Es384 => &lc::ECDSA_P384_SHA384_FIXED_SIGNING,
                    Algorithm::Es512 => &lc::ECDSA_P521_SHA512_FIXED_SIGNING,
                    _ => &lc::ECDSA_P256_SHA256_FIXED_SIGNING,
                };
                let pair = EcdsaKeyPair::from_private_key_der(curve, der);
                pair.map(Pair::Ec).map_err(rejected)
            }
            (Family::Ed25519, "PRIVATE KEY") => Ed25519KeyPair::from_pkcs8(der)
                .map(Pair::Ed25519)
                .map_err(rejected),
            (_, tag) => Err(BundleError::Key(format!(
                "expected a private key for {algorithm}, found `{tag}`"
            ))),
        }
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BundleError> {
        let random = SystemRandom::new();
        let failed = |_| BundleError::Key("signing failed".to_owned());
        match &self.pair {
            Pair::Secret(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Pair::Ec(pair) => {
                let signature = pair.sign(&random, message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let padding: &dyn lc::RsaEncoding = match self.algorithm {
                    Algorithm::Rs384 => &lc::RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &lc::RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &lc::RSA_PSS_SHA256,
                    Algorithm::Ps384 => &lc::RSA_PSS_SHA384,
                    Algorithm::Ps512 => &lc::RSA_PSS_SHA512,
                    _ => &lc::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
        }
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub(crate) fn verification(&self, text: &str) -> VerificationKey {
        let material = match &self.pair {
            Pair::Secret(_) => text.as_bytes().to_vec(),
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        };
        VerificationKey {
            algorithm: self.algorithm,
            material,
            scope: None,
        }
    }
}
