//! Several records in one call.

use super::*;

const CALL: &str = "/composite/sobjects";

fn contact(fields: &Value) -> Value {
    let mut record = json!({"attributes": {"type": "Contact"}});
    for (name, value) in fields.as_object().unwrap() {
        record[name] = value.clone();
    }
    record
}

fn named(names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| contact(&json!({"LastName": name})))
        .collect()
}

fn create(desk: &Desk, all_or_none: bool, records: &Value) -> Got {
    desk.post(CALL, &json!({"allOrNone": all_or_none, "records": records}))
}

fn stored(desk: &Desk, condition: &str) -> usize {
    desk.column(&format!("SELECT Id FROM Contact WHERE {condition}"), "Id")
        .len()
}

fn codes(got: &Got) -> Vec<&str> {
    assert_eq!(got.status, 200, "{}", got.body);
    let rows = got.body.as_array().unwrap().iter();
    rows.map(|row| {
        assert_eq!(row["success"], row["errors"].as_array().unwrap().is_empty());
        row["errors"][0]["statusCode"].as_str().unwrap_or("")
    })
    .collect()
}

#[test]
fn each_record_has_its_own_answer() {
    let desk = Desk::new();
    let records = json!([
        contact(&json!({"LastName": "Coll A", "Ext_Id__c": "coll-1"})),
        contact(&json!({"FirstName": "Nobody"})),
        contact(&json!({"LastName": "Coll B", "Birthdate": "2999-01-01"})),
        contact(&json!({"LastName": "Coll C", "Ext_Id__c": "coll-1"})),
        contact(&json!({"LastName": "Coll D"})),
    ]);
    let got = create(&desk, false, &records);
    assert_eq!(
        codes(&got),
        [
            "",
            "REQUIRED_FIELD_MISSING",
            "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            "DUPLICATE_VALUE",
            ""
        ]
    );
    let first = &got.body[0];
    assert!(first["id"].as_str().unwrap().starts_with("003"), "{first}");
    assert_eq!(got.body[1]["errors"][0]["fields"], json!(["LastName"]));
    assert!(got.body[1].get("id").is_none());
    assert_eq!(stored(&desk, "LastName LIKE 'Coll%'"), 2);
    assert_eq!(got.header("sforce-limit-info"), "api-usage=1/5000000");
}

#[test]
fn all_or_none_takes_everything_back() {
    let desk = Desk::new();
    let records = json!([
        contact(&json!({"LastName": "All A"})),
        contact(&json!({"LastName": "All B", "Email": "no address"})),
        contact(&json!({"LastName": "All C"})),
    ]);
    let got = create(&desk, true, &records);
    let back = "ALL_OR_NONE_OPERATION_ROLLED_BACK";
    assert_eq!(codes(&got), [back, "INVALID_EMAIL_ADDRESS", back]);
    assert_eq!(stored(&desk, "LastName LIKE 'All%'"), 0);
    let got = create(&desk, true, &named(&["All A", "All B"]));
    assert_eq!(codes(&got), ["", ""]);
    assert_eq!(stored(&desk, "LastName LIKE 'All%'"), 2);
}

