//! What stays of changes, and that nothing else is told.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;

const BATCH: &str = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\nPOST /api/data/v9.2/contacts HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{\"lastname\": \"Taken back\"}\r\n--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 2\r\n\r\nPOST /api/data/v9.2/contacts HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{\"colour\": 1}\r\n--c--\r\n--b--\r\n";

#[test]
fn each_change_that_stays_is_told_once() {
    let org = integration();
    let clock = org.simulator.options().common.clock.clone();
    let crm: &dyn Crm = &*org.simulator.environment;
    assert!(crm.effects(0).is_empty(), "the seeded data is no effect");
    let made = org.post("contacts", &json!({"lastname": "Made"})).ok(204);
    let address = format!("contacts({})", made.id());
    let began = clock.now();
    clock.advance(Duration::from_mins(5));
    org.patch(&address, &json!({"jobtitle": "Buyer"})).ok(204);
    org.patch(&address, &json!({"colour": "red"}))
        .refused(400, "0x80048d19");
    let kind = [("content-type", "multipart/mixed; boundary=b")];
    org.send(Method::POST, "$batch", &kind, BATCH);
    org.send(Method::DELETE, &address, &[], "").ok(204);
    let told = crm.effects(0);
    let kinds: Vec<_> = told.iter().map(|effect| &effect["kind"]).collect();
    assert_eq!(kinds, ["create", "update", "delete"], "{told:?}");
    assert_eq!(told[0]["values"]["lastname"], "Made");
    assert_eq!(told[1]["values"]["jobtitle"], "Buyer");
    assert!(told[1]["values"].get("lastname").is_none());
    assert!(
        told.iter()
            .all(|effect| effect["id"] == made.id().to_string())
    );
    let at = |place: usize| told[place]["at"].as_str().unwrap().parse::<Timestamp>();
    assert!(at(0).unwrap() <= began && at(1).unwrap() >= began + SignedDuration::from_mins(5));
    let last = told[1]["seq"].as_u64().unwrap();
    assert_eq!(crm.effects(last), told[2..]);
    crm.reset();
    assert!(crm.effects(0).is_empty());
}
