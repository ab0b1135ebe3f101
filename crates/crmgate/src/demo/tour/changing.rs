//! Held operations, policies that change, policies that only record.

use http::Method;
use serde_json::json;

use super::Told;
use super::judging::expect_status;
use super::stage::{Answer, Crm, Stage, expect, id, reason};
use crate::json::{at, list, text};

/// The discount that is held first and passes once the limit is raised.
const DISCOUNT: u32 = 30;

/// Asks for the discount on an opportunity of Dynamics that has a small one.
async fn ask_discount(stage: &Stage) -> Result<(String, Answer), String> {
    let found = stage
        .stored_with(Crm::Dynamics, "opportunity", ("name", "FlowSense roll-out"))
        .await?;
    let record = found.ok_or("the opportunity `FlowSense roll-out` is not there")?;
    let key = text(&record, "/opportunityid");
    let path = format!("/opportunities({key})");
    let body = json!({"discountpercentage": DISCOUNT});
    let answer = stage
        .call(Crm::Dynamics, Method::PATCH, &path, Some(&body))
        .await?;
    Ok((format!("PATCH …{path} {body}"), answer))
}

pub(super) async fn held(stage: &Stage) -> Result<Told, String> {
    let before = stage.journal_end(Crm::Dynamics).await?;
    let (sent, answer) = ask_discount(stage).await?;
    expect_status(&answer, 400)?;
    let decision = stage.decision(&answer, "require_approval").await?;
    let why = reason(&decision, "discount")?;
    let writes = stage.writes_after(Crm::Dynamics, before).await?;
    expect(writes == 0, || format!("{writes} writes reached Dynamics"))?;
    let hold = text(&decision, "/hold");
    let stored = stage
        .control(Method::GET, &format!("/v1/holds/{hold}"), None)
        .await?;
    expect(text(&stored, "/status") == "waiting", || {
        format!("the hold: {stored}")
    })?;
    Ok(Told {
        sent,
        result: "held, nothing arrived",
        happened: format!(
            "HELD as {hold} until {}: nothing arrived, and the client is told: \"{}\"",
            text(&stored, "/expires_at").get(..16).unwrap_or_default(),
            answer.message()
        ),
        why: format!(
            "{why}; these may agree: {}",
            at(&stored, "/approvals/0/groups")
        ),
        decision: id(&decision),
    })
}

pub(super) async fn edited(stage: &Stage) -> Result<Told, String> {
    let file = stage.policies_dir.join("sales/params.yaml");
    let fault = |error: std::io::Error| format!("{}: {error}", file.display());
    let params = std::fs::read_to_string(&file).map_err(fault)?;
    let (old, new) = ("approval_over: 20", "approval_over: 40");
    expect(params.contains(old), || {
        format!("{} has no `{old}`", file.display())
    })?;
    let before = stage.revision().await?;
    std::fs::write(&file, params.replace(old, new)).map_err(fault)?;
    let after = stage.until_revision(|revision| revision != before).await?;
    let (sent, answer) = ask_discount(stage).await?;
    expect_status(&answer, 204)?;
    let decision = stage.decision(&answer, "allow").await?;
    let judged_by = text(&decision, "/decision/revision");
    expect(judged_by == after, || {
        format!("judged by revision {judged_by}, not by {after}")
    })?;
    let short = |revision: &str| revision.get(..12).unwrap_or_default().to_owned();
    Ok(Told {
        sent: format!("{sent}, once more"),
        result: "allowed by the new revision",
        happened: format!(
            "ALLOWED: 204. Nothing was restarted: revision {} is followed by {}, and the decision \
             names the one that judged it",
            short(&before),
            short(&after)
        ),
        why: format!("somebody changed `{old}` to `{new}` in policies/sales/params.yaml"),
        decision: id(&decision),
    })
}

pub(super) async fn dry_run(stage: &Stage) -> Result<Told, String> {
    let contact = json!({"LastName": "BERGSTRAND", "Email": "bergstrand@example.com"});
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
    let recorded = list(&decision, "/decision/dryrun");
    let casing = recorded
        .iter()
        .any(|found| text(found, "/code") == "name_casing");
    expect(casing, || {
        format!("no dry run is recorded: {}", at(&decision, "/decision"))
    })?;
    let why = reason(&decision, "name_casing")?;
    Ok(Told {
        sent: format!("POST …/sobjects/Contact {contact}"),
        result: "allowed; the dry-run is recorded",
        happened: "ALLOWED: 201. The dry-run policy would have denied it; only the decision tells"
            .to_owned(),
        why: format!("{why}; it is a dry run, so that its team can count before it counts"),
        decision: id(&decision),
    })
}
