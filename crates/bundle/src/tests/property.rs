//! Whatever comes: no panic, and never another content under a good signature.

use proptest::prelude::*;

use super::layer;
use crate::{
    Algorithm, BuildOptions, Limits, Signing, SigningKey, Trust, Verification, VerificationKey,
    build, open,
};

const SECRET: &str = "a secret that is long enough for it";

fn signed() -> (Vec<u8>, Verification) {
    let key = SigningKey::new(Algorithm::Hs256, SECRET).unwrap();
    let options = BuildOptions {
        signing: Some(Signing {
            key: &key,
            text: SECRET,
            keyid: "k",
            scope: "",
            issued_at: None,
        }),
        ..BuildOptions::default()
    };
    let mut verification = Verification::default();
    let key = VerificationKey::new(Algorithm::Hs256, SECRET, None).unwrap();
    verification.keys.insert("k".to_owned(), key);
    (build(&layer(), &options).unwrap().archive, verification)
}

/// The content of an archive, packed again without compression, so that changes reach the tar
/// inside.
fn stored(raw: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(raw).unwrap();
    gzip.finish().unwrap()
}

fn unzipped(archive: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut raw = Vec::new();
    flate2::read::GzDecoder::new(archive)
        .read_to_end(&mut raw)
        .unwrap();
    raw
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        prop_assert!(open(&bytes, Trust::Unsigned, &Limits::default()).is_err());
        // The same as the content of a sound gzip stream.
        open(&stored(&bytes), Trust::Unsigned, &Limits::default()).ok();
    }

    #[test]
    fn a_changed_archive_is_refused_or_says_the_same(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let (archive, verification) = signed();
        let trust = Trust::Signed(&verification);
        let whole = open(&archive, trust, &Limits::default()).unwrap();
        for inside in [false, true] {
            let mut bytes = if inside { unzipped(&archive) } else { archive.clone() };
            for (at, value) in &changes {
                let at = at.index(bytes.len());
                bytes[at] ^= value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let bytes = if inside { stored(&bytes) } else { bytes };
            if let Ok(opened) = open(&bytes, trust, &Limits::default()) {
                prop_assert_eq!(&opened.files, &whole.files);
                prop_assert_eq!(&opened.manifest, &whole.manifest);
            }
            open(&bytes, Trust::Anyone, &Limits::default()).ok();
        }
    }

    #[test]
    fn any_text_as_manifest_data_or_signature_is_survived(text in "[ -~\\n]{0,200}") {
        for name in [".manifest", "data.json", "data.yaml", ".signatures.json", "a.rego"] {
            super::opened(&[(name, &text), ("b.rego", super::POLICY)]).ok();
        }
    }
}
