//! Decisions as rows of a table.

use crmgate_store::StoredDecision;

/// The columns.
pub const COLUMNS: [&str; 15] = [
    "sequence",
    "at",
    "decision",
    "connection",
    "point",
    "kind",
    "object",
    "record_id",
    "actor",
    "effect",
    "mode",
    "codes",
    "packages",
    "outcome",
    "revision",
];

/// The head of the table, with its line end.
#[must_use]
pub fn head() -> String {
    format!("{}\r\n", COLUMNS.join(","))
}

/// One decision's row, with its line end.
#[must_use]
pub fn row(stored: &StoredDecision) -> String {
    let record = &stored.record;
    let judgement = &record.decision.judgement;
    let operation = record.operation.as_ref();
    let text = |text: Option<&str>| cell(text.unwrap_or_default());
    let codes: Vec<&str> = judgement
        .reasons
        .iter()
        .map(|it| it.code.as_str())
        .collect();
    let packages = judgement.packages.iter().map(|it| it.package.as_str());
    let packages: Vec<&str> = packages.collect();
    let cells = [
        stored.sequence.to_string(),
        record.decision.at.to_string(),
        record.decision.id.to_string(),
        cell(record.connection.as_str()),
        text(operation.map(|it| it.point.as_str())),
        text(operation.map(|it| it.kind.as_str())),
        text(operation.map(|it| it.object.as_str())),
        text(operation.and_then(|it| it.record_id.as_deref())),
        text(
            operation
                .map(|it| it.actor.id.as_str())
                .or(record.asked_by.as_deref()),
        ),
        judgement.effect.as_str().to_owned(),
        record.decision.mode.as_str().to_owned(),
        cell(&codes.join(" ")),
        cell(&packages.join(" ")),
        text(stored.outcome.as_ref().map(|it| it.kind.as_str())),
        cell(judgement.revision.as_str()),
    ];
    format!("{}\r\n", cells.join(","))
}

/// A cell as RFC 4180 writes it, on one line. A text that a spreadsheet would take for a formula
/// is led by an apostrophe.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let lead = if formula { "'" } else { "" };
    let text = format!("{lead}{}", text.replace(['\r', '\n'], " "));
    if text.contains([',', '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_breaks_no_row_and_starts_no_formula() {
        assert_eq!(cell("a b"), "a b");
        assert_eq!(cell("a,\"b\"\n"), "\"a,\"\"b\"\" \"");
        assert_eq!(cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
    }
}
