//! Findings in SARIF 2.1.0, which code hosts and editors show beside the lines.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{Finding, Findings, Level};

/// The findings as one run; `root` is the folder that files are below, as the reader knows it.
#[must_use]
pub fn sarif(findings: &Findings, root: &str, version: &str) -> Value {
    let codes: BTreeSet<&str> = findings.all().iter().map(|finding| finding.code).collect();
    let rules: Vec<Value> = codes
        .into_iter()
        .map(|code| json!({ "id": code }))
        .collect();
    let results: Vec<Value> = findings
        .all()
        .iter()
        .map(|finding| result(finding, root))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "crmgate policy check", "version": version, "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(finding: &Finding, root: &str) -> Value {
    let level = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "note",
    };
    let mut text = finding.message.clone();
    for (name, note) in [("expected", &finding.expected), ("help", &finding.remedy)] {
        if let Some(note) = note {
            text.push_str(&format!("\n{name}: {note}"));
        }
    }
    let end = finding.column.zip(finding.length).map(|(from, n)| from + n);
    let mut region = json!({ "startLine": finding.line.unwrap_or(1) });
    if let Some(region) = region.as_object_mut() {
        let ends = [("startColumn", finding.column), ("endColumn", end)];
        for (name, column) in ends {
            if let Some(column) = column {
                region.insert(name.to_owned(), json!(column));
            }
        }
    }
    let also: Vec<Value> = finding
        .also
        .iter()
        .map(|also| {
            json!({
                "message": {"text": also.what},
                "physicalLocation": place(&also.file, root, &json!({"startLine": also.line})),
            })
        })
        .collect();
    json!({
        "ruleId": finding.code,
        "level": level,
        "message": {"text": text},
        "locations": [{"physicalLocation": place(&finding.file, root, &region)}],
        "relatedLocations": also,
    })
}

fn place(file: &str, root: &str, region: &Value) -> Value {
    let root = root.trim_end_matches('/');
    json!({"artifactLocation": {"uri": format!("{root}/{file}")}, "region": region})
}
