//! What stays of changes, and that nothing else is told.

use jiff::{SignedDuration, Timestamp};

use super::*;

#[test]
fn each_change_that_stays_is_told_once() {
    let desk = Desk::new();
    assert!(
        desk.crm.effects(0).is_empty(),
        "the seeded data is no effect"
    );
    let made = desk
        .post("/sobjects/Contact", &json!({"LastName": "Made"}))
        .id();
    let address = format!("/sobjects/Contact/{made}");
    let began = desk.clock.now();
    desk.clock.advance(Duration::from_mins(5));
    desk.patch(&address, &json!({"Title": "Buyer"}));
    desk.patch(&address, &json!({"Colour": "red"}));
    let kind = json!({"type": "Contact"});
    let records = json!([
        {"attributes": kind, "LastName": "Taken back"},
        {"attributes": kind, "FirstName": "Nobody"},
    ]);
    let body = json!({"allOrNone": true, "records": records});
    desk.post("/composite/sobjects", &body);
    desk.delete(&address);
    let told = desk.crm.effects(0);
    let kinds: Vec<_> = told.iter().map(|effect| &effect["kind"]).collect();
    assert_eq!(kinds, ["create", "update", "delete"], "{told:?}");
    assert_eq!(told[0]["values"]["LastName"], "Made");
    assert_eq!(told[1]["values"]["Title"], "Buyer");
    assert!(told[1]["values"].get("LastName").is_none());
    assert!(told.iter().all(|effect| effect["id"] == made.as_str()));
    let at = |place: usize| told[place]["at"].as_str().unwrap().parse::<Timestamp>();
    assert!(at(0).unwrap() <= began && at(1).unwrap() >= began + SignedDuration::from_mins(5));
    let last = told[1]["seq"].as_u64().unwrap();
    assert_eq!(desk.crm.effects(last), told[2..]);
    desk.crm.reset();
    assert!(desk.crm.effects(0).is_empty());
}
