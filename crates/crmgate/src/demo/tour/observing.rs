//! The same traffic first observed, then enforced.

use http::Method;
use serde_json::{Value, json};

use super::Told;
use super::stage::{Answer, Crm, Stage, expect, id, reason};
use crate::commands::print_report;
use crate::demo::SALESFORCE;
use crate::json::{flag, list, text};

/// Sends what an unsuspecting integration sends: something good, something bad, something that the
/// gate does not understand.
async fn traffic(stage: &Stage) -> Result<[Answer; 3], String> {
    let sobject = "/sobjects/Contact";
    let send = async |path: &str, body: Value| {
        stage
            .call(Crm::Salesforce, Method::POST, path, Some(&body))
            .await
    };
    let good = json!({"LastName": "Halloran", "Email": "halloran@example.com"});
    let bad = json!({"LastName": "Halloran", "Email": "halloran@mailinator.com"});
    let odd = json!({
        "allOrNone": true,
        "records": [{"attributes": {"type": "Contact"}, "LastName": "Halloran"}],
    });
    Ok([
        send(sobject, good).await?,
        send(sobject, bad).await?,
        send("/composite/sobjects", odd).await?,
    ])
}

const SENT: &str = "a good contact, one with a throw-away e-mail address, and a batch (which the gate \
                    does not understand yet)";

async fn switch(stage: &Stage, mode: &str) -> Result<(), String> {
    let path = format!("/v1/connections/{SALESFORCE}/mode");
    let status = stage
        .control(Method::PUT, &path, Some(&json!({"mode": mode})))
        .await?;
    expect(text(&status, "/mode") == mode, || {
        format!("the mode is still {}", text(&status, "/mode"))
    })
}

pub(super) async fn observe(stage: &Stage) -> Result<Told, String> {
    switch(stage, "observe").await?;
    let [good, bad, odd] = traffic(stage).await?;
    for (what, answer) in [("good", &good), ("bad", &bad)] {
        expect(answer.status == 201, || {
            format!(
                "the {what} contact did not pass: {} {}",
                answer.status, answer.body
            )
        })?;
    }
    for (answer, basis) in [(&bad, "observed"), (&odd, "opaque")] {
        let (mode, found) = (
            answer.header("crmgate-mode"),
            answer.header("crmgate-basis"),
        );
        expect(mode == "observe" && found == basis, || {
            format!("an answer is not marked: mode `{mode}`, basis `{found}`")
        })?;
    }
    let decision = stage.decision(&bad, "deny").await?;
    let path = format!("/v1/connections/{SALESFORCE}/report");
    let report = stage.control(Method::GET, &path, None).await?;
    expect(!flag(&report, "/safe_to_enforce"), || {
        format!("the report: {report}")
    })?;
    let obstacles = list(&report, "/obstacles");
    for code in ["refused", "not_understood"] {
        expect(
            obstacles.iter().any(|found| text(found, "/code") == code),
            || format!("the report does not speak of `{code}`: {report}"),
        )?;
    }
    print_report(&report);
    Ok(Told {
        sent: SENT.to_owned(),
        result: "all passed, counted",
        happened: "ALL PASSED: in observe mode nothing is refused, and every answer says \
                   `Crmgate-Mode: observe`.\nThe report above counts what enforcing would do"
            .to_owned(),
        why: format!(
            "{}; recorded, not carried out",
            reason(&decision, "email_domain")?
        ),
        decision: id(&decision),
    })
}

pub(super) async fn enforce(stage: &Stage) -> Result<Told, String> {
    switch(stage, "enforce").await?;
    let before = stage.journal_end(Crm::Salesforce).await?;
    let [good, bad, odd] = traffic(stage).await?;
    expect(good.status == 201, || {
        format!(
            "the good contact did not pass: {} {}",
            good.status, good.body
        )
    })?;
    for (what, answer) in [("bad contact", &bad), ("batch", &odd)] {
        expect((400..404).contains(&answer.status), || {
            format!(
                "the {what} was not refused: {} {}",
                answer.status, answer.body
            )
        })?;
    }
    let decision = stage.decision(&bad, "deny").await?;
    let writes = stage.writes_after(Crm::Salesforce, before).await?;
    expect(writes == 1, || {
        format!("{writes} writes reached Salesforce, not 1")
    })?;
    Ok(Told {
        sent: format!("the same: {SENT}"),
        result: "one passed, two refused",
        happened: format!(
            "One passed, two REFUSED; Salesforce's journal shows 1 write. The batch: \"{}\"",
            odd.message()
        ),
        why: format!(
            "{}; and what the gate does not understand does not pass",
            reason(&decision, "email_domain")?
        ),
        decision: id(&decision),
    })
}
