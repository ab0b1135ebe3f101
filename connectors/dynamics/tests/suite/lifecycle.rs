//! Records from creation to deletion, against the simulator.

use crmgate_connector::{Failure, ParseFailure, ReadBackResult};
use crmgate_domain::{Document, FieldRef, FieldSet, Kind, Patch, PatchOp, Reads};
use serde_json::{Value, json};

use crate::support::{GATE, Org, Reading, as_json, reading, seen, with_header};

fn patch(op: PatchOp, field: &str, value: Document) -> Patch {
    Patch {
        op,
        field: FieldRef(field.to_owned()),
        value,
        package: "crm.test".to_owned(),
    }
}

#[tokio::test]
async fn create_read_update_delete() {
    let org = Org::new().await;
    let nothing = Reading::default();
    let body = r#"{"lastname": "Lovelace", "emailaddress1" : " ada@example.com "}"#;
    let created = org
        .write(org.request("POST", "contacts", body), &nothing)
        .await
        .ok(204);
    let address = created.header("odata-entityid").to_owned();
    assert!(
        address.starts_with(&format!("{GATE}/api/data/v9.2/contacts(")),
        "{address}"
    );
    let id = address
        .rsplit_once('(')
        .unwrap()
        .1
        .trim_end_matches(')')
        .to_owned();
    let sent: Value =
        serde_json::from_str(org.journal(&["POST"])[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        sent["contactid"],
        json!(id),
        "found again by the gate's own key"
    );

    let place = format!("contacts({})", id.to_uppercase());
    let update = with_header(
        org.request("PATCH", &place, r#"{"firstname":"Ada"}"#),
        "if-match",
        "*",
    );
    let resolved = org
        .resolve(update, &reading(&["full_name"], &["email"]))
        .await
        .unwrap();
    assert_eq!(
        (resolved.kind, resolved.record_id.as_ref()),
        (Kind::Update, Some(&id))
    );
    let views = resolved.change.views();
    assert_eq!(as_json(views.record.as_ref())["full_name"], "Ada Lovelace");
    assert_eq!(as_json(views.before.as_ref())["email"], " ada@example.com ");
    let changed: Vec<&str> = views.changes.keys().map(String::as_str).collect();
    assert_eq!(changed, ["first_name", "full_name"]);
    let outgoing = resolved.change.outgoing();
    assert!(outgoing.pinned_by_gate);
    assert!(
        outgoing.headers["if-match"]
            .to_str()
            .unwrap()
            .starts_with("W/")
    );
    seen(org.send(&resolved.change).await.unwrap())
        .await
        .ok(204);
    // The version that was judged no longer stands.
    assert!(matches!(
        org.send(&resolved.change).await,
        Err(Failure::VersionMismatch)
    ));

    let row = org.pass(org.request("GET", &place, "")).await.ok(200);
    assert_eq!(row.body["fullname"], "Ada Lovelace");
    assert!(
        row.body["@odata.context"]
            .as_str()
            .unwrap()
            .starts_with(GATE)
    );
}

#[tokio::test]
async fn a_delete_shows_what_goes() {
    let org = Org::new().await;
    let body = r#"{"lastname": "Lovelace"}"#;
    let created = org
        .write(org.request("POST", "contacts", body), &Reading::default())
        .await;
    let place = created
        .header("odata-entityid")
        .rsplit_once('/')
        .unwrap()
        .1
        .to_owned();
    let delete = org.request("DELETE", &place, "");
    let resolved = org
        .resolve(delete, &reading(&[], &["last_name"]))
        .await
        .unwrap();
    assert_eq!(resolved.kind, Kind::Delete);
    assert!(resolved.change.views().record.is_none());
    assert_eq!(
        as_json(resolved.change.views().before.as_ref())["last_name"],
        "Lovelace"
    );
    seen(org.send(&resolved.change).await.unwrap())
        .await
        .ok(204);
    assert_eq!(
        org.pass(org.request("GET", &place, ""))
            .await
            .ok(404)
            .code(),
        "0x80040217"
    );
}

#[tokio::test]
async fn an_upsert_becomes_what_it_is() {
    let org = Org::new().await;
    let upsert = |body: &str| org.request("PATCH", "contacts(cg_extid='web-77')", body);
    let new = r#"{"lastname":"New"}"#;
    let resolved = org
        .resolve(upsert(new), &reading(&[], &["email"]))
        .await
        .unwrap();
    assert_eq!(
        (resolved.kind, resolved.record_id.clone()),
        (Kind::Create, None)
    );
    assert_eq!(
        as_json(resolved.change.views().native.as_ref())["cg_extid"],
        "web-77"
    );
    let other = org
        .resolve(upsert(r#"{"lastname":"Racer"}"#), &Reading::default())
        .await
        .unwrap();
    let created = seen(org.send(&resolved.change).await.unwrap())
        .await
        .ok(204);
    let by_key = format!("{GATE}/api/data/v9.2/contacts(cg_extid='web-77')");
    assert_eq!(created.header("odata-entityid"), by_key);

    // The other one was judged as a create, too; the record exists by now.
    assert!(matches!(
        org.send(&other.change).await,
        Err(Failure::VersionMismatch)
    ));
    let body = r#"{"lastname":"Racer","cg_extid":"web-77"}"#;
    let again = org
        .resolve(upsert(body), &reading(&[], &["last_name"]))
        .await
        .unwrap();
    assert_eq!(again.kind, Kind::Update);
    assert_eq!(
        as_json(again.change.views().before.as_ref())["last_name"],
        "New"
    );
    assert!(!again.change.views().changes.contains_key("native.cg_extid"));
    let outgoing = again.change.outgoing();
    let id = again.record_id.clone().unwrap();
    assert_eq!(
        outgoing.path_and_query,
        format!("/api/data/v9.2/contacts({id})")
    );
    assert_eq!(&*outgoing.body, br#"{"lastname":"Racer"}"#);
    let updated = seen(org.send(&again.change).await.unwrap()).await.ok(204);
    assert_eq!(
        updated.header("odata-entityid"),
        by_key,
        "the answer names what was asked"
    );

    let conflict = upsert(r#"{"lastname":"X","cg_extid":"web-78"}"#);
    let conflict = org.resolve(conflict, &Reading::default()).await;
    let Err(ParseFailure::Malformed(malformed)) = conflict else {
        panic!()
    };
    assert_eq!(malformed.code, "conflicting_key");
}

#[tokio::test]
async fn an_upsert_by_id_creates_once() {
    let org = Org::new().await;
    let id = "11111111-2222-4333-8444-555555555555";
    let upsert = || org.request("PATCH", &format!("accounts({id})"), r#"{"name":"Once"}"#);
    let first = org.resolve(upsert(), &Reading::default()).await.unwrap();
    assert_eq!(first.kind, Kind::Create);
    let read_back = first.change.read_back(None);
    assert_eq!(
        org.connector.read_back(&read_back).await.unwrap(),
        ReadBackResult::DidNotHappen
    );
    seen(org.send(&first.change).await.unwrap()).await.ok(204);
    assert_eq!(
        org.resolve(upsert(), &Reading::default())
            .await
            .unwrap()
            .kind,
        Kind::Update
    );
}

#[tokio::test]
async fn a_patch_goes_out_in_the_place_of_what_came() {
    let org = Org::new().await;
    let body = r#"{"lastname":"Ng","telephone1":"030 901820","parentcustomerid_account@odata.bind":"/accounts(ID)"}"#;
    let body = body.replace("ID", &org.id("account", "northgate"));
    let resolved = org
        .resolve(org.request("POST", "contacts", &body), &Reading::default())
        .await
        .unwrap();
    let account = org.id("account", "alpenbank");
    let reference: Document =
        Document::parse(format!(r#"{{"type":"account","id":"{account}"}}"#).as_bytes()).unwrap();
    let patched = resolved
        .change
        .patched_native(&[
            patch(PatchOp::Set, "phone", "+4930901820".into()),
            patch(PatchOp::Default, "email", "none@example.com".into()),
            patch(PatchOp::Set, "account", reference),
            patch(PatchOp::Default, "last_name", "not used".into()),
        ])
        .unwrap();
    assert_eq!(
        patched.changed_fields(),
        ["emailaddress1", "parentcustomerid", "telephone1"]
    );
    let record = as_json(patched.views().record.as_ref());
    assert_eq!(record["account"], json!({"type": "account", "id": account}));
    let sent: Value = serde_json::from_slice(&patched.outgoing().body).unwrap();
    let id = sent["contactid"].clone();
    assert_eq!(
        sent,
        json!({
            "lastname": "Ng",
            "telephone1": "+4930901820",
            "emailaddress1": "none@example.com",
            "parentcustomerid_account@odata.bind": format!("/accounts({account})"),
            "contactid": id,
        })
    );
    seen(org.send(&patched).await.unwrap()).await.ok(204);
}

#[tokio::test]
async fn one_column_by_its_own_address_is_an_update() {
    let org = Org::new().await;
    let id = org.id("contact", "annika");
    let place = format!("contacts({id})/jobtitle");
    let put = org.request("PUT", &place, r#"{"value":"CEO"}"#);
    let resolved = org.resolve(put, &Reading::default()).await.unwrap();
    assert_eq!(resolved.kind, Kind::Update);
    let answer = seen(org.send(&resolved.change).await.unwrap())
        .await
        .ok(204);
    assert_eq!(answer.header("odata-entityid"), "");
    let outgoing = resolved.change.outgoing();
    assert_eq!(
        (outgoing.method.as_str(), &*outgoing.body),
        ("PATCH", &br#"{"jobtitle":"CEO"}"#[..])
    );
    assert_eq!(outgoing.headers["if-match"], "*", "never creates");
    org.write(org.request("DELETE", &place, ""), &Reading::default())
        .await
        .ok(204);

    let account = org.id("account", "alpenbank");
    let link = format!("contacts({id})/parentcustomerid_account/$ref");
    let body = format!(r#"{{"@odata.id":"{GATE}/api/data/v9.2/accounts({account})"}}"#);
    org.write(org.request("PUT", &link, &body), &Reading::default())
        .await
        .ok(204);
    let row = org
        .pass(org.request("GET", &format!("contacts({id})"), ""))
        .await;
    assert_eq!(
        (&row.body["jobtitle"], &row.body["_parentcustomerid_value"]),
        (&Value::Null, &json!(account))
    );
    org.write(org.request("DELETE", &link, ""), &Reading::default())
        .await
        .ok(204);
    let row = org
        .pass(org.request("GET", &format!("contacts({id})"), ""))
        .await;
    assert_eq!(row.body["_parentcustomerid_value"], Value::Null);
}

#[tokio::test]
async fn money_has_a_currency_and_minor_units() {
    let org = Org::new().await;
    let needs = reading(
        &["amount", "amount_minor", "currency", "stage"],
        &["amount"],
    );
    let place = format!("opportunities({})", first_opportunity(&org).await);
    let update = org.request("PATCH", &place, r#"{"estimatedvalue": 12500.50}"#);
    let resolved = org.resolve(update, &needs).await.unwrap();
    let record = as_json(resolved.change.views().record.as_ref());
    assert_eq!(record["amount"].to_string(), "12500.5");
    assert_eq!(record["amount_minor"], 1_250_050);
    assert_eq!(record["currency"].as_str().unwrap().len(), 3);
    assert!(resolved.change.views().unknown.is_empty());
    let patched = resolved
        .change
        .patched_native(&[patch(PatchOp::Set, "amount_minor", Document::from(99))])
        .unwrap();
    let sent: Value = serde_json::from_slice(&patched.outgoing().body).unwrap();
    assert_eq!(sent.to_string(), r#"{"estimatedvalue":0.99}"#);
}

async fn first_opportunity(org: &Org) -> String {
    let page = org
        .connector
        .query("opportunities?$select=opportunityid,_transactioncurrencyid_value&$filter=statecode eq 0&$top=1".replace(' ', "%20").as_str(), None)
        .await
        .unwrap();
    page.rows[0]
        .get("opportunityid")
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn related_records_are_read_and_states_make_stages() {
    let org = Org::new().await;
    let needs = Reading(Reads {
        record: FieldSet::Only([FieldRef("stage".to_owned())].into()),
        related: ["account".to_owned()].into(),
        ..Reads::default()
    });
    let id = org.id("contact", "annika");
    let update = org.request(
        "PATCH",
        &format!("contacts({id})"),
        r#"{"jobtitle":"Boss"}"#,
    );
    let resolved = org
        .resolve(with_header(update, "if-match", "*"), &needs)
        .await
        .unwrap();
    let related = as_json(Some(&resolved.change.views().related));
    assert_eq!(
        related["account"]["number"].as_str().unwrap().len(),
        7,
        "{related}"
    );

    let won = org
        .connector
        .query(
            "opportunities?$select=opportunityid&$filter=statecode%20eq%201&$top=1",
            None,
        )
        .await
        .unwrap();
    let id = won.rows[0].get("opportunityid").unwrap().as_str().unwrap();
    let update = org.request(
        "PATCH",
        &format!("opportunities({id})"),
        r#"{"statecode":2,"statuscode":4}"#,
    );
    let resolved = org
        .resolve(update, &reading(&["stage"], &["stage"]))
        .await
        .unwrap();
    let views = resolved.change.views();
    assert_eq!(as_json(views.record.as_ref())["stage"], "closed_lost");
    let changed = &views.changes["stage"];
    assert_eq!(
        (changed.from.clone(), changed.to.clone()),
        (Some("closed_won".into()), "closed_lost".into())
    );

    let create = org.request("POST", "opportunities", r#"{"name":"Won","statecode":1}"#);
    let resolved = org.resolve(create, &reading(&["stage"], &[])).await;
    let views = resolved.as_ref().unwrap().change.views();
    assert_eq!(as_json(views.record.as_ref())["stage"], "closed_won");
    assert_eq!(views.changes["stage"].to, "closed_won".into());
}

#[tokio::test]
async fn without_a_credential_of_its_own_a_connection_says_what_it_does_not_know() {
    let org = Org::without_service().await;
    let id = org.id("contact", "annika");
    let body = r#"{"jobtitle":"Boss"}"#;
    let update = with_header(
        org.request("PATCH", &format!("contacts({id})"), body),
        "if-match",
        "*",
    );
    let resolved = org
        .resolve(update, &reading(&["title", "email"], &[]))
        .await
        .unwrap();
    let views = resolved.change.views();
    let unknown: Vec<&str> = views.unknown.iter().map(|field| field.0.as_str()).collect();
    assert_eq!(unknown, ["email", "native.emailaddress1"]);
    assert!(
        views
            .unknown_because
            .as_ref()
            .unwrap()
            .contains("no credential")
    );
    assert_eq!(
        org.journal(&["GET"])
            .iter()
            .filter(|call| call["path"].as_str().unwrap().contains("/contacts"))
            .count(),
        0
    );
    seen(org.send(&resolved.change).await.unwrap())
        .await
        .ok(204);

    // That the record exists is asked for an upsert, and pinned.
    let upsert = org.request("PATCH", "contacts(cg_extid='C-4100')", body);
    let resolved = org
        .resolve(upsert, &reading(&["email"], &[]))
        .await
        .unwrap();
    assert_eq!(
        (resolved.kind, resolved.record_id),
        (Kind::Update, Some(id))
    );
    assert!(resolved.change.outgoing().pinned_by_gate);
    assert!(!resolved.change.views().unknown.is_empty());
}

#[tokio::test]
async fn a_secured_column_that_reads_as_null_is_unknown() {
    let open = json!({"secured_columns": "readable"});
    for (more, unknown) in [(json!({}), 1), (open, 0)] {
        let org = Org::with(more, crate::support::ADMIN).await;
        let body = r#"{"lastname":"No government id"}"#;
        let nothing = Reading::default();
        let created = org
            .write(org.request("POST", "contacts", body), &nothing)
            .await;
        let place = created
            .header("odata-entityid")
            .rsplit_once('/')
            .unwrap()
            .1
            .to_owned();
        let update = org.request("PATCH", &place, r#"{"jobtitle":"x"}"#);
        let needs = reading(&["native.governmentid", "native._ownerid_value"], &[]);
        let resolved = org
            .resolve(with_header(update, "if-match", "*"), &needs)
            .await
            .unwrap();
        let views = resolved.change.views();
        assert_eq!(views.unknown.len(), unknown, "{:?}", views.unknown);
        let native = as_json(views.native.as_ref());
        assert_eq!(native["ownerid"]["type"], "systemuser", "{native}");
        let changed: Vec<&str> = views.changes.keys().map(String::as_str).collect();
        assert_eq!(changed, ["title"], "the id is no change");
    }
}

#[tokio::test]
async fn a_policy_may_choose_the_id() {
    let org = Org::new().await;
    let create = org.request("POST", "contacts", r#"{"lastname":"Ng"}"#);
    let resolved = org.resolve(create, &Reading::default()).await.unwrap();
    let id = "2f6c1e5a-1111-4c4c-8a8a-0123456789ab";
    let patched = resolved
        .change
        .patched_native(&[patch(PatchOp::Set, "id", id.into())])
        .unwrap();
    assert_eq!(patched.views().changes["id"].to, Document::from(id));
    let answer = seen(org.send(&patched).await.unwrap()).await.ok(204);
    assert!(
        answer
            .header("odata-entityid")
            .ends_with(&format!("({id})"))
    );
}

#[tokio::test]
async fn a_lost_update_is_found_out() {
    let clock = crmgate_sim::Clock::default();
    let org = Org::on(json!({}), crate::support::ADMIN, &clock).await;
    let id = org.id("contact", "annika");
    let place = format!("contacts({id})");
    let update = |phone: &str| {
        let body = json!({"telephone1": phone}).to_string();
        with_header(org.request("PATCH", &place, &body), "if-match", "*")
    };
    // Pinned: the version tells.
    let read = reading(&[], &["phone"]);
    let pinned = org.resolve(update("+491"), &read).await.unwrap().change;
    let own = org
        .connector
        .identify(&org.token.as_str().into())
        .await
        .unwrap()
        .actor
        .id;
    let found = async |change: &std::sync::Arc<dyn crmgate_connector::NativeChange>,
                       actor: &str| {
        org.connector
            .read_back(&change.read_back(Some(actor)))
            .await
            .unwrap()
    };
    assert_eq!(found(&pinned, &own).await, ReadBackResult::DidNotHappen);
    org.send(&pinned).await.unwrap();
    assert_eq!(
        found(&pinned, &own).await,
        ReadBackResult::Happened(Some(id.clone()))
    );
    let unsure = |why: &str| ReadBackResult::Uncertain(why.to_owned());
    assert_eq!(
        found(&pinned, "another").await,
        unsure("the record holds these values; another user wrote last")
    );
    // As the gate's own, for a queue: it knows its user after the first time.
    for _ in 0..2 {
        let queued = org.connector.read_back(&pinned.read_back(None)).await;
        assert!(matches!(queued, Ok(ReadBackResult::Uncertain(_))));
    }
    let asked = org.journal(&["GET"]);
    let asked = asked
        .iter()
        .filter(|call| call["path"].as_str().unwrap().ends_with("/WhoAmI"))
        .count();
    // The caller's own is another question.
    assert_eq!(asked, 2);
    // Not pinned: the times tell, once they are far enough apart.
    let loose = org
        .resolve(update("+492"), &Reading::default())
        .await
        .unwrap()
        .change;
    assert_eq!(
        found(&loose, &own).await,
        unsure("the record holds other values: telephone1")
    );
    clock.advance(std::time::Duration::from_secs(120));
    let loose = org
        .resolve(update("+492"), &Reading::default())
        .await
        .unwrap()
        .change;
    assert_eq!(found(&loose, &own).await, ReadBackResult::DidNotHappen);
    org.send(&loose).await.unwrap();
    assert_eq!(
        found(&loose, &own).await,
        ReadBackResult::Happened(Some(id))
    );
}
