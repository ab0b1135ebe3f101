//! The servers that tests start.

use crmgate_testkit::Postgres;

#[test]
fn postgres_stops_pauses_and_comes_back_with_its_data() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let (one, other) = (server.database(), server.database());
    assert_ne!(one, other);
    let made = server.run(&one, "CREATE TABLE t (n int); INSERT INTO t VALUES (7)");
    assert_eq!(made, "");
    server.stop();
    server.restart();
    assert_eq!(server.run(&one, "SELECT n FROM t"), "7");
    server.kill();
    server.restart();
    assert_eq!(server.run(&one, "SELECT n FROM t"), "7");
    server.pause();
    server.resume();
    assert_eq!(server.run(&one, "SELECT n FROM t"), "7");
}
