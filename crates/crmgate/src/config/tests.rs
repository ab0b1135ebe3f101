//! What a configuration says, and what is said of a broken one.

use std::path::Path;
use std::time::Duration;

use crmgate_domain::{ConnectionName, Kind, Mode};
use crmgate_enforce::WriteAs;
use crmgate_policy::Ungoverned;
use crmgate_store::Release;

use crmgate_app::IdentityMode;

use super::{ConfigError, Loaded, load_text};

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let environment: Vec<(String, String)> = environment
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    let file = Path::new("crmgate.toml");
    load_text(Some((file, text)), Path::new("/etc/crmgate"), &environment)
}

fn faults(text: &str, environment: &[(&str, &str)]) -> String {
    match read(text, environment) {
        Ok(_) => panic!("the configuration has faults"),
        Err(error) => error.to_string(),
    }
}

const CONNECTION: &str = "
[connections.acme-sf]
system = \"salesforce\"
listen = \"127.0.0.1:8701\"
";

#[test]
fn the_default_file_alone_is_a_whole_configuration() {
    let loaded = load_text(None, Path::new("."), &[]).unwrap_or_else(|error| panic!("{error}"));
    let config = loaded.config;
    assert_eq!(config.limits.body, 8 << 20);
    assert_eq!(config.policies.time_limit, Duration::from_millis(50));
    let control = config.control.listen.unwrap();
    assert_eq!(control.address.to_string(), "127.0.0.1:8700");
    assert!(config.gateway.listen.is_none());
    assert!(config.connections.is_empty());
}

#[test]
fn files_lie_over_the_default_and_the_environment_over_both() {
    let text = format!("data_dir = \"data\"\n[limits]\nbody = \"1 MiB\"\n{CONNECTION}");
    let loaded = read(
        &text,
        &[
            ("CRMGATE__CONNECTIONS__ACME_SF__MODE", "observe"),
            ("CRMGATE__CONTROL__LISTEN", "127.0.0.1:9000"),
            ("CRMGATE__UPSTREAM__NO_PROXY", "localhost, .intern"),
            ("CRMGATE__POLICIES__WATCH", "false"),
            ("CRMGATE_URL", "not a setting"),
        ],
    );
    let config = loaded.unwrap_or_else(|error| panic!("{error}")).config;
    assert_eq!(config.data_dir, Path::new("/etc/crmgate/data"));
    assert_eq!(config.limits.body, 1 << 20);
    assert_eq!(config.limits.headers, 64 << 10);
    let control = config.control.listen.unwrap();
    assert_eq!(control.address.port(), 9000);
    assert!(!config.policies.watch);
    let name: ConnectionName = "acme-sf".parse().unwrap();
    let connection = &config.connections[&name];
    assert_eq!(connection.mode, Mode::Observe);
    assert_eq!(connection.identity, IdentityMode::PassThrough);
    assert_eq!(connection.upstream.0.no_proxy, "localhost, .intern");
}

#[test]
fn a_connection_says_what_happens_to_what_nobody_governs() {
    let text = format!(
        "{CONNECTION}instance_url = \"https://acme.example.com\"\n\
         [connections.acme-sf.ungoverned]\n\"*\" = \"deny\"\nTask = \"allow\"\n\
         case = {{ create = \"allow\" }}\n\
         [connections.acme-sf.params]\nsales.discounts.max_percent = 25\n\
         [connections.acme-sf.enforcement]\n\"crm.sales.discounts\" = \"dryrun\"\n\
         crm.quality.phones = \"warn\"\n\
         [connections.acme-sf.auth]\nflow = \"none\"\n"
    );
    let loaded = read(&text, &[]).unwrap_or_else(|error| panic!("{error}"));
    let name: ConnectionName = "acme-sf".parse().unwrap();
    let connection = &loaded.config.connections[&name];
    let verdict = |object, kind| connection.ungoverned.choose(object, object, kind);
    assert_eq!(verdict("task", Kind::Delete), Ungoverned::Allow);
    assert_eq!(verdict("case", Kind::Create), Ungoverned::Allow);
    assert_eq!(verdict("case", Kind::Update), Ungoverned::Deny);
    assert_eq!(verdict("contact", Kind::Create), Ungoverned::Deny);
    let packages: Vec<&str> = connection.enforcement.keys().map(String::as_str).collect();
    assert_eq!(packages, ["crm.quality.phones", "crm.sales.discounts"]);
    assert!(connection.params.get("sales").is_some());
    assert_eq!(
        connection.settings,
        serde_json::json!({
            "auth": {"flow": "none"},
            "instance_url": "https://acme.example.com",
        })
    );
}

#[test]
fn a_connection_says_how_its_crm_is_reached() {
    let text = format!(
        "[upstream]\nno_proxy = [\".intern\"]\n{CONNECTION}\
         [connections.acme-sf.upstream]\nproxy = \"http://proxy:3128\"\nproxy_user = \"gate\"\n\
         proxy_password = \"file:secret\"\nca_files = [\"ca.pem\"]\ntimeout = \"30s\"\n\
         resolve = {{ \"acme.my.salesforce.com\" = [\"198.51.100.7:443\"] }}\n"
    );
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("secret"), "p@ss\n").unwrap();
    let file = Path::new("crmgate.toml");
    let loaded = load_text(Some((file, &text)), dir.path(), &[]);
    let config = loaded.unwrap_or_else(|error| panic!("{error}")).config;
    let name: ConnectionName = "acme-sf".parse().unwrap();
    let own = &config.connections[&name].upstream.0;
    assert_eq!(
        own.proxy.as_ref().unwrap().as_str(),
        "http://gate:p%40ss@proxy:3128/"
    );
    assert_eq!(own.extra_ca_files, [dir.path().join("ca.pem")]);
    assert_eq!(own.timeout, Duration::from_secs(30));
    assert_eq!(own.no_proxy, ".intern");
    assert_eq!(own.resolve["acme.my.salesforce.com"][0].port(), 443);
    assert!(config.upstream.0.proxy.is_none());
    assert!(!format!("{config:?}").contains("p%40ss"));
}

