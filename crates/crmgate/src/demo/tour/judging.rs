//! Allowed, denied, changed, out of scope, against the stored record.

use http::Method;
use serde_json::{Value, json};

use super::Told;
use super::stage::{Answer, Crm, Stage, expect, id, reason};
use crate::json::{list, text};

/// A status that a step expects.
pub(super) fn expect_status(answer: &Answer, status: u16) -> Result<(), String> {
    expect(answer.status == status, || {
        format!("expected {status}, got {}: {}", answer.status, answer.body)
    })
}

pub(super) async fn salesforce_create(stage: &Stage) -> Result<Told, String> {
    let contact = json!({
        "FirstName": "Ada", "LastName": "Lindqvist", "Email": "ada.lindqvist@example.com",
        "MailingCountry": "Sweden",
    });
    let answer = stage
        .call(
            Crm::Salesforce,
            Method::POST,
            "/sobjects/Contact",
            Some(&contact),
        )
        .await?;
    expect_status(&answer, 201)?;
    let decision = stage.decision(&answer, "allow").await?;
    let email = ("Email", "ada.lindqvist@example.com");
    let stored = stage.stored_with(Crm::Salesforce, "Contact", email).await?;
    expect(stored.is_some(), || {
        "the contact is not in Salesforce".to_owned()
    })?;
    Ok(Told {
        sent: format!("POST …/sobjects/Contact {contact}"),
        result: "allowed, stored",
        happened: format!("ALLOWED: 201, stored as {}", text(&answer.body, "/id")),
        why: format!(
            "{} policies govern contacts, and none objected",
            governing(&decision)
        ),
        decision: id(&decision),
    })
}

pub(super) async fn dynamics_create(stage: &Stage) -> Result<Told, String> {
    let contact = json!({
        "firstname": "Chidi", "lastname": "Okafor", "emailaddress1": "chidi.okafor@example.com",
    });
    let answer = stage
        .call(Crm::Dynamics, Method::POST, "/contacts", Some(&contact))
        .await?;
    expect_status(&answer, 204)?;
    let decision = stage.decision(&answer, "allow").await?;
    let email = ("emailaddress1", "chidi.okafor@example.com");
    let stored = stage.stored_with(Crm::Dynamics, "contact", email).await?;
    expect(stored.is_some(), || {
        "the contact is not in Dynamics".to_owned()
    })?;
    Ok(Told {
        sent: format!("POST …/contacts {contact}"),
        result: "allowed, stored",
        happened: "ALLOWED: 204, stored".to_owned(),
        why: format!(
            "the same {} policies as in Salesforce: they speak of `email` and `last_name`, \
             whatever a CRM calls them",
            governing(&decision)
        ),
        decision: id(&decision),
    })
}

fn governing(decision: &Value) -> usize {
    list(decision, "/decision/packages").len()
}

pub(super) async fn denied(stage: &Stage) -> Result<Told, String> {
    let contact = json!({"LastName": "Lindqvist", "Email": "lindqvist@mailinator.com"});
    let before = stage.journal_end(Crm::Salesforce).await?;
    let answer = stage
        .call(
            Crm::Salesforce,
            Method::POST,
            "/sobjects/Contact",
            Some(&contact),
        )
        .await?;
    expect_status(&answer, 400)?;
    let decision = stage.decision(&answer, "deny").await?;
    let why = reason(&decision, "email_domain")?;
    let writes = stage.writes_after(Crm::Salesforce, before).await?;
    expect(writes == 0, || {
        format!("{writes} writes reached Salesforce")
    })?;
    let same = json!({"lastname": "Lindqvist", "emailaddress1": "lindqvist@mailinator.com"});
    let before = stage.journal_end(Crm::Dynamics).await?;
    let other = stage
        .call(Crm::Dynamics, Method::POST, "/contacts", Some(&same))
        .await?;
    expect_status(&other, 400)?;
    stage.decision(&other, "deny").await?;
    let writes = stage.writes_after(Crm::Dynamics, before).await?;
    expect(writes == 0, || format!("{writes} writes reached Dynamics"))?;
    Ok(Told {
        sent: format!("POST …/sobjects/Contact {contact}"),
        result: "denied, nothing arrived",
        happened: format!(
            "DENIED: 400, as Salesforce itself words it: \"{}\"\n\
             Salesforce's own journal shows that nothing arrived: 0 writes.\n\
             Dynamics refuses the same contact in its words: \"{}\"",
            answer.message(),
            other.message()
        ),
        why,
        decision: id(&decision),
    })
}

