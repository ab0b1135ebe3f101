//! Bundles and real OPA, both ways. Where there is no OPA (`OPA=/path`, or `opa` on PATH) the tests
//! are skipped by name; `CRMGATE_REQUIRE=opa` makes that a failure.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test's failure is its message, and tests may look at the environment"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, KeyPair as _};
use crmgate_bundle::{
    Algorithm, BuildOptions, Bundle, BundleError, Limits, Placed, Signing, SigningKey, Trust,
    Verification, VerificationKey, build, combine, open,
};
use crmgate_policy::{PolicySet, Sources, read_folder};

const SECRET: &str = "a secret that is long enough for it";

/// OPA's program.
fn opa() -> Option<PathBuf> {
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        let mut programs = std::env::split_paths(&path).map(|dir| dir.join("opa"));
        programs.find(|program| program.is_file())
    };
    let found = std::env::var_os("OPA").map(PathBuf::from).or_else(on_path);
    if found.is_none() {
        let required = std::env::var("CRMGATE_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|required| required == "opa"),
            "`opa` is required and missing: set OPA or put it on PATH"
        );
        eprintln!("skipped: needs opa on PATH or in OPA");
    }
    found
}

fn run(opa: &Path, dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(opa);
    command.args(arguments).current_dir(dir);
    command.output().unwrap()
}

fn runs(opa: &Path, dir: &Path, arguments: &[&str]) -> String {
    let output = run(opa, dir, arguments);
    let told = [&output.stdout, &output.stderr].map(|out| String::from_utf8_lossy(out));
    assert!(output.status.success(), "{arguments:?}: {told:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A folder as teams that have OPA keep it: parameters and data both as data.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let file = dir.path().join("pol").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    write(
        "sales/names.rego",
        "# METADATA\n# scope: package\n# title: T\n# custom:\n#   owner: sales\n#   objects: [contact]\n\
         #   operations: [create]\npackage crm.sales.names\n\n\
         deny contains \"no\" if input.record.last_name == data.params.sales.names.never\n",
    );
    // Numbers, a separator that is escaped, HTML, floats: all that is hashed in one spelling.
    write(
        "params/sales/data.yaml",
        "names:\n  never: \"M\\u2028<&>é\\t\\u0001\"\n  share: 12.50\n  whole: 3.0\n  tiny: 0.0000001\n  huge: 1e21\n",
    );
    write(
        "plans/data.json",
        "{\"z\": 1.50, \"a\": [1e3, -0, 12345678901234567890], \"b\": {\"y\": null, \"x\": \"\\u00e9\\/\"}}",
    );
    write(
        ".manifest",
        "{\"revision\": \"r7\", \"metadata\": {\"b\": 1, \"a\": [2.50]}}",
    );
    dir
}

fn write_keys(dir: &Path, algorithm: Algorithm) -> (String, String) {
    let random = SystemRandom::new();
    let pem = |tag: &str, der: &[u8]| pem::encode(&pem::Pem::new(tag, der));
    let ec = |curve| {
        let document = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(curve, document.as_ref()).unwrap();
        let public = pair.public_key().as_der().unwrap();
        (
            pem("PRIVATE KEY", document.as_ref()),
            pem("PUBLIC KEY", public.as_ref()),
        )
    };
    let (private, public) = match algorithm {
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
            (SECRET.to_owned(), SECRET.to_owned())
        }
        Algorithm::Es256 => ec(&lc::ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::Es384 => ec(&lc::ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::Es512 => ec(&lc::ECDSA_P521_SHA512_FIXED_SIGNING),
        _ => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
            let public = pair.public_key().as_der().unwrap();
            (
                pem("PRIVATE KEY", private.as_ref()),
                pem("PUBLIC KEY", public.as_ref()),
            )
        }
    };
    fs::write(dir.join("private.pem"), &private).unwrap();
    fs::write(dir.join("public.pem"), &public).unwrap();
    (private, public)
}

/// All that OPA knows.
fn algorithms() -> impl Iterator<Item = Algorithm> {
    let all = Algorithm::ALL.iter().copied();
    all.filter(|algorithm| *algorithm != Algorithm::EdDsa)
}

fn trust(keyid: &str, algorithm: Algorithm, public: &str) -> Verification {
    let key = VerificationKey::new(algorithm, public, None).unwrap();
    Verification {
        keys: BTreeMap::from([(keyid.to_owned(), key)]),
        ..Verification::default()
    }
}

fn opened(file: &Path, trust: Trust<'_>) -> Result<Bundle, BundleError> {
    open(&fs::read(file).unwrap(), trust, &Limits::default())
}

