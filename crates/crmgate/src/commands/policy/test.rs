//! `crmgate policy test`: the data cases beside the policies of a folder.

use std::path::{Path, PathBuf};

use crmgate_connector::ConnectorKind;
use crmgate_policy::cases;
use serde_json::{Value, json};

use super::{broken, load};
use crate::cli::PolicyFolder;
use crate::exit::{Exit, Failure};
use crate::output::{Output, say, say_json, table};
use crate::wiring::connections::KINDS;

pub(super) async fn run(folder: &PolicyFolder) -> Result<Exit, Failure> {
    let set = match load(&folder.dir).await? {
        Ok((_, set)) => set,
        Err(errors) => return Ok(broken(&errors, folder.form.output)),
    };
    let systems = systems();
    let mut reports = Vec::new();
    for file in case_files(&folder.dir)? {
        let shown = file.strip_prefix(&folder.dir).unwrap_or(&file);
        let shown = shown.display().to_string();
        let text = std::fs::read_to_string(&file)?;
        let parsed = match cases::parse(&shown, &text) {
            Ok(parsed) => parsed,
            Err(fault) => return Ok(broken(&fault.into(), folder.form.output)),
        };
        let (ran, _) = cases::run_all(&set, &parsed, &systems);
        reports.extend(ran.into_iter().map(|report| (shown.clone(), report)));
    }
    Ok(tell(&reports, folder.form.output))
}

/// Every kind of CRM, with a connection named as the kind.
fn systems() -> Vec<cases::System> {
    let system = |kind: &&dyn ConnectorKind| {
        let sample = kind.sample();
        Some(cases::System {
            name: kind.system().to_owned(),
            connection: kind.system().parse().ok()?,
            record_id: sample.record_id.to_owned(),
            native_objects: sample.objects.into_iter().collect(),
        })
    };
    KINDS.iter().filter_map(system).collect()
}

fn tell(reports: &[(String, cases::CaseReport)], output: Output) -> Exit {
    let failed = reports
        .iter()
        .filter(|(_, report)| !report.passed())
        .count();
    if output == Output::Json {
        let cases: Vec<Value> = reports
            .iter()
            .map(|(file, report)| {
                let differences: Vec<String> =
                    report.differences.iter().map(ToString::to_string).collect();
                json!({
                    "file": file, "case": report.name, "system": report.system,
                    "passed": report.passed(), "differences": differences,
                })
            })
            .collect();
        say_json(&json!({"passed": reports.len() - failed, "failed": failed, "cases": cases}));
    } else {
        let mut shown = table(&["file", "case", "for", "differences"]);
        for (file, report) in reports.iter().filter(|(_, report)| !report.passed()) {
            let differences: Vec<String> =
                report.differences.iter().map(ToString::to_string).collect();
            shown.add_row([file, &report.name, &report.system, &differences.join("\n")]);
        }
        if failed > 0 {
            say(shown);
        }
        say(format!(
            "{} passed, {failed} failed",
            reports.len() - failed
        ));
    }
    if failed == 0 { Exit::Done } else { Exit::No }
}

/// Every `cases/*.yaml` below the folder, sorted.
fn case_files(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let in_cases = folder.ends_with("cases");
            let yaml = path
                .extension()
                .is_some_and(|extension| extension == "yaml" || extension == "yml");
            if path.is_dir() {
                open.push(path);
            } else if in_cases && yaml {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
