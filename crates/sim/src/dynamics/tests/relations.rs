//! Lookups, references, deep inserts, cascades and closing messages.

use super::*;

#[test]
fn lookups_are_bound_in_every_spelling_and_cleared() {
    let org = integration();
    let contact = org.make("contacts", &json!({"lastname": "Byron", "cg_extid": "C-1"}));
    for reference in [
        format!("/contacts({contact})"),
        format!("contacts({contact})"),
        format!("{BASE}/api/data/v9.2/contacts({contact})"),
        "/contacts(cg_extid='C-1')".to_owned(),
    ] {
        let id = org.make(
            "accounts",
            &json!({"name": "x", "primarycontactid@odata.bind": reference}),
        );
        let path = format!("accounts({id})");
        assert_eq!(
            org.get(&path).body["_primarycontactid_value"],
            json!(contact)
        );
        org.patch(&path, &json!({"primarycontactid@odata.bind": null}))
            .ok(204);
        assert_eq!(org.get(&path).body["_primarycontactid_value"], Value::Null);
        org.patch(&path, &json!({"primarycontactid": null})).ok(204);
    }
    for (reference, status, code) in [
        (
            format!("http://elsewhere.example/api/data/v9.2/contacts({contact})"),
            400,
            "0x80060888",
        ),
        (format!("/contacts({})", Uuid::nil()), 404, "0x80040217"),
        ("/contacts(cg_extid='none')".to_owned(), 404, "0x80060891"),
        (format!("/leads({contact})"), 400, "0x80048d19"),
        ("$1".to_owned(), 400, "0x80060888"),
    ] {
        org.post(
            "accounts",
            &json!({"name": "x", "primarycontactid@odata.bind": reference}),
        )
        .refused(status, code);
    }
}

#[test]
fn customers_and_owners_are_of_several_kinds() {
    let org = integration();
    let annika = Simulator::seeded_id("contact", "annika");
    let team = Simulator::seeded_id("team", "keyaccounts");
    let body = json!({
        "name": "Deal",
        "customerid_contact@odata.bind": format!("/contacts({annika})"),
        "ownerid@odata.bind": format!("/teams({team})"),
    });
    let id = org.make("opportunities", &body);
    let all = [("Prefer", "odata.include-annotations=\"*\"")];
    let seen = org.get_with(&format!("opportunities({id})"), &all).ok(200);
    let note = |name: &str| seen.body[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        note("_customerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"),
        "contact"
    );
    assert_eq!(
        note("_customerid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"),
        "customerid_contact"
    );
    assert_eq!(
        note("_customerid_value@OData.Community.Display.V1.FormattedValue"),
        "Annika Bräuer"
    );
    assert_eq!(
        note("_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"),
        "team"
    );
    assert_eq!(seen.body["_owningteam_value"], json!(team));
    assert_eq!(seen.body["_owninguser_value"], Value::Null);
    assert_eq!(seen.body["_parentcontactid_value"], json!(annika));
    let hanna = Simulator::seeded_id("systemuser", "hanna");
    org.patch(
        &format!("opportunities({id})"),
        &json!({"ownerid@odata.bind": format!("/systemusers({hanna})")}),
    )
    .ok(204);
    let seen = org.get(&format!("opportunities({id})"));
    assert_eq!(seen.body["_owninguser_value"], json!(hanna));
    assert_eq!(seen.body["_owningteam_value"], Value::Null);
}

#[test]
fn custom_lookups_go_by_their_schema_name() {
    let org = integration();
    let hanna = Simulator::seeded_id("systemuser", "hanna");
    let bind = format!("/systemusers({hanna})");
    let message = org
        .post(
            "accounts",
            &json!({"name": "x", "cg_sponsor@odata.bind": bind}),
        )
        .refused(400, "0x80048d19");
    assert!(
        message.contains("An undeclared property 'cg_sponsor'"),
        "{message}"
    );
    let id = org.make(
        "accounts",
        &json!({"name": "x", "cg_Sponsor@odata.bind": bind}),
    );
    let seen = org.get(&format!(
        "accounts({id})?$select=_cg_sponsor_value&$expand=cg_Sponsor($select=fullname)"
    ));
    assert_eq!(seen.body["_cg_sponsor_value"], json!(hanna));
    assert_eq!(seen.body["cg_Sponsor"]["fullname"], "Hanna Lindqvist");
}

