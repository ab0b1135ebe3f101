//! Who signed what, and whom to believe.

use std::collections::BTreeMap;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};

use super::layer;
use crate::archive::{pack, unpack};
use crate::{
    Algorithm, BuildOptions, Bundle, BundleError, Limits, Signing, SigningKey, Trust, Verification,
    VerificationKey, build, open,
};

const SECRET: &str = "a secret that is long enough for it";

fn pem(tag: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(tag, der))
}

/// Private and public key.
fn keys(algorithm: Algorithm) -> (String, String) {
    use Algorithm as A;
    let random = SystemRandom::new();
    let ec = |curve| {
        let document = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(curve, document.as_ref()).unwrap();
        let public = pair.public_key().as_der().unwrap();
        (
            pem("PRIVATE KEY", document.as_ref()),
            pem("PUBLIC KEY", public.as_ref()),
        )
    };
    match algorithm {
        A::Hs256 | A::Hs384 | A::Hs512 => (SECRET.to_owned(), SECRET.to_owned()),
        A::Es256 => ec(&lc::ECDSA_P256_SHA256_FIXED_SIGNING),
        A::Es384 => ec(&lc::ECDSA_P384_SHA384_FIXED_SIGNING),
        A::Es512 => ec(&lc::ECDSA_P521_SHA512_FIXED_SIGNING),
        A::EdDsa => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let public = pair.public_key().as_der().unwrap();
            let private = pair.to_pkcs8().unwrap();
            (
                pem("PRIVATE KEY", private.as_ref()),
                pem("PUBLIC KEY", public.as_ref()),
            )
        }
        _ => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let private =
                aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair)
                    .unwrap();
            let public = pair.public_key().as_der().unwrap();
            (
                pem("PRIVATE KEY", private.as_ref()),
                pem("PUBLIC KEY", public.as_ref()),
            )
        }
    }
}

fn signed(algorithm: Algorithm, private: &str, keyid: &str, scope: &str) -> Vec<u8> {
    let key = SigningKey::new(algorithm, private).unwrap();
    let options = BuildOptions {
        signing: Some(Signing {
            key: &key,
            text: private,
            keyid,
            scope,
            issued_at: Some(1_790_000_000),
        }),
        ..BuildOptions::default()
    };
    build(&layer(), &options).unwrap().archive
}

fn trust(keyid: &str, algorithm: Algorithm, public: &str) -> Verification {
    let key = VerificationKey::new(algorithm, public, None).unwrap();
    Verification {
        keys: BTreeMap::from([(keyid.to_owned(), key)]),
        ..Verification::default()
    }
}

fn opened(archive: &[u8], verification: &Verification) -> Result<Bundle, BundleError> {
    open(archive, Trust::Signed(verification), &Limits::default())
}

fn refused(archive: &[u8], verification: &Verification, told: &str) {
    let fault = opened(archive, verification).unwrap_err();
    assert_eq!(fault.code(), "bad_signature", "{fault}");
    assert!(fault.to_string().contains(told), "{told}: {fault}");
}

/// The archive with its files changed.
fn changed(archive: &[u8], change: impl FnOnce(&mut Vec<crate::archive::Entry>)) -> Vec<u8> {
    let mut entries = unpack(archive, &Limits::default()).unwrap();
    change(&mut entries);
    pack(&entries).unwrap()
}

#[test]
fn every_algorithm_signs_and_verifies_and_no_other_key_does() {
    for algorithm in Algorithm::ALL {
        let (private, public) = keys(*algorithm);
        let archive = signed(*algorithm, &private, "release", "");
        let verification = trust("release", *algorithm, &public);
        let bundle = opened(&archive, &verification).unwrap();
        assert_eq!(bundle.signed_by.as_deref(), Some("release"), "{algorithm}");
        let (_, other) = keys(*algorithm);
        if other != public {
            let verification = trust("release", *algorithm, &other);
            refused(&archive, &verification, "does not verify");
        }
    }
    let archive = signed(Algorithm::Hs256, SECRET, "release", "");
    let other = trust(
        "release",
        Algorithm::Hs256,
        "another secret that is long enough",
    );
    refused(&archive, &other, "does not verify");
}

#[test]
fn the_key_decides_the_algorithm() {
    let (_, public) = keys(Algorithm::Es256);
    let verification = trust("release", Algorithm::Es256, &public);
    // Signed by the public key as if it were a secret: the oldest trick with tokens.
    let archive = signed(Algorithm::Hs256, &public, "release", "");
    refused(&archive, &verification, "made by `HS256`");
    let (rsa, _) = keys(Algorithm::Rs256);
    for (algorithm, text) in [
        (Algorithm::Rs256, public.as_str()),
        (Algorithm::Es384, public.as_str()),
        (Algorithm::EdDsa, public.as_str()),
        (Algorithm::Rs256, rsa.as_str()),
        (Algorithm::Es256, "no PEM"),
        (Algorithm::Hs256, "short"),
    ] {
        let fault = VerificationKey::new(algorithm, text, None).unwrap_err();
        assert_eq!(fault.code(), "bad_key", "{fault}");
    }
    assert!(SigningKey::new(Algorithm::Es256, &rsa).is_err());
    assert!(SigningKey::new(Algorithm::Rs256, &public).is_err());
    assert!("none".parse::<Algorithm>().is_err());
}

