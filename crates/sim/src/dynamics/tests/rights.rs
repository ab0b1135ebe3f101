//! Security roles, column security, impersonation, the organization's own checks.

use super::*;

#[test]
fn the_restricted_application_may_only_hand_in_leads() {
    let org = integration();
    let forms = org.web_forms();
    let message = forms
        .post("accounts", &account("x"))
        .refused(403, "0x80040220");
    assert!(
        message.contains("is missing prvCreateAccount privilege"),
        "{message}"
    );
    let lead = forms.make("leads", &json!({"lastname": "Visitor"}));
    forms.get(&format!("leads({lead})")).ok(200);
    assert_eq!(
        forms.get("leads?$select=fullname").ok(200).values().len(),
        1
    );
    let foreign = Simulator::seeded_id("lead", "l01");
    forms
        .get(&format!("leads({foreign})"))
        .refused(403, "0x80048306");
    forms
        .patch(&format!("leads({foreign})"), &json!({"lastname": "x"}))
        .refused(403, "0x80048306");
    forms
        .delete(&format!("leads({lead})"))
        .refused(403, "0x80040220");
    forms.get("opportunities").refused(403, "0x80040220");
}

#[test]
fn people_reach_as_far_as_their_role() {
    let org = integration();
    let tomas = org.person(SALES);
    // Write reaches the own unit, delete only the own records.
    let own = Simulator::seeded_id("opportunity", "o01");
    let colleague = Simulator::seeded_id("opportunity", "o03");
    let abroad = Simulator::seeded_id("opportunity", "o06");
    let body = json!({"description": "x"});
    tomas.patch(&format!("opportunities({own})"), &body).ok(204);
    tomas
        .patch(&format!("opportunities({colleague})"), &body)
        .ok(204);
    tomas
        .patch(&format!("opportunities({abroad})"), &body)
        .refused(403, "0x80048306");
    tomas
        .delete(&format!("opportunities({colleague})"))
        .refused(403, "0x80048306");
    tomas.delete(&format!("opportunities({own})")).ok(204);
    let hanna = Simulator::seeded_id("systemuser", "hanna");
    tomas
        .post(
            "accounts",
            &json!({"name": "x", "ownerid@odata.bind": format!("/systemusers({hanna})")}),
        )
        .refused(403, "0x80048306");
    assert!(
        org.simulator
            .user_token("nobody@acme.example", BASE)
            .is_none()
    );
    let gone = org.person("marek.zielinski@acme.example");
    gone.get("WhoAmI").refused(403, "0x80072560");
}

#[test]
fn secured_columns_are_hidden_and_closed() {
    let org = integration();
    let tomas = org.person(SALES);
    let id = Simulator::seeded_id("account", "northgate");
    let path = format!("accounts({id})");
    assert_eq!(org.get(&path).body["cg_internalrating"], 82);
    assert_eq!(tomas.get(&path).body["cg_internalrating"], Value::Null);
    let message = tomas
        .patch(&path, &json!({"cg_internalrating": 5}))
        .refused(403, "0x8004f507");
    assert!(
        message.contains("a Internal Rating secured field on entity Account"),
        "{message}"
    );
    tomas
        .post("accounts", &json!({"name": "x", "cg_internalrating": 5}))
        .refused(403, "0x8004f502");
}

#[test]
fn one_acts_on_behalf_of_another() {
    let org = integration();
    let tomas = Simulator::seeded_id("systemuser", "tomas");
    let me = org.get("WhoAmI").body["UserId"].clone();
    let object_id = "2d3e4f50-9c63-407d-be82-3f4a5b6c7d82";
    for header in [
        ("CallerObjectId", object_id.to_owned()),
        ("MSCRMCallerID", tomas.to_string()),
    ] {
        let headers = [(header.0, header.1.as_str())];
        assert_eq!(
            org.get_with("WhoAmI", &headers).body["UserId"],
            json!(tomas)
        );
        let made = org
            .send(
                Method::POST,
                "accounts",
                &headers,
                &account("x").to_string(),
            )
            .ok(204);
        let seen = org.get(&format!("accounts({})", made.id()));
        assert_eq!(seen.body["_createdby_value"], json!(tomas));
        assert_eq!(seen.body["_createdonbehalfby_value"], me);
        assert_eq!(seen.body["_ownerid_value"], json!(tomas));
        // Only what both may do remains.
        let path = format!("accounts({})", Simulator::seeded_id("account", "lakeside"));
        org.send(Method::DELETE, &path, &headers, "")
            .refused(403, "0x80048306");
    }
    let other = [("MSCRMCallerID", tomas.to_string())];
    let other = [(other[0].0, other[0].1.as_str())];
    org.person(ADMIN).get_with("WhoAmI", &other).ok(200);
    org.web_forms()
        .get_with("WhoAmI", &other)
        .refused(403, "0x8004a110");
    org.get_with("WhoAmI", &[("CallerObjectId", "x")])
        .refused(400, "0x80040203");
    org.get_with(
        "WhoAmI",
        &[("CallerObjectId", "00000000-0000-0000-0000-000000000001")],
    )
    .refused(403, "0x80072560");
}

#[test]
fn the_organizations_checks_refuse_and_can_be_bypassed() {
    let org = integration();
    let body = json!({"name": "x", "cg_discount": 61});
    let message = org.post("opportunities", &body).refused(400, "0x80040265");
    assert_eq!(message, "A discount above 60 % is never granted.");
    let step = Simulator::step_id("CG.Plugins.Discount").to_string();
    let other = Simulator::step_id("CG.Plugins.CreditLimit").to_string();
    let text = body.to_string();
    for (header, value, status) in [
        ("MSCRM.BypassCustomPluginExecution", "true", 204),
        ("MSCRM.BypassCustomPluginExecution", "false", 400),
        (
            "MSCRM.BypassBusinessLogicExecution",
            "CustomSync,CustomAsync",
            204,
        ),
        ("MSCRM.BypassBusinessLogicExecution", "CustomAsync", 400),
        (
            "MSCRM.BypassBusinessLogicExecutionStepIds",
            step.as_str(),
            204,
        ),
        (
            "MSCRM.BypassBusinessLogicExecutionStepIds",
            other.as_str(),
            400,
        ),
    ] {
        org.send(Method::POST, "opportunities", &[(header, value)], &text)
            .ok(status);
        let tomas = org.person(SALES);
        let seen = tomas.send(Method::POST, "opportunities", &[(header, value)], &text);
        assert!(seen.status.is_client_error(), "{header}: {}", seen.text);
    }
    org.post("accounts", &json!({"name": "x", "creditlimit": 10_000_001}))
        .refused(400, "0x80040265");
    org.post(
        "contacts",
        &json!({"lastname": "x", "cg_consentdate": "2026-01-01"}),
    )
    .refused(400, "0x80040265");
}

#[test]
fn duplicates_are_found_where_that_is_asked_for() {
    let org = integration();
    let body =
        json!({"lastname": "B", "emailaddress1": "annika.brauer@northgate-hydraulics.example"})
            .to_string();
    let detect = [("MSCRM.SuppressDuplicateDetection", "false")];
    org.send(Method::POST, "contacts", &detect, &body)
        .refused(412, "0x80040333");
    let suppress = [("MSCRM.SuppressDuplicateDetection", "true")];
    org.send(Method::POST, "contacts", &suppress, &body).ok(204);
    org.send(Method::POST, "contacts", &[], &body).ok(204);
}
