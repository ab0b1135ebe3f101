//! Single records: create, read, update, delete, values.

use super::*;

#[test]
fn a_record_is_made_read_changed_and_deleted() {
    let org = integration();
    let made = org
        .post(
            "accounts",
            &json!({"name": "Acme", "revenue": 12500.5, "industrycode": 12, "cg_regions": " 3,1", "lastusedincampaign": "2026-01-31T10:00:00+02:00", "description": ""}),
        )
        .ok(204);
    let id = made.id();
    assert_eq!(
        made.header("odata-entityid"),
        format!("{BASE}/api/data/v9.2/accounts({id})")
    );
    assert_eq!(made.header("location"), made.header("odata-entityid"));
    assert_eq!(made.header("odata-version"), "4.0");
    assert!(Uuid::parse_str(made.header("req_id")).is_ok());
    let path = format!("accounts({id})");
    let seen = org.get(&path).ok(200);
    assert_eq!(
        seen.body["@odata.context"],
        format!("{BASE}/api/data/v9.2/$metadata#accounts/$entity")
    );
    assert_eq!(seen.body["@odata.etag"], seen.header("etag"));
    assert_eq!(seen.body["revenue"].to_string(), "12500.5000");
    assert_eq!(seen.body["revenue_base"].to_string(), "12500.5000");
    assert_eq!(seen.body["cg_regions"], "1,3");
    assert_eq!(seen.body["lastusedincampaign"], "2026-01-31T08:00:00Z");
    assert_eq!(seen.body["description"], Value::Null);
    assert_eq!(seen.body["statecode"], 0);
    assert_eq!(seen.body["statuscode"], 1);
    assert_eq!(seen.body["donotemail"], false);
    let who = org.get("WhoAmI").ok(200);
    assert_eq!(seen.body["_createdby_value"], who.body["UserId"]);
    assert_eq!(seen.body["_ownerid_value"], who.body["UserId"]);
    assert_eq!(
        seen.body["_owningbusinessunit_value"],
        who.body["BusinessUnitId"]
    );
    org.patch(&path, &json!({"name": "Acme 2", "revenue": null}))
        .ok(204);
    let later = org.get(&path).ok(200);
    assert_eq!(later.body["name"], "Acme 2");
    assert_eq!(later.body["revenue"], Value::Null);
    assert_eq!(later.body["industrycode"], 12);
    assert_ne!(later.header("etag"), seen.header("etag"));
    org.delete(&path).ok(204);
    org.get(&path).refused(404, "0x80040217");
    org.delete(&path).refused(404, "0x80040217");
}

#[test]
fn the_record_comes_back_where_it_is_preferred() {
    let org = integration();
    let prefer = [("Prefer", "return=representation")];
    let body = account("Acme").to_string();
    let made = org
        .send(Method::POST, "accounts?$select=name", &prefer, &body)
        .ok(201);
    assert_eq!(made.body["name"], "Acme");
    assert!(made.body["accountid"].is_string());
    assert!(made.body.get("revenue").is_none());
    assert_eq!(made.header("preference-applied"), "return=representation");
    assert!(made.header("content-type").starts_with("application/json"));
    let path = format!("accounts({})", made.body["accountid"].as_str().unwrap());
    let body = account("Other").to_string();
    let changed = org.send(Method::PATCH, &path, &prefer, &body).ok(200);
    assert_eq!(changed.body["name"], "Other");
    assert!(changed.body.get("revenue").is_some());
}

#[test]
fn callers_choose_identifiers_once() {
    let org = integration();
    let id = Uuid::from_u128(0xabc);
    let body = json!({"accountid": id, "name": "Mine"});
    assert_eq!(org.make("accounts", &body), id);
    org.post("accounts", &body).refused(412, "0x80040237");
    org.patch(
        &format!("accounts({id})"),
        &json!({"accountid": Uuid::nil()}),
    )
    .refused(400, "0x80040203");
}

