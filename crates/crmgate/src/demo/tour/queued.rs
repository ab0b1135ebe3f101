//! Work that is handed over instead of being sent: decided, held for people, written once.

use http::Method;
use serde_json::{Value, json};

use super::Told;
use super::stage::{Crm, Stage, expect};
use crate::client::segment;
use crate::demo::{DYNAMICS, SALESFORCE};
use crate::json::{list, text};

/// More than the sales team lets pass without its managers.
const DISCOUNT: u32 = 25;
/// Makes the request one, however often it is sent.
const KEY: &str = "tour-import-1";

/// What a nightly import brings: something good, something bad, something that people decide.
async fn lines(stage: &Stage) -> Result<Vec<Value>, String> {
    let found = stage
        .stored_with(Crm::Dynamics, "opportunity", ("name", "FlowSense roll-out"))
        .await?;
    let record = found.ok_or("the opportunity `FlowSense roll-out` is not there")?;
    let contact = |client_id: &str, email: &str| {
        json!({
            "client_id": client_id, "connection": SALESFORCE,
            "operation": {
                "kind": "create", "object": "contact",
                "record": {"last_name": "Nakamura", "email": email},
            },
        })
    };
    Ok(vec![
        contact("good", "nakamura@example.com"),
        contact("bad", "nakamura@mailinator.com"),
        json!({
            "client_id": "discount", "connection": DYNAMICS,
            "operation": {
                "kind": "update", "object": "opportunity", "id": text(&record, "/opportunityid"),
                "record": {"discount_percent": DISCOUNT},
            },
        }),
    ])
}

/// An operation of the submission, once it has ended or waits for people, in the state told.
async fn settled(
    stage: &Stage,
    submission: &str,
    client_id: &str,
    state: &str,
) -> Result<Value, String> {
    let path = format!(
        "/v1/operations?submission={}&client_id={client_id}",
        segment(submission)
    );
    let found = stage.control(Method::GET, &path, None).await?;
    let id = list(&found, "/items")
        .first()
        .map(|item| text(item, "/id").to_owned())
        .ok_or_else(|| format!("operation `{client_id}` is not there"))?;
    let path = format!("/v1/operations/{id}?wait=20s");
    let operation = stage.control(Method::GET, &path, None).await?;
    let found = text(&operation, "/state");
    expect(found == state, || {
        format!("operation `{client_id}` is `{found}`, not `{state}`: {operation}")
    })?;
    Ok(operation)
}

/// How many writes reached each CRM.
async fn writes(stage: &Stage, since: [u64; 2]) -> Result<[usize; 2], String> {
    Ok([
        stage.writes_after(Crm::Salesforce, since[0]).await?,
        stage.writes_after(Crm::Dynamics, since[1]).await?,
    ])
}

async fn expect_writes(stage: &Stage, since: [u64; 2], expected: [usize; 2]) -> Result<(), String> {
    let found = writes(stage, since).await?;
    expect(found == expected, || {
        format!("{found:?} writes reached the CRMs, not {expected:?}")
    })
}

pub(super) async fn handed_over(stage: &Stage) -> Result<Told, String> {
    let since = [
        stage.journal_end(Crm::Salesforce).await?,
        stage.journal_end(Crm::Dynamics).await?,
    ];
    let lines = lines(stage).await?;
    let taken = stage.submit(KEY, &lines).await?;
    let submission = text(&taken, "/submission").to_owned();
    let good = settled(stage, &submission, "good", "succeeded").await?;
    let bad = settled(stage, &submission, "bad", "denied").await?;
    let held = settled(stage, &submission, "discount", "held").await?;
    expect_writes(stage, since, [1, 0]).await?;
    let hold = text(&held, "/hold");
    let agreed = json!({"reason": "as agreed with the customer"});
    let path = format!("/v1/approvals/{}/approve", segment(hold));
    stage
        .control_as("approver", Method::POST, &path, Some(&agreed))
        .await?;
    let written = settled(stage, &submission, "discount", "succeeded").await?;
    // A request whose answer was lost is sent again.
    let again = stage.submit(KEY, &lines).await?;
    expect(text(&again, "/submission") == submission, || {
        format!("the same request became another submission: {again}")
    })?;
    expect_writes(stage, since, [1, 1]).await?;
    Ok(Told {
        sent: format!("POST /v1/operations, {} lines at once", lines.len()),
        result: "two written once, one denied",
        happened: format!(
            "TAKEN: 202, once they were on disk; a worker decides and writes them\n\
             good      SUCCEEDED: stored as {}\n\
             bad       DENIED ({})\n\
             discount  HELD; a sales manager, who did not ask for it, agrees: SUCCEEDED\n\
             The same request once more is answered the same. The CRMs' own journals: 1 write each",
            text(&good, "/record_id"),
            text(&bad, "/why/code"),
        ),
        why: format!(
            "the same policies judge what is queued; a discount of {DISCOUNT} % needs the sales \
             managers"
        ),
        decision: text(&written, "/decision").to_owned(),
    })
}
