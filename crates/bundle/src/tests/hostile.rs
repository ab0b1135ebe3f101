//! What nobody means well with.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::{POLICY, archive, opened};
use crate::{BundleError, Limits, Trust, open};

fn gzip(raw: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(raw).unwrap();
    gzip.finish().unwrap()
}

/// A tar archive whose names nobody looks at while it is written.
fn raw(entries: &[(&[u8], EntryType, &[u8])]) -> Vec<u8> {
    let mut raw = Vec::new();
    for (name, kind, bytes) in entries {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        raw.extend_from_slice(header.as_bytes());
        raw.extend_from_slice(bytes);
        raw.resize(raw.len().next_multiple_of(512), 0);
    }
    raw.resize(raw.len() + 1024, 0);
    raw
}

fn fault(archive: &[u8], limits: &Limits) -> BundleError {
    open(archive, Trust::Unsigned, limits).unwrap_err()
}

#[test]
fn names_and_kinds_of_entries() {
    let file = EntryType::Regular;
    let policy = POLICY.as_bytes();
    let cases: [(&[u8], EntryType, &str); 12] = [
        (b"../crm.rego", file, "`..`"),
        (b"a/../../crm.rego", file, "`..`"),
        (b"//etc/crm.rego", file, "empty part"),
        (b"a/./crm.rego", file, "`.`"),
        (b"a\\..\\crm.rego", file, "backslash"),
        (b"a\ncrm.rego", file, "control"),
        (b"\xff\xfe.rego", file, "UTF-8"),
        (b"C:/crm.rego", file, "colon"),
        (b"link.rego", EntryType::Symlink, "link"),
        (b"hard.rego", EntryType::Link, "link"),
        (b"fifo.rego", EntryType::Fifo, "neither"),
        (b"../dir", EntryType::Directory, "`..`"),
    ];
    for (name, kind, told) in cases {
        let body: &[u8] = if kind == file { policy } else { b"" };
        let archive = gzip(&raw(&[(b"ok.rego", file, policy), (name, kind, body)]));
        let fault = fault(&archive, &Limits::default());
        assert_eq!(fault.code(), "bad_entry", "{fault}");
        assert!(fault.to_string().contains(told), "{told}: {fault}");
    }
}

#[test]
fn one_name_has_one_file() {
    let file = EntryType::Regular;
    for other in [&b"a.rego"[..], b"/a.rego", b"./a.rego"] {
        let twice = raw(&[
            (b"a.rego", file, POLICY.as_bytes()),
            (other, file, b"package b"),
        ]);
        let fault = fault(&gzip(&twice), &Limits::default());
        assert!(fault.to_string().contains("twice"), "{fault}");
    }
    let folders = raw(&[
        (b"./", EntryType::Directory, b""),
        (b"./sales/", EntryType::Directory, b""),
        (
            b"pax_global_header",
            EntryType::XGlobalHeader,
            b"19 comment=commit\n",
        ),
        (b"./sales/a.rego", file, POLICY.as_bytes()),
    ]);
    let sound = open(&gzip(&folders), Trust::Unsigned, &Limits::default()).unwrap();
    assert_eq!(sound.files[0].path, "sales/a.rego");
}

#[test]
fn what_grows_without_end_is_stopped() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 512 << 10, "{}", bomb.len());
    assert_eq!(fault(&bomb, &Limits::default()).code(), "too_large");
    let limits = Limits {
        file: 100,
        ..Limits::default()
    };
    assert_eq!(
        fault(&archive(&[("a.rego", POLICY)]), &limits).code(),
        "too_large"
    );
    let limits = Limits {
        entries: 3,
        ..Limits::default()
    };
    let names: Vec<String> = (0..4).map(|n| format!("{n}.md")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    assert_eq!(fault(&archive(&many), &limits).code(), "too_large");
    let limits = Limits {
        archive: 64,
        ..Limits::default()
    };
    assert_eq!(
        fault(&archive(&[("a.rego", POLICY)]), &limits).code(),
        "too_large"
    );
}