pub(super) async fn patched(stage: &Stage) -> Result<Told, String> {
    let contact = json!({
        "LastName": "Wintergreen", "Email": "w.wintergreen@example.com",
        "Phone": "030 23125-999", "MailingCountry": "Germany",
    });
    let answer = stage
        .call(
            Crm::Salesforce,
            Method::POST,
            "/sobjects/Contact",
            Some(&contact),
        )
        .await?;
    expect_status(&answer, 201)?;
    let decision = stage.decision(&answer, "allow").await?;
    let email = ("Email", "w.wintergreen@example.com");
    let stored = stage.stored_with(Crm::Salesforce, "Contact", email).await?;
    let stored = stored.unwrap_or_default();
    let phone = text(&stored, "/Phone");
    expect(phone == "+493023125999", || {
        format!("stored phone: {phone}")
    })?;
    let changed = answer.header("crmgate-changed");
    expect(changed == "Phone", || {
        format!("`Crmgate-Changed` says `{changed}`")
    })?;
    Ok(Told {
        sent: format!("POST …/sobjects/Contact {contact}"),
        result: "changed to E.164, stored",
        happened: format!(
            "CHANGED and allowed: 201, and Salesforce stores the phone number as {phone} (E.164)\n\
             The client is told: `Crmgate-Changed: {changed}`"
        ),
        why: "the policy crm.quality.phones writes phone numbers with their country code, here \
              Germany's, instead of refusing them"
            .to_owned(),
        decision: id(&decision),
    })
}

pub(super) async fn scope_refused(stage: &Stage) -> Result<Told, String> {
    let product = json!({"Name": "Spectrometer S500", "ProductCode": "AI-500"});
    let before = stage.journal_end(Crm::Salesforce).await?;
    let answer = stage
        .call(
            Crm::Salesforce,
            Method::POST,
            "/sobjects/Product2",
            Some(&product),
        )
        .await?;
    expect(matches!(answer.status, 400 | 403), || {
        format!(
            "expected 400 or 403, got {}: {}",
            answer.status, answer.body
        )
    })?;
    let decision = stage.decision(&answer, "deny").await?;
    let writes = stage.writes_after(Crm::Salesforce, before).await?;
    expect(writes == 0, || {
        format!("{writes} writes reached Salesforce")
    })?;
    let message = text(&decision, "/decision/reasons/0/message");
    let token = &stage.pricing_token;
    let with_scope = stage
        .call_as(
            token,
            Crm::Salesforce,
            Method::POST,
            "/sobjects/Product2",
            Some(&product),
        )
        .await?;
    expect_status(&with_scope, 201)?;
    stage.decision(&with_scope, "allow").await?;
    Ok(Told {
        sent: format!("POST …/sobjects/Product2 {product}"),
        result: "refused; passes with the scope",
        happened: format!(
            "REFUSED: {}, and nothing arrived. The same request by a client whose token has the \
             scope `full` passes: 201",
            answer.status
        ),
        why: format!(
            "the policy crm.protect.pricing lets only some OAuth scopes write products: {message}"
        ),
        decision: id(&decision),
    })
}

pub(super) async fn stage_rule(stage: &Stage) -> Result<Told, String> {
    let early = opportunity(stage, "Qualification").await?;
    let late = opportunity(stage, "Negotiation/Review").await?;
    let won = json!({"StageName": "Closed Won"});
    let change = async |record: &Value| {
        let id = text(record, "/Id");
        let path = format!("/sobjects/Opportunity/{id}");
        stage
            .call(Crm::Salesforce, Method::PATCH, &path, Some(&won))
            .await
    };
    let answer = change(&early).await?;
    expect_status(&answer, 400)?;
    let decision = stage.decision(&answer, "deny").await?;
    let why = reason(&decision, "stage_skipped")?;
    let passed = change(&late).await?;
    expect_status(&passed, 204)?;
    stage.decision(&passed, "allow").await?;
    Ok(Told {
        sent: format!("PATCH …/sobjects/Opportunity/{} {won}", text(&early, "/Id")),
        result: "denied; passes from a late stage",
        happened: format!(
            "DENIED: the request names the new stage only, so the gate read the stored record and \
             saw `{}`\nThe same request for an opportunity in `{}` passes: 204",
            text(&early, "/StageName"),
            text(&late, "/StageName")
        ),
        why,
        decision: id(&decision),
    })
}

/// An open opportunity in that stage.
pub(super) async fn opportunity(stage: &Stage, name: &str) -> Result<Value, String> {
    let found = stage
        .stored_with(Crm::Salesforce, "Opportunity", ("StageName", name))
        .await?;
    found.ok_or_else(|| format!("no opportunity is in stage `{name}`"))
}
