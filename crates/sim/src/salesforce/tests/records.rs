use super::*;

#[test]
fn a_record_lives_and_dies() {
    let desk = Desk::new();
    let got = desk.post(
        "/sobjects/Contact/",
        &json!({"LastName": " Lovelace ", "FirstName": "Ada", "Email": "ada@example.com"}),
    );
    assert_eq!(
        (got.status, &got.body["success"], &got.body["errors"]),
        (201, &json!(true), &json!([]))
    );
    let id = got.id();
    assert_eq!(id.len(), 18);
    assert_eq!(
        got.header("location"),
        format!("/services/data/v66.0/sobjects/Contact/{id}")
    );
    assert!(got.header("sforce-limit-info").starts_with("api-usage="));
    let path = format!("/sobjects/contact/{}", &id[..15]);
    let got = desk.get(&path);
    assert_eq!(
        (&got.body["Name"], &got.body["Id"]),
        (&json!("Ada Lovelace"), &json!(id))
    );
    assert_eq!(
        got.body["attributes"]["url"],
        format!("/services/data/v66.0/sobjects/Contact/{id}")
    );
    assert_eq!(got.body["OwnerId"], got.body["CreatedById"]);
    let got = desk.patch(&path, &json!({"lastname": "Byron", "Phone": ""}));
    assert_eq!((got.status, got.body), (204, json!("")));
    assert_eq!(
        desk.get(&format!("{path}?fields=name,Phone")).body["Name"],
        "Ada Byron"
    );
    assert_eq!(desk.delete(&path).status, 204);
    let got = desk.get(&path);
    assert_eq!((got.status, got.code()), (404, "ENTITY_IS_DELETED"));
    assert_eq!(desk.delete(&path).code(), "ENTITY_IS_DELETED");
    assert_eq!(desk.patch(&path, &json!({"LastName": "X"})).status, 404);
}

#[test]
fn reads_can_be_narrowed() {
    let desk = Desk::new();
    let id = desk.id_where("Account", "Name = 'Bramwell Optics'");
    let got = desk.get(&format!("/sobjects/Account/{id}?fields=Name,billingcity"));
    let keys: Vec<_> = got.body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["attributes", "Name", "BillingCity", "Id"]);
    assert_eq!(
        desk.get(&format!("/sobjects/Account/{id}?fields=Nope"))
            .code(),
        "INVALID_FIELD"
    );
    assert!(
        desk.get(&format!("/sobjects/Account/{id}")).body["BillingAddress"]["city"].is_string()
    );
}

