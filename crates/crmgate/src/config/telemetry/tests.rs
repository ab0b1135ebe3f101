use std::path::Path;
use std::time::Duration;

use crmgate_connector::secret::ExposeSecret as _;

use super::super::{Loaded, load_text};

fn read(dir: &Path, text: &str) -> Result<Loaded, String> {
    let text = format!("[telemetry]\n{text}");
    load_text(Some((Path::new("crmgate.toml"), &text)), dir, &[]).map_err(|error| error.to_string())
}

#[test]
fn no_trace_leaves_unless_somebody_says_where_to() {
    let loaded = read(Path::new("."), "").unwrap();
    let telemetry = loaded.config.telemetry;
    assert!(telemetry.endpoint.is_none());
    assert!((telemetry.sample - 1.0).abs() < f64::EPSILON);
    assert!(telemetry.follow_callers);
    assert_eq!(telemetry.timeout, Duration::from_secs(10));
}

#[test]
fn an_address_gets_the_standards_path_once() {
    for (given, found) in [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        (
            "https://otel.example.com/in/",
            "https://otel.example.com/in/v1/traces",
        ),
        (
            "https://otel.example.com/v1/traces",
            "https://otel.example.com/v1/traces",
        ),
    ] {
        let loaded = read(Path::new("."), &format!("endpoint = \"{given}\"")).unwrap();
        assert_eq!(loaded.config.telemetry.endpoint.unwrap().as_str(), found);
    }
}

#[test]
fn headers_are_references_to_secrets() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "Bearer s3cret\n").unwrap();
    let loaded = read(dir.path(), "headers = { Authorization = \"file:token\" }").unwrap();
    let telemetry = &loaded.config.telemetry;
    let (name, secret) = telemetry.headers.first().unwrap();
    assert_eq!(name, "authorization");
    assert_eq!(secret.get().unwrap().expose_secret(), "Bearer s3cret");
    assert!(!format!("{telemetry:?}").contains("s3cret"));
}

#[test]
fn every_mistake_is_told_with_its_setting() {
    let Err(told) = read(
        Path::new("."),
        "endpoint = \"https://me:s3cret@otel.example.com\"\nsample = 2\nqueue = 0\n\
         headers = { \"not a header\" = \"env:X\", authorization = \"s3cret\" }\nsampling = 1",
    ) else {
        panic!("there are five mistakes");
    };
    for part in [
        "telemetry.endpoint",
        "expected them as a reference in `headers`",
        "telemetry.sample",
        "expected a number from 0 to 1, found `2`",
        "telemetry.queue",
        "`not a header` is no name of a header",
        "telemetry.headers.authorization",
        "expected a reference to a secret",
        "telemetry.sampling",
    ] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
    assert!(!told.contains("s3cret"), "{told}");
}