#[test]
fn what_cannot_be_read_refuses_the_call() {
    let desk = Desk::new();
    let good = contact(&json!({"LastName": "Whole"}));
    for (bad, code) in [
        (
            contact(&json!({"LastName": "X", "Colour__c": "red"})),
            "INVALID_FIELD",
        ),
        (
            contact(&json!({"LastName": "X", "Score__c": "many"})),
            "JSON_PARSER_ERROR",
        ),
        (json!({"LastName": "X"}), "INVALID_INPUT"),
        (json!({"attributes": {"type": "Nothing"}}), "INVALID_TYPE"),
    ] {
        let got = create(&desk, false, &json!([good, bad]));
        assert_eq!((got.status, got.code()), (400, code), "{}", got.body);
    }
    let many: Vec<String> = (0..201).map(|n| format!("Whole {n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        create(&desk, false, &named(&many)).code(),
        "EXCEEDED_ID_LIMIT"
    );
    assert_eq!(create(&desk, false, &json!([])).status, 400);
    assert_eq!(
        desk.post(CALL, &json!({"record": []})).code(),
        "JSON_PARSER_ERROR"
    );
    assert_eq!(stored(&desk, "LastName LIKE 'Whole%' OR LastName = 'X'"), 0);
    assert_eq!(
        codes(&create(&desk, false, &named(&many[..200]))).len(),
        200
    );
    assert_eq!(desk.get(CALL).status, 405);
}

#[test]
fn objects_come_in_at_most_ten_runs() {
    let desk = Desk::new();
    let mixed = |count: usize| -> Value {
        let one = |n| match n % 2 {
            0 => contact(&json!({"LastName": "Mix"})),
            _ => json!({"attributes": {"type": "Account"}, "Name": "Mix"}),
        };
        (0..count).map(one).collect()
    };
    assert_eq!(codes(&create(&desk, false, &mixed(10))), [""; 10]);
    let got = create(&desk, false, &mixed(11));
    assert_eq!((got.status, got.code()), (400, "INVALID_INPUT"));
}

#[test]
fn a_users_rights_hold_for_every_record() {
    let desk = Desk::new().user("toma.birkeland");
    let got = create(
        &desk,
        false,
        &json!([
            contact(&json!({"LastName": "Seen"})),
            contact(&json!({"LastName": "Key", "Ext_Id__c": "rights-1"})),
            json!({"attributes": {"type": "Product2"}, "Name": "P"}),
        ]),
    );
    assert_eq!(
        codes(&got),
        [
            "",
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "INSUFFICIENT_ACCESS_OR_READONLY"
        ]
    );
    // A hidden field is no field.
    let got = create(
        &desk,
        false,
        &json!([contact(&json!({"LastName": "H", "Score__c": 1}))]),
    );
    assert_eq!((got.status, got.code()), (400, "INVALID_FIELD"));
    let id = got_id(&desk);
    let got = desk.delete(&format!("{CALL}?ids={id}"));
    assert_eq!(codes(&got), ["INSUFFICIENT_ACCESS_OR_READONLY"]);
}

fn got_id(desk: &Desk) -> String {
    desk.id_where("Contact", "LastName = 'Seen'")
}

#[test]
fn records_are_updated_and_deleted_together() {
    let desk = Desk::new();
    let got = create(&desk, false, &named(&["Up A", "Up B"]));
    let id = |index: usize| got.body[index]["id"].as_str().unwrap().to_owned();
    let (one, two) = (id(0), id(1));
    let update = |all_or_none: bool| {
        let records = json!([
            contact(&json!({"id": one, "Title": "First"})),
            contact(&json!({"Id": &two[..15], "Title": "Second"})),
            contact(&json!({"id": "003Wd000000zzzz", "Title": "None"})),
            contact(&json!({"id": "001Wd0000000001", "Title": "Other"})),
            contact(&json!({"Title": "Nowhere"})),
        ]);
        desk.patch(CALL, &json!({"allOrNone": all_or_none, "records": records}))
    };
    let got = update(true);
    let back = "ALL_OR_NONE_OPERATION_ROLLED_BACK";
    let failed = [
        "INVALID_CROSS_REFERENCE_KEY",
        "MALFORMED_ID",
        "MISSING_ARGUMENT",
    ];
    assert_eq!(codes(&got), [&[back, back][..], &failed[..]].concat());
    assert_eq!(got.body[0]["id"], json!(one), "what was there keeps its id");
    assert_eq!(stored(&desk, "Title = 'First'"), 0);
    assert_eq!(codes(&update(false)), [&["", ""][..], &failed[..]].concat());
    assert_eq!(stored(&desk, "Title IN ('First', 'Second')"), 2);

    let path = format!("{CALL}?ids={one},{two},xyz&allOrNone=");
    let got = desk.delete(&format!("{path}true"));
    assert_eq!(codes(&got), [back, back, "MALFORMED_ID"]);
    assert_eq!(stored(&desk, "LastName LIKE 'Up%'"), 2);
    assert_eq!(
        codes(&desk.delete(&format!("{path}false"))),
        ["", "", "MALFORMED_ID"]
    );
    let gone = desk.delete(&format!("{path}false"));
    assert_eq!(codes(&gone)[..2], ["ENTITY_IS_DELETED"; 2]);
    assert_eq!(stored(&desk, "LastName LIKE 'Up%'"), 0);
    assert_eq!(desk.delete(CALL).status, 400);
}

#[test]
fn records_are_put_under_their_keys() {
    let desk = Desk::new();
    let path = format!("{CALL}/contact/ext_id__c");
    let body = json!({"allOrNone": false, "records": [
        contact(&json!({"LastName": "Key A", "Ext_Id__c": "key-1"})),
        contact(&json!({"LastName": "Key B", "ext_id__c": "key-2"})),
        contact(&json!({"LastName": "Key C"})),
        contact(&json!({"LastName": "Key D", "Ext_Id__c": "key-1"})),
    ]});
    let got = desk.patch(&path, &body);
    assert_eq!(codes(&got), ["", "", "MISSING_ARGUMENT", ""]);
    let created = [0, 1, 3].map(|index| got.body[index]["created"].as_bool().unwrap());
    assert_eq!(created, [true, true, false]);
    assert_eq!(got.body[0]["id"], got.body[3]["id"]);
    assert_eq!(
        stored(&desk, "LastName = 'Key D' AND Ext_Id__c = 'key-1'"),
        1
    );
    let got = desk.patch(&format!("{CALL}/Contact/Title"), &body);
    assert_eq!((got.status, got.code()), (400, "NOT_FOUND"));
    let mixed = json!({"records": [{"attributes": {"type": "Account"}, "Ext_Id__c": "1"}]});
    assert_eq!(desk.patch(&path, &mixed).code(), "INVALID_INPUT");
    let old = path.replace(CALL, "/services/data/v45.0/composite/sobjects");
    assert_eq!(desk.patch(&old, &body).status, 404);
    for reference in ["dup", "dup"] {
        desk.post(
            "/sobjects/Contact",
            &json!({"LastName": "L", "Legacy_Ref__c": reference}),
        );
    }
    let twice = json!({"records": [contact(&json!({"LastName": "L", "Legacy_Ref__c": "dup"}))]});
    let got = desk.patch(&format!("{CALL}/Contact/Legacy_Ref__c"), &twice);
    assert_eq!(codes(&got), ["DUPLICATE_EXTERNAL_ID"]);
}

#[test]
fn records_are_read_together() {
    let desk = Desk::new();
    let got = create(&desk, false, &named(&["Read A"]));
    let id = got.body[0]["id"].clone();
    let body = json!({"ids": [id, "003Wd000000zzzz"], "fields": ["LastName"]});
    let got = desk.post(&format!("{CALL}/Contact"), &body);
    assert_eq!(
        (got.status, &got.body[0]["LastName"]),
        (200, &json!("Read A"))
    );
    assert!(got.body[1].is_null());
}

#[test]
fn faults_hit_single_records() {
    let desk = Desk::new();
    let faults = json!([
        {"kind": "lock_row", "row": {"match": {"LastName": "Fault B"}}},
        {"kind": "status", "status": 400, "row": {"index": 2}, "times": 1},
        {"kind": "status", "status": 503, "row": {"index": 3}, "times": 1},
    ]);
    desk.row_faults(&faults);
    let records = named(&["Fault A", "Fault B", "Fault C", "Fault D"]);
    let got = create(&desk, false, &records);
    assert_eq!(
        codes(&got),
        [
            "",
            "UNABLE_TO_LOCK_ROW",
            "FIELD_INTEGRITY_EXCEPTION",
            "SERVER_UNAVAILABLE"
        ]
    );
    assert_eq!(stored(&desk, "LastName LIKE 'Fault%'"), 1);
    let alone = desk.post("/sobjects/Contact", &json!({"LastName": "Fault B"}));
    assert_eq!((alone.status, alone.code()), (400, "UNABLE_TO_LOCK_ROW"));
    let got = create(&desk, true, &records);
    assert_eq!(codes(&got)[1], "UNABLE_TO_LOCK_ROW");
    assert_eq!(stored(&desk, "LastName LIKE 'Fault%'"), 1);
}