#[test]
fn signed_and_trusted_must_meet() {
    let archive = signed(Algorithm::Hs256, SECRET, "release", "");
    let verification = trust("release", Algorithm::Hs256, SECRET);
    let plain = build(&layer(), &BuildOptions::default()).unwrap().archive;
    refused(&plain, &verification, "not signed");
    let fault = open(&archive, Trust::Unsigned, &Limits::default()).unwrap_err();
    assert!(
        fault.to_string().contains("no key is configured"),
        "{fault}"
    );
    assert!(open(&archive, Trust::Anyone, &Limits::default()).is_ok());
    let other = trust("other", Algorithm::Hs256, SECRET);
    refused(&archive, &other, "no key with the id `release`");
    // The configuration's key id wins over the signature's.
    let named = Verification {
        keyid: Some("other".to_owned()),
        ..other
    };
    assert!(opened(&archive, &named).is_ok());
}

#[test]
fn a_scope_must_be_the_one_expected() {
    let archive = signed(Algorithm::Hs256, SECRET, "release", "write");
    let verification = trust("release", Algorithm::Hs256, SECRET);
    refused(&archive, &verification, "scope is `write`");
    let scoped = Verification {
        scope: Some("write".to_owned()),
        ..verification.clone()
    };
    assert!(opened(&archive, &scoped).is_ok());
    let plain = signed(Algorithm::Hs256, SECRET, "release", "");
    refused(&plain, &scoped, "expected `write`");
    let key = VerificationKey::new(Algorithm::Hs256, SECRET, Some("write".to_owned())).unwrap();
    let by_key = Verification {
        keys: BTreeMap::from([("release".to_owned(), key)]),
        ..Verification::default()
    };
    assert!(opened(&archive, &by_key).is_ok());
}

#[test]
fn every_file_is_what_was_signed_and_none_is_more_or_less() {
    let archive = signed(Algorithm::Hs256, SECRET, "release", "");
    let verification = trust("release", Algorithm::Hs256, SECRET);
    let at = |entries: &[crate::archive::Entry], name: &str| {
        entries.iter().position(|entry| entry.path == name).unwrap()
    };
    let edited = changed(&archive, |entries| {
        let rego = at(entries, "sales/names.rego");
        entries[rego].bytes.push(b'\n');
    });
    refused(
        &edited,
        &verification,
        "`/sales/names.rego` is not what was signed",
    );
    let more = changed(&archive, |entries| {
        entries.push(super::entry("README.md", "hello"));
    });
    refused(
        &more,
        &verification,
        "`/README.md` is in the bundle and not signed",
    );
    let less = changed(&archive, |entries| {
        let rego = at(entries, "sales/names.rego");
        entries.remove(rego);
    });
    refused(
        &less,
        &verification,
        "`/sales/names.rego` is signed and not in the bundle",
    );
    let other_revision = changed(&archive, |entries| {
        let manifest = at(entries, ".manifest");
        entries[manifest].bytes = b"{\"revision\": \"newer\"}".to_vec();
    });
    refused(
        &other_revision,
        &verification,
        "`/.manifest` is not what was signed",
    );
    // Data in another spelling is the same data.
    let respelled = changed(&archive, |entries| {
        let data = at(entries, "params/data.json");
        let text = String::from_utf8(entries[data].bytes.clone()).unwrap();
        entries[data].bytes = text.replace(':', " : ").into_bytes();
    });
    assert!(opened(&respelled, &verification).is_ok());
    let swapped = changed(&archive, |entries| {
        let other = signed(Algorithm::Hs256, SECRET, "release", "other");
        let other = unpack(&other, &Limits::default()).unwrap();
        let (mine, theirs) = (
            at(entries, ".signatures.json"),
            at(&other, ".signatures.json"),
        );
        entries[mine].bytes.clone_from(&other[theirs].bytes);
    });
    refused(&swapped, &verification, "scope");
}

#[test]
fn malformed_signatures_are_told() {
    let archive = signed(Algorithm::Hs256, SECRET, "release", "");
    let verification = trust("release", Algorithm::Hs256, SECRET);
    let with = |text: &str| {
        changed(&archive, |entries| {
            let at = entries
                .iter()
                .position(|entry| entry.path == ".signatures.json");
            entries[at.unwrap()].bytes = text.as_bytes().to_vec();
        })
    };
    for (text, told) in [
        ("{}", "exactly one signature, found 0"),
        ("{\"signatures\": [\"a.b.c\", \"a.b.c\"]}", "found 2"),
        (
            "{\"signatures\": [\"a.b.c\"], \"plugin\": \"kms\"}",
            "plugin `kms`",
        ),
        ("{\"signatures\": [\"abc\"]}", "malformed"),
        ("{\"signatures\": [\"e30.e30.\"]}", "malformed"),
        ("\"x\"", "not as it should be"),
        // {"alg":"none","kid":"release"} over {}
        (
            "{\"signatures\": [\"eyJhbGciOiJub25lIiwia2lkIjoicmVsZWFzZSJ9.e30.\"]}",
            "made by `none`",
        ),
        // {"alg":"HS256","kid":"release","crit":["x"]}
        (
            "{\"signatures\": [\"eyJhbGciOiJIUzI1NiIsImtpZCI6InJlbGVhc2UiLCJjcml0IjpbIngiXX0.e30.\"]}",
            "`crit`",
        ),
    ] {
        refused(&with(text), &verification, told);
    }
}

#[test]
fn secrets_do_not_show() {
    let key = SigningKey::new(Algorithm::Hs256, SECRET).unwrap();
    let verification = trust("release", Algorithm::Hs256, SECRET);
    assert!(!format!("{key:?}{verification:?}").contains("secret that"));
}
