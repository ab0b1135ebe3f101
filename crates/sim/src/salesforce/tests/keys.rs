use super::*;

const KEY: &str = "/sobjects/Contact/Ext_Id__c/K%2F1";

#[test]
fn an_upsert_creates_once_and_updates_after() {
    let desk = Desk::new();
    let got = desk.patch(KEY, &json!({"LastName": "L"}));
    assert_eq!((got.status, &got.body["created"]), (201, &json!(true)));
    let id = got.id();
    let got = desk.patch(
        "/sobjects/contact/ext_id__C/k%2F1/",
        &json!({"LastName": "M"}),
    );
    assert_eq!(
        (got.status, &got.body["created"], got.id()),
        (200, &json!(false), id.clone())
    );
    let got = desk.get(KEY);
    assert_eq!(
        (&got.body["LastName"], &got.body["Ext_Id__c"]),
        (&json!("M"), &json!("K/1"))
    );
    let old = "/services/data/v45.0/sobjects/Contact/Ext_Id__c/K%2F1";
    let got = desk.patch(old, &json!({"LastName": "N"}));
    assert_eq!((got.status, got.body), (204, json!("")));
    let got = desk.patch(KEY, &json!({"LastName": "N", "Ext_Id__c": "K/1"}));
    assert_eq!((got.status, got.code()), (400, "INVALID_FIELD"));
    assert_eq!(desk.delete(KEY).status, 204);
    assert_eq!(desk.get(KEY).status, 404);
}

#[test]
fn an_upsert_can_be_told_not_to_create() {
    let desk = Desk::new();
    assert_eq!(
        desk.patch(&format!("{KEY}?updateOnly=true"), &json!({"LastName": "L"}))
            .status,
        404
    );
    assert_eq!(desk.get(KEY).status, 404);
}

#[test]
fn several_matches_change_nothing() {
    let desk = Desk::new();
    let got = desk.patch(
        "/sobjects/Contact/Legacy_Ref__c/OLD-7",
        &json!({"LastName": "X"}),
    );
    assert_eq!(got.status, 300);
    let urls = got.body.as_array().unwrap();
    assert!(
        urls.len() == 2
            && urls[0]
                .as_str()
                .unwrap()
                .starts_with("/services/data/v66.0/sobjects/Contact/003")
    );
    assert_eq!(
        desk.column("SELECT Id FROM Contact WHERE LastName = 'X'", "Id"),
        Vec::<Value>::new()
    );
    assert_eq!(
        desk.delete("/sobjects/Contact/Legacy_Ref__c/OLD-7").status,
        300
    );
}

#[test]
fn unique_keys_hold() {
    let desk = Desk::new();
    let first = desk
        .post(
            "/sobjects/Account",
            &json!({"Name": "A", "Ext_Id__c": "U-1"}),
        )
        .id();
    let got = desk.post(
        "/sobjects/Account",
        &json!({"Name": "B", "Ext_Id__c": "u-1"}),
    );
    assert_eq!((got.status, got.code()), (400, "DUPLICATE_VALUE"));
    assert!(got.message().ends_with(&first[..15]), "{}", got.message());
    // This one minds the case.
    assert_eq!(
        desk.post(
            "/sobjects/Account",
            &json!({"Name": "A", "Ledger_Code__c": "aB"})
        )
        .status,
        201
    );
    assert_eq!(
        desk.post(
            "/sobjects/Account",
            &json!({"Name": "B", "Ledger_Code__c": "AB"})
        )
        .status,
        201
    );
    assert_eq!(
        desk.post(
            "/sobjects/Account",
            &json!({"Name": "C", "Ledger_Code__c": "AB"})
        )
        .code(),
        "DUPLICATE_VALUE"
    );
    assert_eq!(
        desk.delete(&format!("/sobjects/Account/{first}")).status,
        204
    );
    assert_eq!(
        desk.post(
            "/sobjects/Account",
            &json!({"Name": "B", "Ext_Id__c": "U-1"})
        )
        .status,
        201,
        "free again"
    );
}

#[test]
fn the_identifier_is_a_key_too() {
    let desk = Desk::new();
    let got = desk.post("/sobjects/Contact/Id", &json!({"LastName": "L"}));
    assert_eq!((got.status, &got.body["created"]), (201, &json!(true)));
    let id = got.id();
    let got = desk.patch(
        &format!("/sobjects/Contact/Id/{id}"),
        &json!({"LastName": "M"}),
    );
    assert_eq!((got.status, &got.body["created"]), (200, &json!(false)));
    assert_eq!(
        desk.get(&format!("/sobjects/Contact/Id/{id}")).body["LastName"],
        "M"
    );
}

#[test]
fn addresses_that_lead_nowhere_say_so() {
    let desk = Desk::new();
    for path in [
        "/sobjects/Nothing",
        "/sobjects/Contact/Ext_Id__c/a/b",
        "/composite/graph",
        "/nothing",
        "/ui-api/records",
    ] {
        let got = desk.get(path);
        assert_eq!((got.status, got.code()), (404, "NOT_FOUND"), "{path}");
    }
    assert!(
        desk.get("/sobjects/Contact/Phone/1")
            .message()
            .starts_with("Provided external ID field")
    );
    assert!(
        desk.get("/sobjects/Contact/xyz")
            .message()
            .starts_with("Provided external ID field")
    );
    assert_eq!(
        desk.get("/sobjects/Contact/003Wd00000000010BB").code(),
        "MALFORMED_ID"
    );
    assert_eq!(desk.get("/sobjects/Contact/001Wd0000000001").status, 404);
}
