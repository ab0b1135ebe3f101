//! Connections that are not plain.

use crmgate_domain::Ambient as _;
use crmgate_store::Pulse as _;
use crmgate_store_sql::OpenError;
use crmgate_testkit::Postgres;

use crate::{ambient, try_open};

/// A certificate for `localhost`, made where the server looks for it.
const CERTIFICATE: &str = "COPY (SELECT 1) TO PROGRAM 'openssl req -x509 -newkey rsa:2048 -nodes \
     -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
     -addext basicConstraints=critical,CA:FALSE -keyout server.key -out server.crt \
     >/dev/null 2>&1 && chmod 600 server.key'";

#[tokio::test]
async fn the_server_is_believed_as_far_as_the_address_says() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let address = server.database();
    for statement in [
        CERTIFICATE,
        "ALTER SYSTEM SET ssl = on",
        "SELECT pg_reload_conf()",
    ] {
        let _ = server.run(&address, statement);
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root.crt");
    let certificate = server.run(&address, "SELECT pg_read_file('server.crt')");
    std::fs::write(&root, certificate).unwrap();
    let root = root.display();
    let named = address.replace("127.0.0.1", "localhost");

    for (trusted, with) in [
        (&named, format!("sslmode=verify-full&sslrootcert={root}")),
        (&address, format!("sslmode=verify-ca&sslrootcert={root}")),
        (&address, "sslmode=require".to_owned()),
    ] {
        let store = try_open(&format!("{trusted}?{with}")).await.unwrap();
        store.beat(ambient().now()).await.unwrap();
        let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'crmgate' AND NOT ssl";
        assert_eq!(server.run(&address, plain), "0", "{with}");
        store.close().await;
    }
    for (mistrusted, with) in [
        // Signed by nobody that is known.
        (&named, "sslmode=verify-full".to_owned()),
        // Of another name.
        (&address, format!("sslmode=verify-full&sslrootcert={root}")),
    ] {
        let refused = try_open(&format!("{mistrusted}?{with}")).await;
        assert!(
            matches!(refused, Err(OpenError::Unreachable { .. })),
            "{with}"
        );
    }
}