#[test]
fn values_are_checked_as_the_service_checks_them() {
    let org = integration();
    let cases = [
        (json!({"nome": "x"}), "0x80048d19"),
        (json!({"Name": "x"}), "0x80048d19"),
        (json!({"name": 5}), "0x80048d19"),
        (json!({"name": "x".repeat(161)}), "0x80044331"),
        (json!({"industrycode": 999}), "0x8004431a"),
        (json!({"industrycode": "many"}), "0x80048d19"),
        (json!({"cg_regions": "1,9"}), "0x8004431a"),
        (json!({"cg_score": 1001}), "0x8004432f"),
        (json!({"cg_score": 1.5}), "0x80048d19"),
        (json!({"revenue": -1}), "0x80044330"),
        (json!({"revenue": "12"}), "0x80048d19"),
        (json!({"donotemail": "perhaps"}), "0x80048d19"),
        (json!({"lastusedincampaign": "yesterday"}), "0x80048d19"),
        (
            json!({"_primarycontactid_value": Uuid::nil()}),
            "0x80060888",
        ),
        (json!({"primarycontactid": Uuid::nil()}), "0x80048d19"),
        (
            json!({"cg_sponsor@odata.bind": "/systemusers(x)"}),
            "0x80048d19",
        ),
        (json!({"name": {"a": 1}}), "0x80048d19"),
        (
            json!({"@odata.type": "#Microsoft.Dynamics.CRM.contact"}),
            "0x80048d19",
        ),
    ];
    let before = org.stored("account").len();
    for (body, code) in cases {
        let message = org.post("accounts", &body).refused(400, code);
        assert!(!message.is_empty(), "{body}");
    }
    org.post("contacts", &json!({"birthdate": "1990-01-01T00:00:00Z"}))
        .refused(400, "0x80048d19");
    org.send(Method::POST, "accounts", &[], "{")
        .refused(400, "0x80048d19");
    org.send(Method::POST, "accounts", &[], r#"{"name":"a","name":"b"}"#)
        .refused(400, "0x80048d19");
    org.send(
        Method::POST,
        "accounts",
        &[("Content-Type", "text/plain")],
        "{}",
    )
    .refused(415, "0x80060888");
    assert_eq!(org.stored("account").len(), before);
}

#[test]
fn numbers_and_booleans_may_come_as_text_where_the_service_takes_them() {
    let org = integration();
    let body = json!({"name": "x", "industrycode": "12", "cg_score": "7", "donotemail": "true", "revenue": 1e6});
    let id = org.make("accounts", &body);
    let seen = org.get(&format!("accounts({id})"));
    assert_eq!(seen.body["industrycode"], 12);
    assert_eq!(seen.body["cg_score"], 7);
    assert_eq!(seen.body["donotemail"], true);
    assert_eq!(seen.body["revenue"].to_string(), "1000000.0000");
}

#[test]
fn single_properties_are_read_set_and_cleared() {
    let org = integration();
    let id = org.make("accounts", &account("Acme"));
    let path = format!("accounts({id})/name");
    assert_eq!(org.get(&path).ok(200).body["value"], "Acme");
    assert_eq!(org.get(&format!("{path}/$value")).ok(200).text, "Acme");
    org.send(Method::PUT, &path, &[], r#"{"value":"Other"}"#)
        .ok(204);
    assert_eq!(org.get(&path).body["value"], "Other");
    org.delete(&path).ok(204);
    org.get(&path).ok(204);
    org.send(Method::PUT, &path, &[], r#"{"name":"x"}"#)
        .refused(400, "0x80048d19");
    org.send(
        Method::PUT,
        &format!("accounts({id})/nome"),
        &[],
        r#"{"value":1}"#,
    )
    .refused(404, "0x8006088a");
}

#[test]
fn names_and_addresses_are_put_together() {
    let org = integration();
    let body = json!({"firstname": "Ada", "lastname": "Byron", "fullname": "Someone Else", "address1_city": "Bath", "address1_country": "UK"});
    let id = org.make("contacts", &body);
    let path = format!("contacts({id})");
    let seen = org.get(&path);
    assert_eq!(seen.body["fullname"], "Ada Byron");
    assert_eq!(seen.body["address1_composite"], "Bath\r\nUK");
    org.patch(&path, &json!({"lastname": "Lovelace"})).ok(204);
    assert_eq!(org.get(&path).body["fullname"], "Ada Lovelace");
}

#[test]
fn amounts_have_a_currency_and_a_base() {
    let org = integration();
    let usd = Simulator::seeded_id("transactioncurrency", "usd");
    let body = json!({"name": "Deal", "estimatedvalue": 1080, "transactioncurrencyid@odata.bind": format!("/transactioncurrencies({usd})")});
    let id = org.make("opportunities", &body);
    let seen = org.get(&format!(
        "opportunities({id})?$select=estimatedvalue,estimatedvalue_base,exchangerate"
    ));
    assert_eq!(seen.body["estimatedvalue_base"].to_string(), "1000.0000");
    assert_eq!(seen.body["exchangerate"].to_string(), "1.0800000000");
    assert_eq!(seen.body["_transactioncurrencyid_value"], json!(usd));
    org.delete(&format!("transactioncurrencies({usd})"))
        .refused(403, "0x80040220");
    let admin = org.person(ADMIN);
    admin
        .delete(&format!("transactioncurrencies({usd})"))
        .refused(405, "0x80040227");
}

#[test]
fn states_and_statuses_go_together() {
    let org = integration();
    let id = org.make("accounts", &account("Acme"));
    let path = format!("accounts({id})");
    org.patch(&path, &json!({"statuscode": 2}))
        .refused(400, "0x80048408");
    org.patch(&path, &json!({"statecode": 1})).ok(204);
    let seen = org.get(&path);
    assert_eq!(
        (&seen.body["statecode"], &seen.body["statuscode"]),
        (&json!(1), &json!(2))
    );
    org.patch(&path, &json!({"statecode": 0, "statuscode": 2}))
        .refused(400, "0x80048408");
    let task = org.make("tasks", &json!({"subject": "Call"}));
    org.patch(
        &format!("tasks({task})"),
        &json!({"statecode": 1, "statuscode": 5}),
    )
    .ok(204);
    let message = org
        .post("opportunities", &json!({"name": "x", "statecode": 1}))
        .refused(400, "0x80048408");
    assert!(message.contains("use the Won message instead"), "{message}");
}

#[test]
fn cases_need_a_customer_and_get_a_number() {
    let org = integration();
    org.post("incidents", &json!({"title": "Leak"}))
        .refused(400, "0x80040203");
    let account = Simulator::seeded_id("account", "northgate");
    let body =
        json!({"title": "Leak", "customerid_account@odata.bind": format!("/accounts({account})")});
    let id = org.make("incidents", &body);
    let seen = org.get(&format!(
        "incidents({id})?$select=ticketnumber,_customerid_value"
    ));
    assert!(
        seen.body["ticketnumber"]
            .as_str()
            .unwrap()
            .starts_with("CAS-")
    );
    assert_eq!(seen.body["_customerid_value"], json!(account));
    org.delete(&format!("accounts({account})"))
        .refused(405, "0x80040227");
}