#[test]
fn callbacks_are_signed_with_secrets_that_are_keys() {
    let dir = tempfile::tempdir().unwrap();
    let key = |byte: &str| format!("whsec_{}", byte.repeat(32));
    for (name, text) in [
        ("one", key("A")),
        ("two", key("B")),
        ("no", "hunter2".to_owned()),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let read = |text: &str| {
        let text = format!("[operations.callbacks]\nhosts = [\"a.example\"]\n{text}");
        let file = Path::new("crmgate.toml");
        let loaded = load_text(Some((file, &text)), dir.path(), &[]);
        loaded.map(|loaded| loaded.config.operations.callbacks)
    };
    let own = "[operations.callbacks.tokens.0123abcd]\nsecrets = [\"file:two\", \"file:one\"]\n";
    let both = format!("secrets = [\"file:one\"]\n{own}");
    let settings = read(&both).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(settings.secrets.len(), 1);
    assert_eq!(settings.of_tokens["0123abcd"].len(), 2);
    for (text, expected) in [
        ("", "`operations.callbacks.secrets`: is missing"),
        ("secrets = []\n", "one or two secrets"),
        (
            "secrets = [\"file:no\"]\n",
            "`file:no` holds no key: expected `whsec_`",
        ),
        (
            "secrets = [\"file:one\"]\ntokens.importer.secrets = [\"file:one\"]\n",
            "`operations.callbacks.tokens.importer.secrets`: is for no token",
        ),
        (own, "`operations.callbacks.secrets`: is missing"),
        (
            "secrets = [\"file:one\"]\n[operations.callbacks.tokens.0123abcd]\n",
            "`operations.callbacks.tokens.0123abcd.secrets`: is missing",
        ),
    ] {
        let told = read(text).unwrap_err().to_string();
        assert!(told.contains(expected), "{text}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
        assert_eq!(told.matches("secrets`:").count(), 1, "{told}");
    }
}

#[test]
fn all_faults_are_told_together_each_with_its_place() {
    let text = r#"
data_dir = 7
retention = "90d"

[logging]
format = "xml"
level = "info,="

[control]
listen = "0.0.0.0:8700"
trusted_proxies = ["10.0.0.0/99"]

[limits]
body = "8 MB"
connections = 0

[upstream]
proxy = "http://user:secret@proxy:3128"
connect_timeout = "2m"
proxy_password = "hunter2"

[connections.Acme]
system = "salesforce"
listen = "127.0.0.1:1"

[connections.a]
listen = "127.0.0.1:8701"
mode = "obsrve"
tls = { certificate = "a.pem", pem = "a.key" }

[connections.b]
system = "dynamics"
listen = "127.0.0.1:8701"
public_url = "https://gate.example.com/dynamics"
ungoverned = { contact = { upsert = "allow" }, lead = "maybe" }
enforcement = { "crm.sales.discounts" = "on" }

[connections.c]
system = "dynamics"
identity = "passthrough"
fail_open = "yes"

[connections.d]
system = "dynamics"
host = "https://d.example.com"
"#;
    insta::assert_snapshot!(faults(
        text,
        &[
            ("CRMGATE__LIMITS__HEADERS", "lots"),
            ("CRMGATE__LIMITS__COOKIES", "1")
        ]
    ),);
}

#[test]
fn what_is_held_is_carried_out_where_the_gate_lends_its_credential() {
    let text = |more: &str| format!("{CONNECTION}{more}\n");
    let told = faults(&text("held_writes = \"execute\""), &[]);
    assert!(
        told.contains("connections.acme-sf.held_writes") && told.contains("brokered"),
        "{told}"
    );
    let told = faults(&text("held_writes_as = \"service\""), &[]);
    assert!(
        told.contains("only goes with `held_writes = \"execute\"`"),
        "{told}"
    );
    let told = faults(
        &text("identity = \"brokered\"\nheld_writes = \"later\""),
        &[],
    );
    assert!(
        told.contains("expected one of \"ticket\", \"execute\""),
        "{told}"
    );
    let released = |more: &str| {
        let loaded = read(&text(more), &[]).unwrap_or_else(|error| panic!("{error}"));
        let connection = loaded.config.connections.into_values().next().unwrap();
        (connection.held_writes, connection.held_writes_as)
    };
    assert_eq!(released(""), (Release::Ticket, None));
    assert_eq!(
        released("identity = \"brokered\"\nheld_writes_as = \"service\""),
        (Release::Execution, Some(WriteAs::Service))
    );
    assert_eq!(
        released("identity = \"brokered\"\nheld_writes = \"ticket\""),
        (Release::Ticket, None)
    );
}

#[test]
fn what_is_no_toml_is_told_with_line_and_column() {
    insta::assert_snapshot!(faults("[logging]\nformat = json\n[limits\nbody = 1\n", &[]));
}

#[test]
fn a_secret_is_never_part_of_a_fault() {
    let text =
        "[upstream]\nproxy = \"http://user:hunter2@proxy:3128\"\nproxy_password = \"hunter3\"\n";
    let told = faults(text, &[]);
    assert!(!told.contains("hunter"), "{told}");
}
