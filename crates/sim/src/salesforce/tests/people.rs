use super::*;

#[test]
fn hidden_fields_are_not_there() {
    let desk = Desk::new().user("toma.birkeland");
    let id = desk.id_where("Opportunity", "StageName = 'Prospecting'");
    let path = format!("/sobjects/Opportunity/{id}");
    assert!(
        !desk
            .get(&path)
            .body
            .as_object()
            .unwrap()
            .contains_key("Discount__c")
    );
    let got = desk.patch(&path, &json!({"Discount__c": 5}));
    assert_eq!((got.status, got.code()), (400, "INVALID_FIELD"));
    assert_eq!(
        desk.soql("SELECT Discount__c FROM Opportunity").code(),
        "INVALID_FIELD"
    );
    assert_eq!(
        desk.soql("SELECT Id FROM Opportunity WHERE Discount__c > 5")
            .code(),
        "INVALID_FIELD"
    );
    assert_eq!(
        desk.soql("SELECT Id FROM Opportunity ORDER BY Discount__c")
            .code(),
        "INVALID_FIELD"
    );
    let fields = desk.get("/sobjects/Opportunity/describe").body["fields"].to_string();
    assert!(!fields.contains("Discount__c") && fields.contains("Amount"));
    let all = desk
        .soql("SELECT FIELDS(ALL) FROM Opportunity LIMIT 1")
        .body
        .to_string();
    assert!(!all.contains("Discount__c") && all.contains("Amount"));
}

#[test]
fn a_permission_set_opens_a_field() {
    let desk = Desk::new().user("ines.calloway");
    let path = format!(
        "/sobjects/Opportunity/{}",
        desk.id_where("Opportunity", "StageName = 'Prospecting'")
    );
    assert_eq!(desk.patch(&path, &json!({"Discount__c": 5})).status, 204);
    assert_eq!(desk.get(&path).body["Discount__c"], 5.0);
    assert_eq!(
        desk.patch(&path, &json!({"Approved__c": true})).code(),
        "INVALID_FIELD"
    );
}

#[test]
fn what_a_profile_forbids_is_refused() {
    let desk = Desk::new().user("toma.birkeland");
    let account = desk.id_where("Account", "Name = 'Kestrel Outdoor'");
    let path = format!("/sobjects/Account/{account}");
    let got = desk.delete(&path);
    assert_eq!(
        (got.status, got.code()),
        (403, "INSUFFICIENT_ACCESS_OR_READONLY")
    );
    assert_eq!(
        desk.patch(&path, &json!({"Ext_Id__c": "x"})).code(),
        "INVALID_FIELD_FOR_INSERT_UPDATE"
    );
    assert_eq!(
        desk.patch("/sobjects/Account/Ext_Id__c/new", &json!({"Name": "x"}))
            .code(),
        "INVALID_FIELD_FOR_INSERT_UPDATE"
    );
    assert_eq!(
        desk.post("/sobjects/Product2", &json!({"Name": "x"}))
            .status,
        403
    );
    assert_eq!(
        desk.post("/sobjects/Profile", &json!({"Name": "x"})).status,
        403
    );
    assert_eq!(desk.patch(&path, &json!({"Site": "x"})).status, 204);
}

#[test]
fn records_carry_who_wrote_them() {
    let desk = Desk::new().user("rae.quillon");
    let id = desk
        .post("/sobjects/Lead", &json!({"LastName": "L", "Company": "C"}))
        .id();
    let names = desk.soql(&format!(
        "SELECT Owner.Name, Owner.Type, CreatedBy.Username FROM Lead WHERE Id = '{id}'"
    ));
    let record = &names.body["records"][0];
    assert_eq!(
        (&record["Owner"]["Name"], &record["Owner"]["Type"]),
        (&json!("Rae Quillon"), &json!("User"))
    );
    assert_eq!(record["CreatedBy"]["Username"], "rae.quillon@acme.example");
    let queue = desk.id_where("Group", "Type = 'Queue' AND Name LIKE 'Inbound%'");
    assert_eq!(
        desk.patch(&format!("/sobjects/Lead/{id}"), &json!({"OwnerId": queue}))
            .status,
        204
    );
}

#[test]
fn a_user_who_is_moved_gets_other_permissions() {
    let admin = Desk::new().user("admin");
    let user = admin.id_where("User", "Username = 'rae.quillon@acme.example'");
    let profile = admin.id_where("Profile", "Name = 'Restricted Sales'");
    let sees = |desk: &Desk| {
        desk.soql("SELECT Discount__c FROM Opportunity LIMIT 1")
            .status
    };
    let rae = Desk {
        crm: admin.crm,
        clock: admin.clock.clone(),
        token: "rae.quillon".to_owned(),
        faults: Arc::default(),
    };
    assert_eq!(sees(&rae), 200);
    let admin = rae.user("admin");
    assert_eq!(
        admin
            .patch(
                &format!("/sobjects/User/{user}"),
                &json!({"ProfileId": profile})
            )
            .status,
        204
    );
    assert_eq!(sees(&admin.user("rae.quillon")), 400);
}

#[test]
fn roles_and_groups_can_be_asked_for() {
    let desk = Desk::new();
    let who = desk.soql("SELECT Profile.Name, UserRole.DeveloperName FROM User WHERE Username = 'henrik.oduya@acme.example'");
    assert_eq!(who.body["records"][0]["Profile"]["Name"], "Standard User");
    assert_eq!(
        who.body["records"][0]["UserRole"]["DeveloperName"],
        "Management"
    );
    let sets = "SELECT PermissionSet.Name FROM PermissionSetAssignment WHERE Assignee.Username = 'henrik.oduya@acme.example' ORDER BY PermissionSet.Name";
    let names: Vec<_> = desk
        .column(sets, "PermissionSet")
        .iter()
        .map(|set| set["Name"].clone())
        .collect();
    assert_eq!(names, ["Deal_Approver", "Discount_Desk"]);
    let user = desk.id_where("User", "Username = 'henrik.oduya@acme.example'");
    let groups = desk.column(
        &format!("SELECT Group.Name FROM GroupMember WHERE UserOrGroupId = '{user}'"),
        "Group",
    );
    assert_eq!(groups[0]["Name"], "Deal Approvers");
}
