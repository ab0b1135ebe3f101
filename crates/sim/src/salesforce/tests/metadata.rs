use super::*;

#[test]
fn versions_are_listed_for_everyone() {
    let mut desk = Desk::new();
    desk.token = String::new();
    let got = desk.get("/services/data/");
    let last = got.body.as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        last,
        json!({"label": "Spring '26", "url": "/services/data/v66.0", "version": "66.0"})
    );
    assert_eq!(desk.get("/services/data/v20.0/sobjects").status, 410);
    assert_eq!(desk.get("/services/data/v99.0/sobjects").status, 404);
    assert_eq!(desk.post("/services/data", &json!({})).status, 405);
}

#[test]
fn objects_are_described() {
    let desk = Desk::new();
    let got = desk.get("/sobjects");
    let names: Vec<_> = got.body["sobjects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    for name in [
        "Account",
        "Contact",
        "Lead",
        "Opportunity",
        "Case",
        "Task",
        "User",
        "Product2",
        "GroupMember",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    assert_eq!(
        desk.get("/sobjects/lead").body["objectDescribe"]["keyPrefix"],
        "00Q"
    );
}

#[test]
fn fields_are_described() {
    let desk = Desk::new();
    let body = desk.get("/sobjects/Opportunity/describe/").body;
    assert_eq!(body["uiNewRecord"], "https://org.example:8443/006/e");
    let field = |name: &str| {
        body["fields"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == name)
            .unwrap()
            .clone()
    };
    let stage = field("StageName");
    assert_eq!(
        (
            &stage["type"],
            &stage["nillable"],
            &stage["restrictedPicklist"]
        ),
        (&json!("picklist"), &json!(false), &json!(true))
    );
    assert_eq!(stage["picklistValues"][0]["value"], "Prospecting");
    let ext = field("Ext_Id__c");
    assert_eq!(
        (
            &ext["externalId"],
            &ext["unique"],
            &ext["idLookup"],
            &ext["length"]
        ),
        (&json!(true), &json!(true), &json!(true), &json!(64))
    );
    let account = field("AccountId");
    assert_eq!(
        (&account["referenceTo"], &account["relationshipName"]),
        (&json!(["Account"]), &json!("Account"))
    );
    assert_eq!(
        (
            &field("ExpectedRevenue")["calculated"],
            &field("IsWon")["updateable"]
        ),
        (&json!(true), &json!(false))
    );
    let lead = desk.get("/sobjects/Lead/describe").body;
    let owner = lead["fields"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "OwnerId")
        .unwrap()
        .clone();
    assert_eq!(
        (&owner["polymorphicForeignKey"], &owner["referenceTo"]),
        (&json!(true), &json!(["Group", "User"]))
    );
    let children = &desk.get("/sobjects/Account/describe").body["childRelationships"];
    assert!(
        children
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["relationshipName"] == "Contacts" && one["cascadeDelete"] == true)
    );
}

#[test]
fn metadata_is_revalidated() {
    let desk = Desk::new();
    for path in ["/sobjects", "/sobjects/Account/describe"] {
        let seen = desk.get(path).header("last-modified").to_owned();
        let got = desk.send("GET", path, &[("if-modified-since", &seen)], b"");
        assert_eq!((got.status, got.body), (304, json!("")), "{path}");
        let got = desk.send(
            "GET",
            path,
            &[("if-modified-since", "Tue, 01 Jan 2019 00:00:00 GMT")],
            b"",
        );
        assert_eq!(got.status, 200);
    }
}