#[test]
fn what_is_no_archive_or_breaks_off() {
    let whole = archive(&[("a.rego", POLICY)]);
    for end in [0, 1, 10, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        let fault = fault(&whole[..end], &Limits::default());
        assert_eq!(fault.code(), "no_archive", "{end}: {fault}");
    }
    let plain = raw(&[(b"a.rego", EntryType::Regular, b"package a")]);
    for garbage in [
        &b"<html>Sign in</html>"[..],
        b"PK\x03\x04",
        &plain,
        &gzip(b"text"),
    ] {
        assert_eq!(fault(garbage, &Limits::default()).code(), "no_archive");
    }
    let mut trailing = whole.clone();
    trailing.extend_from_slice(b"garbage after the end");
    assert_eq!(fault(&trailing, &Limits::default()).code(), "no_archive");
    // An archive that says more than it holds.
    let mut cut = raw(&[(b"a.rego", EntryType::Regular, POLICY.as_bytes())]);
    cut.truncate(600);
    assert!(open(&gzip(&cut), Trust::Unsigned, &Limits::default()).is_err());
    // Nothing to judge by must not mean that everything goes.
    assert_eq!(
        fault(&archive(&[]), &Limits::default()).code(),
        "no_archive"
    );
    assert_eq!(
        fault(&archive(&[("README.md", "x")]), &Limits::default()).code(),
        "no_archive"
    );
}

#[test]
fn forms_that_are_not_taken_are_told_by_name() {
    let cases = [
        (vec![("patch.json", "{\"data\": []}")], "delta bundle"),
        (
            vec![("a/patch.json", "{}"), ("a.rego", POLICY)],
            "delta bundle",
        ),
        (vec![(".manifest.pb", "x"), ("a.rego", POLICY)], "protobuf"),
        (vec![("a/.manifest", "{}"), ("a.rego", POLICY)], "root"),
        (vec![("my.manifest", "{}"), ("a.rego", POLICY)], "root"),
        (
            vec![("a/.signatures.json", "{}"), ("a.rego", POLICY)],
            "root",
        ),
        (vec![("connections/acme/a.rego", POLICY)], "one layer"),
        (vec![("a.rego", "x := 1")], "`package`"),
        (
            vec![("a.rego", POLICY), (".manifest", "{\"rego_version\": 0}")],
            "Rego v1",
        ),
        (
            vec![("data.json", "[1]")],
            "expected a mapping, found an array",
        ),
        (vec![("data.json", "{\"a\": 1, \"a\": 2}")], "twice"),
        (vec![("a/data.yaml", "a: [")], "/a/data.yaml: not YAML"),
        (vec![("data.json", "{\"params\": 1}")], "`params`"),
        (
            vec![
                ("a.rego", POLICY),
                (".manifest", "{\"roots\": [\"crm/marketing\"]}"),
            ],
            "/a.rego: package `crm.sales.names` lies outside",
        ),
        (
            vec![
                ("data.json", "{\"crmx\": {\"a\": 1}}"),
                (".manifest", "{\"roots\": [\"crm\"]}"),
            ],
            "data `crmx`",
        ),
        (
            vec![
                ("x/data.yaml", "a: {b: {c: 1}, d: 2}"),
                (".manifest", "{\"roots\": [\"x/a/b\"]}"),
            ],
            "data `x.a.d`",
        ),
    ];
    for (files, told) in cases {
        let fault = opened(&files).unwrap_err();
        assert!(fault.to_string().contains(told), "{told}: {fault}");
    }
    let not_text = super::entry("a.rego", b"package \xff");
    let bytes = crate::archive::pack(&[not_text]).unwrap();
    assert!(
        fault(&bytes, &Limits::default())
            .to_string()
            .contains("UTF-8")
    );
}

#[test]
fn data_that_explodes_or_sinks_is_refused() {
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (one, next) in ('a'..='n').zip('b'..='o') {
        let many = vec![format!("*{one}"); 9].join(", ");
        laughs.push_str(&format!("{next}: &{next} [{many}]\n"));
    }
    let fault_of_laughs = opened(&[("x/data.yaml", &laughs)]).unwrap_err();
    assert!(
        fault_of_laughs.to_string().contains("not YAML"),
        "{fault_of_laughs}"
    );
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    assert!(opened(&[("x/data.json", &deep)]).is_err());
    assert!(opened(&[("x/data.yaml", &deep)]).is_err());
}

#[test]
fn what_opa_would_run_is_left_out_and_said() {
    let with_wasm = opened(&[
        ("a.rego", POLICY),
        ("policy.wasm", "\0asm"),
        ("plan.json", "{}"),
        (
            ".manifest",
            "{\"wasm\": [{\"entrypoint\": \"a/b\", \"module\": \"/policy.wasm\"}]}",
        ),
    ])
    .unwrap();
    assert_eq!(with_wasm.warnings.len(), 3, "{:?}", with_wasm.warnings);
    assert_eq!(with_wasm.files.len(), 1);
}
