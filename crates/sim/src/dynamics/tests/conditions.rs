//! Versions, conditions, alternate keys and upserts.

use super::*;

#[test]
fn a_version_guards_a_write() {
    let org = integration();
    let id = org.make("accounts", &account("Acme"));
    let path = format!("accounts({id})");
    let etag = org.get(&path).header("etag").to_owned();
    let write =
        |method, tag: &str| org.send(method, &path, &[("If-Match", tag)], r#"{"name":"x"}"#);
    write(Method::PATCH, &etag).ok(204);
    write(Method::PATCH, &etag).refused(412, "0x80060882");
    write(Method::DELETE, &etag).refused(412, "0x80060882");
    write(Method::PATCH, "*").ok(204);
    let now = org.get(&path).header("etag").to_owned();
    write(Method::DELETE, &now).ok(204);
    write(Method::PATCH, "*").refused(404, "0x80040217");
    write(Method::PATCH, &now).refused(404, "0x80040217");
}

#[test]
fn reads_are_conditional_and_null_is_no_condition() {
    let org = integration();
    let id = org.make("accounts", &account("Acme"));
    let path = format!("accounts({id})");
    let etag = org.get(&path).header("etag").to_owned();
    let read = |path: &str, tag: &str| org.get_with(path, &[("If-None-Match", tag)]);
    let unchanged = read(&path, &etag).ok(304);
    assert!(unchanged.text.is_empty());
    read(&path, "null").ok(200);
    read(&path, "W/\"1\"").ok(200);
    read(&format!("{path}?$expand=primarycontactid"), &etag).ok(200);
    let body = account("x").to_string();
    org.send(Method::PATCH, &path, &[("If-None-Match", "null")], &body)
        .ok(204);
}

#[test]
fn an_upsert_makes_or_changes() {
    let org = integration();
    let id = Uuid::from_u128(0xdef);
    let path = format!("accounts({id})");
    let prefer = [("Prefer", "return=representation")];
    let body = account("Acme").to_string();
    org.send(Method::PATCH, &path, &prefer, &body).ok(201);
    org.send(Method::PATCH, &path, &prefer, &body).ok(200);
    org.send(Method::PATCH, &path, &[("If-None-Match", "*")], &body)
        .refused(412, "0x80040237");
    let other = format!("accounts({})", Uuid::from_u128(0xfed));
    let made = org
        .send(Method::PATCH, &other, &[("If-None-Match", "*")], &body)
        .ok(204);
    assert_eq!(
        made.header("odata-entityid"),
        format!("{BASE}/api/data/v9.2/{other}")
    );
}

#[test]
fn alternate_keys_find_make_and_are_unique() {
    let org = integration();
    let path = "accounts(cg_extid='O''Hara')";
    org.get(path).refused(404, "0x80060891");
    let made = org.patch(path, &account("Acme")).ok(204);
    assert_eq!(
        made.header("odata-entityid"),
        format!("{BASE}/api/data/v9.2/{path}")
    );
    let seen = org
        .get("accounts(cg_extid=%27o%27%27hara%27)?$select=cg_extid")
        .ok(200);
    assert_eq!(seen.body["cg_extid"], "O'Hara");
    let id = seen.body["accountid"].as_str().unwrap().to_owned();
    // Columns of the key are left alone on update, and count from the body on create.
    org.patch(path, &json!({"cg_extid": "other", "name": "Acme 2"}))
        .ok(204);
    let seen = org.get(&format!("accounts({id})"));
    assert_eq!(
        (&seen.body["cg_extid"], &seen.body["name"]),
        (&json!("O'Hara"), &json!("Acme 2"))
    );
    org.patch("accounts(cg_extid='url')", &json!({"cg_extid": "body"}))
        .ok(204);
    org.get("accounts(cg_extid='body')").ok(200);
    org.get("accounts(cg_extid='url')")
        .refused(404, "0x80060891");
    let message = org
        .post("accounts", &json!({"cg_extid": "O'HARA"}))
        .refused(412, "0x80060892");
    assert!(
        message.starts_with("Entity Key Account External ID violated."),
        "{message}"
    );
    org.patch(&format!("accounts({id})"), &json!({"cg_extid": "body"}))
        .refused(412, "0x80060892");
    org.send(
        Method::PATCH,
        "accounts(cg_extid='new')",
        &[("If-Match", "*")],
        "{}",
    )
    .refused(404, "0x80060891");
    org.delete(path).ok(204);
    org.post("accounts", &json!({"cg_extid": "O'Hara"})).ok(204);
}

#[test]
fn keys_may_be_several_columns_and_lookups() {
    let org = integration();
    let company = org.make("accounts", &account("Acme"));
    let path =
        format!("contacts(_parentcustomerid_value={company},emailaddress1='a@acme.example')");
    org.patch(&path, &json!({"lastname": "A"})).ok(204);
    let seen = org
        .get(&format!(
            "{path}?$select=_parentcustomerid_value,emailaddress1"
        ))
        .ok(200);
    assert_eq!(seen.body["_parentcustomerid_value"], json!(company));
    let turned =
        format!("contacts(emailaddress1='a@acme.example',_parentcustomerid_value={company})");
    org.get(&turned).ok(200);
    let boss = Simulator::seeded_id("contact", "annika");
    let below = format!("contacts(_parentcustomerid_value={boss},emailaddress1='b@acme.example')");
    org.patch(&below, &json!({"lastname": "B"})).ok(204);
    let all = [("Prefer", "odata.include-annotations=*")];
    let seen = org.get_with(&below, &all).ok(200);
    assert_eq!(
        seen.body["_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"],
        "contact"
    );
    let nobody = format!(
        "contacts(_parentcustomerid_value={},emailaddress1='b')",
        Uuid::nil()
    );
    org.patch(&nobody, &json!({"lastname": "B"}))
        .refused(404, "0x80040217");
    org.get("contacts(emailaddress1='a@acme.example')")
        .refused(400, "0x80060888");
    org.get(&format!(
        "contacts(parentcustomerid={company},emailaddress1='x')"
    ))
    .refused(400, "0x80060888");
    org.get("accounts(nonsense)").refused(400, "0x80060888");
    org.get("accounts(cg_extid='a%26b')")
        .refused(400, "0x80060888");
    let user = Simulator::seeded_id("systemuser", "hanna");
    org.get(&format!("accounts(accountid={company})")).ok(200);
    org.get(&format!("systemusers(systemuserid={user})"))
        .refused(400, "0x80060888");
}
