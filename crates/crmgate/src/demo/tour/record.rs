//! The record of the tour, verified by the same code as `crmgate decisions verify`.

use crmgate_store::RawEntry;
use http::Method;

use super::Told;
use super::stage::{Stage, expect};
use crate::commands::verify;
use crate::json::text;

/// Makes an allowed operation of a denied one, as somebody might who can write the database.
fn forge(entry: &mut RawEntry, id: &str) -> bool {
    let envelope = &mut entry.entry.envelope;
    let denied = entry.entry.kind == "decision" && envelope.contains(id);
    if denied {
        *envelope = envelope.replace(r#""effect":"deny""#, r#""effect":"allow""#);
    }
    denied
}

pub(super) async fn verified(stage: &Stage) -> Result<Told, String> {
    let api = stage.api()?;
    let failed = |failure: crate::exit::Failure| failure.message;
    let denied = "/v1/decisions?effect=deny&limit=1";
    let denied = stage.control(Method::GET, denied, None).await?;
    let id = text(&denied, "/items/0/decision/id").to_owned();
    expect(!id.is_empty(), || format!("no decision to forge: {denied}"))?;

    let found = verify::of_running(&api, |_| {}).await.map_err(failed)?;
    verify::print(&found);
    let report = &found.report;
    expect(report.whole && report.entries > 0, || {
        format!("the record is not whole: {:?}", report.faults)
    })?;

    let mut forged = None;
    let after = verify::of_running(&api, |entry| {
        if forge(entry, &id) {
            forged = Some(entry.entry.position);
        }
    });
    let after = after.await.map_err(failed)?.report;
    let fault = after.faults.first();
    expect(
        !after.whole && forged.is_some() && fault.map(|fault| fault.position) == forged,
        || format!("entry {forged:?} was changed and was not found: {after:?}"),
    )?;
    Ok(Told {
        sent: "crmgate decisions verify, as an auditor does: every entry is fetched and its hash \
               computed again; then once more, with one \"deny\" made an \"allow\" in what was fetched"
            .to_owned(),
        result: "whole; a forged entry is found",
        happened: format!(
            "WHOLE: {} entries, {} payloads. The forged one was FOUND OUT: \"{}\"",
            report.entries,
            report.payloads.kept,
            fault.map(|fault| fault.message.as_str()).unwrap_or_default()
        ),
        why: "every entry holds the hash of the one before it; what hashes cannot show, a cut end \
              or a chain written anew, shows against signed checkpoints kept elsewhere"
            .to_owned(),
        decision: id,
    })
}