#[test]
fn bad_bodies_are_refused_in_the_right_words() {
    let desk = Desk::new();
    let bad = |body: Value| {
        let got = desk.post("/sobjects/Contact", &body);
        assert_eq!(got.status, 400, "{body}: {}", got.body);
        (
            got.code().to_owned(),
            got.message().to_owned(),
            got.body[0]["fields"].clone(),
        )
    };
    let (code, message, fields) = bad(json!({"FirstName": "Ada"}));
    assert_eq!(
        (code.as_str(), message.as_str()),
        (
            "REQUIRED_FIELD_MISSING",
            "Required fields are missing: [LastName]"
        )
    );
    assert_eq!(fields, json!(["LastName"]));
    let (code, message, _) = bad(json!({"LastName": "L", "Nope__c": 1}));
    assert_eq!(
        (code.as_str(), message.as_str()),
        (
            "INVALID_FIELD",
            "No such column 'Nope__c' on sobject of type Contact"
        )
    );
    let (code, message, fields) =
        bad(json!({"LastName": "L", "Name": "A L", "CreatedDate": "2020-01-01T00:00:00Z"}));
    assert_eq!(code, "INVALID_FIELD_FOR_INSERT_UPDATE");
    assert!(
        message.starts_with("Unable to create/update fields: Name, CreatedDate."),
        "{message}"
    );
    assert_eq!(fields, json!(["Name", "CreatedDate"]));
    assert_eq!(
        bad(json!({"LastName": "L", "Id": "003Wd00000000010AA"})).0,
        "INVALID_FIELD"
    );
    assert_eq!(
        bad(json!({"LastName": "L", "AccountId": "001Wd0000ZZZZZZ"})).0,
        "INVALID_CROSS_REFERENCE_KEY"
    );
    assert_eq!(
        bad(json!({"LastName": "L", "Birthdate": "2999-01-01"})).0,
        "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    );
    assert_eq!(bad(json!(["LastName"])).0, "JSON_PARSER_ERROR");
    let raw = |kind: &str, body: &[u8]| {
        desk.send("POST", "/sobjects/Contact", &[("content-type", kind)], body)
    };
    assert_eq!(
        raw("application/json", b"{\"LastName\":").code(),
        "JSON_PARSER_ERROR"
    );
    assert_eq!(
        raw("application/json", b"{\"LastName\":\"\xff\"}").code(),
        "JSON_PARSER_ERROR"
    );
    assert_eq!(raw("application/json", b"").code(), "JSON_PARSER_ERROR");
    assert_eq!(
        raw("application/xml; charset=UTF-8", b"<Contact/>").status,
        415
    );
    assert_eq!(raw("multipart/form-data; boundary=x", b"--x--").status, 415);
}

#[test]
fn states_and_sums_are_derived() {
    let desk = Desk::new();
    let new = json!({"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2026-12-31", "Amount": "1000"});
    let id = desk.post("/sobjects/Opportunity", &new).id();
    let path = format!("/sobjects/Opportunity/{id}");
    let got = desk.get(&path).body;
    assert_eq!(
        (
            &got["Probability"],
            &got["ExpectedRevenue"],
            &got["IsClosed"]
        ),
        (&json!(10.0), &json!(100.0), &json!(false))
    );
    assert_eq!(
        (&got["ForecastCategory"], &got["CurrencyIsoCode"]),
        (&json!("Pipeline"), &json!("EUR"))
    );
    assert_eq!(
        desk.patch(&path, &json!({"StageName": "Closed Won"}))
            .status,
        204
    );
    let got = desk.get(&path).body;
    assert_eq!(
        (&got["IsWon"], &got["IsClosed"], &got["Probability"]),
        (&json!(true), &json!(true), &json!(100.0))
    );
    let got = desk.patch(&path, &json!({"Amount": null}));
    assert_eq!(
        (got.status, got.code()),
        (400, "FIELD_CUSTOM_VALIDATION_EXCEPTION")
    );
    assert_eq!(got.body[0]["fields"], json!(["Amount"]));
    assert_eq!(
        desk.patch(&path, &json!({"StageName": "Nearly"})).code(),
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    );
    assert_eq!(
        desk.patch(&path, &json!({"IsWon": false})).code(),
        "INVALID_FIELD_FOR_INSERT_UPDATE"
    );
    desk.patch(
        &path,
        &json!({"StageName": "Prospecting", "Probability": 42}),
    );
    assert_eq!(desk.get(&path).body["Probability"], 42.0);
    let case = desk.post(
        "/sobjects/Case",
        &json!({"Subject": "x", "ContactId": desk.id_where("Contact", "Ext_Id__c = 'CRM-C-2000'")}),
    );
    let got = desk.get(&format!("/sobjects/Case/{}", case.id())).body;
    assert_eq!(
        (&got["Status"], &got["CaseNumber"]),
        (&json!("New"), &json!("00000015"))
    );
    assert!(got["AccountId"].is_string());
}

#[test]
fn lookups_take_both_spellings() {
    let desk = Desk::new();
    let account = desk.id_where("Account", "Ext_Id__c = 'ERP-10000'");
    let owner = desk.id_where("User", "Username = 'rae.quillon@acme.example'");
    let new = json!({
        "LastName": "L", "Account": {"ext_id__c": "erp-10000"},
        "Owner": {"attributes": {"type": "User"}, "Username": "rae.quillon@acme.example"},
    });
    let got = desk.get(&format!(
        "/sobjects/Contact/{}",
        desk.post("/sobjects/Contact", &new).id()
    ));
    assert_eq!(
        (&got.body["AccountId"], &got.body["OwnerId"]),
        (&json!(account), &json!(owner))
    );
    let bad = |body: Value| desk.post("/sobjects/Contact", &body);
    let got = bad(json!({"LastName": "L", "Account": {"Ext_Id__c": "none"}}));
    assert_eq!(
        (got.code(), got.message()),
        (
            "INVALID_FIELD",
            "Foreign key external ID: none not found for field Ext_Id__c in entity Account"
        )
    );
    assert!(
        bad(json!({"LastName": "L", "Account": {"Phone": "1"}}))
            .message()
            .contains("does not match an External ID")
    );
    let got =
        bad(json!({"LastName": "L", "AccountId": account, "Account": {"Ext_Id__c": "ERP-10000"}}));
    assert!(
        got.message().starts_with("Cannot specify both"),
        "{}",
        got.body
    );
    let lead =
        json!({"LastName": "L", "Company": "C", "Owner": {"Username": "rae.quillon@acme.example"}});
    assert_eq!(
        desk.post("/sobjects/Lead", &lead).code(),
        "INVALID_FIELD",
        "which of two objects must be said"
    );
    let old = desk.id_where("User", "IsActive = false");
    assert_eq!(
        bad(json!({"LastName": "L", "OwnerId": old})).code(),
        "INACTIVE_OWNER_OR_USER"
    );
    assert_eq!(
        bad(json!({"LastName": "L", "AccountId": owner})).code(),
        "MALFORMED_ID"
    );
}

#[test]
fn deleting_a_parent_takes_what_belongs_to_it() {
    let desk = Desk::new();
    let account = desk
        .post("/sobjects/Account", &json!({"Name": "Short-lived"}))
        .id();
    let contact = desk
        .post(
            "/sobjects/Contact",
            &json!({"LastName": "L", "AccountId": account}),
        )
        .id();
    assert_eq!(
        desk.delete(&format!("/sobjects/Account/{account}")).status,
        204
    );
    assert_eq!(
        desk.get(&format!("/sobjects/Contact/{contact}")).code(),
        "ENTITY_IS_DELETED"
    );
    let user = desk.id_where("User", "Alias = 'rquillon'");
    assert_eq!(desk.delete(&format!("/sobjects/User/{user}")).status, 405);
}

#[test]
fn relationship_addresses_reach_the_other_record() {
    let desk = Desk::new();
    let contact = desk.id_where("Contact", "Account.Name = 'Bramwell Optics'");
    let account = desk.id_where("Account", "Name = 'Bramwell Optics'");
    let got = desk.get(&format!("/sobjects/Contact/{contact}/Account"));
    assert_eq!(got.body["Id"], json!(account));
    assert_eq!(
        desk.patch(
            &format!("/sobjects/Contact/{contact}/account"),
            &json!({"Site": "Moved"})
        )
        .status,
        204
    );
    assert_eq!(
        desk.get(&format!("/sobjects/Account/{account}")).body["Site"],
        "Moved"
    );
    let got = desk.get(&format!("/sobjects/Contact/{contact}/Account/Contacts"));
    assert!(got.body["totalSize"].as_u64().unwrap() >= 1, "{}", got.body);
    assert_eq!(
        desk.patch(&format!("/sobjects/Account/{account}/Contacts"), &json!({}))
            .status,
        405
    );
    assert_eq!(
        desk.get(&format!("/sobjects/Contact/{contact}/Nothing"))
            .status,
        404
    );
    let lonely = desk
        .post("/sobjects/Contact", &json!({"LastName": "L"}))
        .id();
    assert_eq!(
        desk.delete(&format!("/sobjects/Contact/{lonely}/Account"))
            .status,
        404
    );
}

#[test]
fn resetting_brings_the_seed_back() {
    let desk = Desk::new();
    let before = desk.crm.records("Lead").unwrap();
    desk.post("/sobjects/Lead", &json!({"LastName": "L", "Company": "C"}));
    desk.delete(&format!(
        "/sobjects/Lead/{}",
        before[0]["Id"].as_str().unwrap()
    ));
    assert_ne!(desk.crm.records("lead").unwrap(), before);
    desk.crm.reset();
    assert_eq!(desk.crm.records("Lead").unwrap(), before);
    assert!(desk.crm.records("Nothing").is_none());
}