#[test]
fn a_deep_insert_happens_wholly_or_not_at_all() {
    let org = integration();
    let body = json!({
        "name": "Parent",
        "primarycontactid": {"firstname": "Ada", "lastname": "Byron"},
        "Account_Tasks": [{"subject": "One"}, {"subject": "Two"}],
        "opportunity_customer_accounts": [{"name": "Deal", "Opportunity_Tasks": [{"subject": "Three"}]}],
    });
    let id = org.make("accounts", &body);
    let seen = org.get(&format!(
        "accounts({id})?$select=name&$expand=primarycontactid($select=fullname),Account_Tasks($select=subject;$orderby=subject desc),opportunity_customer_accounts($select=name)"
    ));
    assert_eq!(seen.body["primarycontactid"]["fullname"], "Ada Byron");
    assert_eq!(seen.body["Account_Tasks"][0]["subject"], "Two");
    assert_eq!(seen.body["Account_Tasks"].as_array().unwrap().len(), 2);
    assert_eq!(
        seen.body["opportunity_customer_accounts"][0]["name"],
        "Deal"
    );
    let counts = || {
        (
            org.stored("account").len(),
            org.stored("contact").len(),
            org.stored("task").len(),
        )
    };
    let before = counts();
    let bad = json!({
        "name": "Parent",
        "primarycontactid": {"lastname": "Byron"},
        "Account_Tasks": [{"subject": "One"}, {"subject": "Two", "prioritycode": 77}],
    });
    org.post("accounts", &bad).refused(400, "0x8004431a");
    assert_eq!(counts(), before);
}

#[test]
fn references_tie_and_untie() {
    let org = integration();
    let one = org.make("accounts", &account("One"));
    let contact = org.make("contacts", &json!({"lastname": "Byron"}));
    let refer = |method, path: &str, to: String| {
        org.send(method, path, &[], &json!({"@odata.id": to}).to_string())
    };
    let address = format!("{BASE}/api/data/v9.2/contacts({contact})");
    // 1:N
    let many = format!("accounts({one})/contact_customer_accounts");
    refer(Method::POST, &format!("{many}/$ref"), address.clone()).ok(204);
    assert_eq!(org.get(&many).values().len(), 1);
    assert_eq!(org.get(&format!("{many}/$count")).text, "1");
    assert_eq!(
        org.get(&format!("{many}/$ref")).values()[0]["@odata.id"],
        address
    );
    org.delete(&format!("{many}({contact})/$ref")).ok(204);
    assert_eq!(org.get(&many).values().len(), 0);
    // N:1
    let single = format!("accounts({one})/primarycontactid");
    refer(
        Method::PUT,
        &format!("{single}/$ref"),
        format!("contacts({contact})"),
    )
    .ok(204);
    assert_eq!(org.get(&single).ok(200).body["lastname"], "Byron");
    assert_eq!(
        org.get(&format!("{single}/lastname")).body["value"],
        "Byron"
    );
    org.delete(&format!("{single}/$ref")).ok(204);
    org.get(&single).ok(204);
    // N:N
    let lead = org.make("leads", &json!({"lastname": "Lead"}));
    let linked = format!("accounts({one})/accountleads_association");
    refer(
        Method::POST,
        &format!("{linked}/$ref"),
        format!("/leads({lead})"),
    )
    .ok(204);
    refer(
        Method::POST,
        &format!("{linked}/$ref"),
        format!("/leads({lead})"),
    )
    .ok(204);
    assert_eq!(org.get(&linked).values().len(), 1);
    let back = org.get(&format!(
        "leads({lead})/accountleads_association?$select=name"
    ));
    assert_eq!(back.names("name"), ["One"]);
    let id = format!("{linked}/$ref?$id={BASE}/api/data/v9.2/leads({lead})");
    org.delete(&id).ok(204);
    org.delete(&id).refused(404, "0x80040217");
    refer(Method::POST, &format!("{linked}/$ref"), address).refused(400, "0x80048d19");
    refer(
        Method::POST,
        &format!("accounts({one})/nothing/$ref"),
        String::new(),
    )
    .refused(404, "0x8006088a");
}

#[test]
fn a_record_is_made_in_a_collection() {
    let org = integration();
    let one = org.make("accounts", &account("One"));
    let made = org
        .post(
            &format!("accounts({one})/contact_customer_accounts"),
            &json!({"lastname": "Byron"}),
        )
        .ok(204);
    let seen = org.get(&format!("contacts({})", made.id()));
    assert_eq!(seen.body["_parentcustomerid_value"], json!(one));
}

