use std::path::Path;

use super::*;
use crate::config::load_text;

fn read(text: &str) -> Result<DecisionLog, String> {
    let file = Path::new("crmgate.toml");
    load_text(Some((file, text)), Path::new("/etc/crmgate"), &[])
        .map(|loaded| loaded.config.decision_log)
        .map_err(|error| error.to_string())
}

#[test]
fn the_defaults_keep_everything_but_what_is_about_people() {
    let log = read("").unwrap();
    assert_eq!(log.kept.payload, Some(PayloadKept::Full));
    assert_eq!(log.kept.personal, Some(Treatment::Mask));
    assert_eq!(log.kept.sensitive, Some(Treatment::Mask));
    assert_eq!(log.kept.unmapped, Some(Treatment::Mask));
    assert!(log.sinks.is_empty());
}

#[test]
fn sinks_are_read_with_what_they_need() {
    let log = read(
        "
[decision_log]
personal = \"hash\"
labels = { site = \"berlin\" }
[decision_log.sinks.archive]
kind = \"file\"
path = \"log/decisions.ndjson\"
rotate_size = \"1 MiB\"
keep = 7
[decision_log.sinks.siem]
kind = \"http\"
url = \"https://logs.example.com/opa\"
partition_name = \"crm\"
from = \"now\"
[decision_log.sinks.console]
kind = \"stdout\"
[connections.acme-sf]
system = \"salesforce\"
listen = \"127.0.0.1:8701\"
[connections.acme-sf.decision_log]
payload = \"changes\"
",
    );
    let log = log.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(log.labels.get("site").map(String::as_str), Some("berlin"));
    let Target::File(file) = &log.sinks["archive"].target else {
        panic!("{log:?}");
    };
    assert_eq!(file.path, Path::new("/etc/crmgate/log/decisions.ndjson"));
    assert_eq!(
        (file.rotate_size, file.keep, file.gzip),
        (1 << 20, Some(7), true)
    );
    assert!(log.sinks["siem"].from_now && !log.sinks["archive"].from_now);
    assert!(matches!(log.sinks["console"].target, Target::Stdout));
    let own = Kept {
        payload: Some(PayloadKept::Changes),
        ..Kept::default()
    };
    let both = own.or(log.kept);
    assert_eq!(both.payload, Some(PayloadKept::Changes));
    assert_eq!(both.personal, Some(Treatment::Hash));
}

#[test]
fn all_mistakes_are_told_together_with_their_places() {
    let told = read(
        "
[decision_log]
payload = \"some\"
personal = \"drop\"
hash_key = \"hunter2\"
[decision_log.sinks.archive]
kind = \"file\"
rotate = 7
[decision_log.sinks.siem]
kind = \"http\"
url = \"https://user:hunter2@logs.example.com\"
client_key = \"x.pem\"
[decision_log.sinks.other]
kind = \"kafka\"
",
    )
    .unwrap_err();
    for expected in [
        "decision_log.payload",
        "decision_log.personal",
        "decision_log.hash_key",
        "decision_log.sinks.archive.path",
        "decision_log.sinks.archive.rotate",
        "decision_log.sinks.siem.url",
        "decision_log.sinks.siem.client_key",
        "decision_log.sinks.other.kind",
        "\"file\", \"http\", \"stdout\"",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn the_example_is_a_configuration() {
    let text = include_str!("../../../../../examples/decision-log/crmgate.toml");
    let log = read(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(log.sinks.len(), 2);
    assert_eq!(log.kept.personal, Some(Treatment::Hash));
}
