//! `crmgate policy check`: every mistake in a folder of policies, told with its line.

use std::collections::BTreeMap;

use crmgate_app::PolicyChecker as _;
use crmgate_lint::{Catalogue, Findings, Level, render, sarif};
use crmgate_policy::{LoadErrors, PolicySet, Sources, read_folder};
use serde_json::json;

use super::known;
use crate::cli::PolicyCheck;
use crate::config;
use crate::exit::{Exit, Failure};
use crate::output::{Output, complain, patiently, say, say_json};
use crate::wiring::child::ChildChecker;
use crate::wiring::watch::Changes;

pub(super) async fn run(check: &PolicyCheck) -> Result<Exit, Failure> {
    let configured = match &check.config {
        Some(file) => Some(config::load(Some(file), &config::process_environment())?),
        None => None,
    };
    let catalogue = known::catalogue(configured.as_ref().map(|loaded| &loaded.config));
    if !check.watch {
        return once(check, &catalogue).await;
    }
    // Watched before it is read: no change is missed.
    let mut changes = Changes::of(&check.dir)
        .map_err(|error| Failure::new(Exit::System, format!("{error:#}")))?;
    loop {
        let exit = match once(check, &catalogue).await {
            Ok(exit) => exit,
            // A file that is gone while it is read comes back with the next change.
            Err(failure) => {
                complain(format!("error: {failure}"));
                failure.exit
            }
        };
        say(format!(
            "watching `{}`; interrupt to end",
            check.dir.display()
        ));
        tokio::select! {
            () = changes.next() => {}
            _ = tokio::signal::ctrl_c() => return Ok(exit),
        }
        say("");
    }
}

async fn once(check: &PolicyCheck, catalogue: &Catalogue) -> Result<Exit, Failure> {
    if !check.dir.is_dir() {
        let message = format!("`{}` is not a folder", check.dir.display());
        return Err(Failure::new(Exit::Usage, message));
    }
    let (sources, loaded) = match read_folder(&check.dir) {
        Ok(sources) => match load(&sources).await? {
            // What kills a process that loads it is not looked at in this one.
            Err(errors) if errors.all().iter().any(|e| e.code == "loader") => {
                (Sources::default(), Err(errors))
            }
            loaded => (sources, loaded),
        },
        // What can't be read can't be looked at, only named.
        Err(errors) => (Sources::default(), Err(errors)),
    };
    let findings = crmgate_lint::check(&sources, catalogue, loaded.as_ref().map(drop));
    if let Some(file) = &check.sarif {
        let root = check.dir.display().to_string();
        let text = sarif(&findings, &root, env!("CARGO_PKG_VERSION")).to_string();
        std::fs::write(file, text).map_err(|error| {
            Failure::new(Exit::System, format!("`{}`: {error}", file.display()))
        })?;
    }
    let texts = texts(&sources);
    match check.form.output {
        Output::Json => say_json(&told(&findings, &loaded, texts.len())),
        Output::Table => {
            let least = check.fails().min(Level::Warning);
            shown(&findings, &loaded, &texts, least);
        }
    }
    Ok(if findings.any(check.fails()) {
        Exit::No
    } else {
        Exit::Done
    })
}

/// Loads them, first in a child: a hostile policy can hang or abort whatever loads it.
async fn load(sources: &Sources) -> Result<Result<PolicySet, LoadErrors>, Failure> {
    let checker = ChildChecker::new()?;
    let checked = patiently("loading policies", checker.check(sources)).await;
    Ok(checked.and_then(|()| PolicySet::load(sources)))
}

/// Every file's text, under the name that findings have for it.
fn texts(sources: &Sources) -> BTreeMap<String, &str> {
    let mut texts: BTreeMap<String, &str> = sources
        .global
        .iter()
        .map(|source| (source.path.clone(), source.text.as_str()))
        .collect();
    for (name, own) in &sources.connections {
        for source in &own.files {
            texts.insert(format!("connections/{name}/{}", source.path), &source.text);
        }
    }
    texts
}

fn told(
    findings: &Findings,
    loaded: &Result<PolicySet, LoadErrors>,
    files: usize,
) -> serde_json::Value {
    json!({
        "sound": loaded.is_ok(),
        "revision": loaded.as_ref().ok().map(PolicySet::revision),
        "files": files,
        "errors": findings.count(Level::Error),
        "warnings": findings.count(Level::Warning),
        "infos": findings.count(Level::Info),
        "findings": findings,
    })
}

fn shown(
    findings: &Findings,
    loaded: &Result<PolicySet, LoadErrors>,
    texts: &BTreeMap<String, &str>,
    least: Level,
) {
    for finding in findings.all().iter().filter(|f| f.level >= least) {
        say(render(finding, texts.get(&finding.file).copied()));
    }
    let counts: Vec<String> = [
        (Level::Error, "error"),
        (Level::Warning, "warning"),
        (Level::Info, "note"),
    ]
    .into_iter()
    .map(|(level, word)| (findings.count(level), word))
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
    .collect();
    let counts = if counts.is_empty() {
        "nothing found".to_owned()
    } else {
        counts.join(", ")
    };
    // Among many notes, nobody would see a mistake.
    let untold = least > Level::Info && findings.count(Level::Info) > 0;
    let more = if untold {
        " (`--fail-on info` tells them)"
    } else {
        ""
    };
    let files = texts.len();
    say(match loaded {
        Ok(set) => format!(
            "{files} files load, revision {}; {counts}{more}",
            set.revision().short()
        ),
        Err(_) => format!("{files} files, which do not load; {counts}{more}"),
    });
}