fn loads(bundle: &Bundle) -> PolicySet {
    let placed = Placed {
        name: "central",
        connection: None,
        bundle,
    };
    PolicySet::load(&combine(Sources::default(), &[placed]).unwrap()).unwrap()
}

#[test]
fn what_opa_builds_and_signs_loads_here() {
    let Some(opa) = opa() else { return };
    let dir = folder();
    let dir = dir.path();
    runs(&opa, dir, &["build", "-b", "pol", "-o", "plain.tar.gz"]);
    let plain = opened(&dir.join("plain.tar.gz"), Trust::Unsigned).unwrap();
    assert_eq!(plain.manifest.revision, "r7");
    assert_eq!(loads(&plain).packages().count(), 1);
    for algorithm in algorithms() {
        let (_, public) = write_keys(dir, algorithm);
        let arguments = [
            "build",
            "-b",
            "pol",
            "-o",
            "signed.tar.gz",
            "--signing-key",
            "private.pem",
            "--signing-alg",
            algorithm.as_str(),
        ];
        runs(&opa, dir, &arguments);
        let verification = trust("default", algorithm, &public);
        let bundle = opened(&dir.join("signed.tar.gz"), Trust::Signed(&verification));
        let bundle = bundle.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        assert_eq!(bundle.signed_by.as_deref(), Some("default"));
        assert_eq!(loads(&bundle).packages().count(), 1);
    }
}

#[test]
fn what_opa_signs_in_a_folder_verifies_here_data_in_yaml_included() {
    let Some(opa) = opa() else { return };
    let dir = folder();
    let dir = dir.path();
    let (_, public) = write_keys(dir, Algorithm::Es256);
    let root = dir.join("pol");
    let arguments = [
        "sign",
        "--bundle",
        ".",
        "--signing-key",
        "../private.pem",
        "--signing-alg",
        "ES256",
    ];
    runs(&opa, &root, &arguments);
    let packed = |file: &str| {
        let done = Command::new("tar")
            .args(["czf", file, "-C", "pol", "."])
            .current_dir(dir)
            .status();
        assert!(done.unwrap().success());
        // `opa sign` names no key, so the configuration has to.
        let verification = Verification {
            keyid: Some("default".to_owned()),
            ..trust("default", Algorithm::Es256, &public)
        };
        opened(&dir.join(file), Trust::Signed(&verification))
    };
    let bundle = packed("folder.tar.gz").unwrap();
    assert_eq!(loads(&bundle).packages().count(), 1);
    let data = root.join("params/sales/data.yaml");
    let text = fs::read_to_string(&data).unwrap();
    fs::write(&data, text.replace("12.50", "12.51")).unwrap();
    let fault = packed("edited.tar.gz").unwrap_err().to_string();
    assert!(
        fault.contains("`/params/sales/data.yaml` is not what was signed"),
        "{fault}"
    );
}

#[test]
fn what_is_built_here_opa_loads_and_verifies() {
    let Some(opa) = opa() else { return };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let files = read_folder(Path::new("../../policies")).unwrap().global;
    for algorithm in algorithms() {
        let (private, _) = write_keys(dir, algorithm);
        let key = SigningKey::new(algorithm, &private).unwrap();
        let options = BuildOptions {
            revision: Some("r8"),
            signing: Some(Signing {
                key: &key,
                text: &private,
                keyid: "default",
                scope: "",
                issued_at: Some(1_790_000_000),
            }),
            ..BuildOptions::default()
        };
        let built = build(&files, &options).unwrap();
        fs::write(dir.join("ours.tar.gz"), &built.archive).unwrap();
        let verify = [
            "build",
            "-b",
            "ours.tar.gz",
            "-o",
            "again.tar.gz",
            "--verification-key",
            "public.pem",
            "--signing-alg",
            algorithm.as_str(),
        ];
        runs(&opa, dir, &verify);
        // Another key, and no key at all.
        if !algorithm.as_str().starts_with("HS") {
            write_keys(dir, algorithm);
            let output = run(&opa, dir, &verify);
            assert!(!output.status.success(), "{algorithm}");
        }
    }
    let limit = "data.params.sales.discounts.deny_over";
    let value = runs(
        &opa,
        dir,
        &["eval", "-b", "ours.tar.gz", "-f", "raw", limit],
    );
    assert_eq!(value.trim(), "50");
    let packages = "count(data.crm.sales.discounts.deny)";
    let value = runs(
        &opa,
        dir,
        &["eval", "-b", "ours.tar.gz", "-f", "raw", packages],
    );
    assert_eq!(value.trim(), "0");
}
