use std::path::Path;

use super::super::{Config, load_text};
use super::Origin;

fn read(dir: &Path, text: &str) -> Result<Config, String> {
    let file = Path::new("crmgate.toml");
    load_text(Some((file, text)), dir, &[])
        .map(|loaded| loaded.config)
        .map_err(|error| error.to_string())
}

#[test]
fn bundles_come_from_servers_and_files() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "t0ken\n").unwrap();
    std::fs::write(
        dir.path().join("hmac"),
        "a secret that is long enough for it\n",
    )
    .unwrap();
    let text = "
[policies.keys.release]
algorithm = \"HS256\"
key = \"file:hmac\"
[policies.bundles.central]
url = \"https://bundles.example.com/crm.tar.gz\"
bearer = \"file:token\"
headers = { X-Tenant = \"file:token\" }
keyid = \"release\"
long_poll = \"30s\"
max_delay = \"20s\"
[policies.bundles.own]
file = \"own.tar.gz\"
connection = \"acme-sf\"
[connections.acme-sf]
system = \"salesforce\"
listen = \"127.0.0.1:8701\"
";
    let bundles = read(dir.path(), text).unwrap().policies.bundles;
    let Origin::Http(central) = &bundles.all["central"].origin else {
        panic!("{bundles:?}");
    };
    assert_eq!(central.headers.len(), 1);
    assert!(central.min_delay <= central.max_delay);
    let Origin::File(own) = &bundles.all["own"].origin else {
        panic!("{bundles:?}");
    };
    assert_eq!(own, &dir.path().join("own.tar.gz"));
    let shown = format!("{bundles:?}");
    assert!(
        !shown.contains("t0ken") && !shown.contains("long enough"),
        "{shown}"
    );
}

#[test]
fn all_faults_of_bundles_are_told_together() {
    let text = "
[policies.keys.short]
algorithm = \"HS256\"
key = \"file:key\"
[policies.keys.none]
algorithm = \"MD5\"
[policies.bundles.Central]
url = \"https://a.example.com/b\"
[policies.bundles.both]
url = \"https://a.example.com/b\"
file = \"b\"
[policies.bundles.neither]
[policies.bundles.user]
url = \"https://u:hunter2@a.example.com/b\"
[policies.bundles.plain]
url = \"http://a.example.com/b\"
bearer = \"hunter2\"
min_delay = \"5s\"
max_delay = \"1s\"
keyid = \"other\"
connection = \"acme\"
polling = \"1s\"
";
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("key"), "hunter2").unwrap();
    let told = read(dir.path(), text).unwrap_err();
    for part in [
        "`policies.keys.short.key`: expected a secret of at least 32 bytes",
        "`policies.keys.none.algorithm`: expected one of HS256",
        "`policies.keys.none.key`: is missing",
        "`Central` is no name of a bundle",
        "`policies.bundles.both.url`: expected either a `url` or a `file`",
        "`policies.bundles.neither.url`: expected either",
        "`policies.bundles.user.url`: holds a user name or a password",
        "`policies.bundles.plain.url`: expected `https://`",
        "`policies.bundles.plain.bearer`: expected a reference to a secret",
        "`policies.bundles.plain.min_delay`: expected no more than `max_delay`",
        "`policies.bundles.plain.keyid`: there is no key `other`",
        "`policies.bundles.plain.connection`: no connection `acme` is configured",
        "`policies.bundles.plain.polling`: is no setting",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}