#[test]
fn deletion_spreads_as_the_relationships_say() {
    let org = integration();
    let one = org.make("accounts", &account("One"));
    let bind = format!("/accounts({one})");
    let task = org.make(
        "tasks",
        &json!({"subject": "Call", "regardingobjectid_account_task@odata.bind": bind}),
    );
    let contact = org.make(
        "contacts",
        &json!({"lastname": "Byron", "parentcustomerid_account@odata.bind": bind}),
    );
    org.delete(&format!("accounts({one})")).ok(204);
    org.get(&format!("tasks({task})"))
        .refused(404, "0x80040217");
    let left = org.get(&format!("contacts({contact})")).ok(200);
    assert_eq!(left.body["_parentcustomerid_value"], Value::Null);
}

#[test]
fn opportunities_are_won_and_lost_by_their_messages() {
    let org = integration();
    let open = |name: &str| {
        org.make(
            "opportunities",
            &json!({"name": name, "estimatedvalue": 500}),
        )
    };
    let (won, lost) = (open("a"), open("b"));
    let close = |id: Uuid, revenue: i64| json!({"subject": "Done", "actualrevenue": revenue, "opportunityid@odata.bind": format!("/opportunities({id})")});
    let win = json!({"OpportunityClose": close(won, 450), "Status": 3});
    org.post(
        "WinOpportunity",
        &json!({"OpportunityClose": close(won, 450), "Status": 4}),
    )
    .refused(400, "0x80048408");
    assert_eq!(org.stored("opportunityclose").len(), 0);
    org.post("WinOpportunity", &win).ok(204);
    let seen = org.get(&format!("opportunities({won})"));
    assert_eq!(
        (&seen.body["statecode"], &seen.body["statuscode"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(seen.body["actualvalue"].to_string(), "450.0000");
    assert!(seen.body["actualclosedate"].is_string());
    org.post("WinOpportunity", &win).refused(400, "0x80048408");
    org.post(
        "Microsoft.Dynamics.CRM.LoseOpportunity",
        &json!({"OpportunityClose": close(lost, 0), "Status": 5}),
    )
    .ok(204);
    assert_eq!(
        org.get(&format!("opportunities({lost})")).body["statecode"],
        2
    );
    assert_eq!(org.stored("opportunityclose").len(), 2);
    org.patch(&format!("opportunities({won})"), &json!({"statecode": 0}))
        .ok(204);
    org.patch(&format!("opportunities({won})"), &json!({"statecode": 1}))
        .refused(400, "0x80048408");
    org.post("WinOpportunity", &json!({"Status": 3}))
        .refused(400, "0x80048d19");
    org.post("Merge", &json!({})).refused(501, "0x80060888");
    org.post("Nothing", &json!({})).refused(404, "0x8006088a");
}

#[test]
fn cases_are_closed_and_leads_qualified() {
    let org = integration();
    let case = Simulator::seeded_id("incident", "c01");
    let path = format!("incidents({case})");
    org.patch(&path, &json!({"statecode": 1}))
        .refused(400, "0x80048408");
    let body = json!({"IncidentResolution": {"subject": "Fixed", "incidentid@odata.bind": format!("/{path}")}, "Status": 5});
    org.post("CloseIncident", &body).ok(204);
    assert_eq!(org.get(&path).body["statecode"], 1);
    let lead = Simulator::seeded_id("lead", "l01");
    let qualify = format!("leads({lead})/Microsoft.Dynamics.CRM.QualifyLead");
    let body = json!({"CreateAccount": true, "CreateContact": true, "CreateOpportunity": true, "Status": 3});
    let made = org.post(&qualify, &body).ok(200);
    assert_eq!(made.values().len(), 3);
    assert_eq!(
        made.values()[0]["@odata.type"],
        "#Microsoft.Dynamics.CRM.account"
    );
    let contact = made.values()[1]["contactid"].as_str().unwrap();
    let seen = org.get(&format!(
        "contacts({contact})?$expand=parentcustomerid_account($select=name)"
    ));
    assert_eq!(
        seen.body["parentcustomerid_account"]["name"],
        "Kroll Wassertechnik"
    );
    assert_eq!(org.get(&format!("leads({lead})")).body["statecode"], 1);
    org.post(&qualify, &body).refused(400, "0x80044164");
}
