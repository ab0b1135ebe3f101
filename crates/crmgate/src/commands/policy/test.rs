//! `crmgate policy test`: tests in Rego and data cases, with coverage.

use std::path::Path;

use crmgate_authoring::report::{failures, junit, lcov, uncovered};
use crmgate_authoring::{Report, Suite, Wanted};
use crmgate_policy::LoadErrors;

use super::{broken, load, systems};
use crate::cli::PolicyTest;
use crate::exit::{Exit, Failure};
use crate::output::{Bar, Output, complain, say, say_json, table};
use crate::wiring::watch::Changes;

pub(super) async fn run(test: &PolicyTest) -> Result<Exit, Failure> {
    if !test.watch {
        return once(test).await;
    }
    // Watched before it is read: no change is missed.
    let mut changes =
        Changes::of(&test.dir).map_err(|error| Failure::new(Exit::System, format!("{error:#}")))?;
    let mut exit;
    loop {
        exit = match once(test).await {
            Ok(exit) => exit,
            // A file that is gone while it is read comes back with the next change.
            Err(failure) => {
                complain(format!("error: {failure}"));
                failure.exit
            }
        };
        say(format!(
            "watching `{}`; interrupt to end",
            test.dir.display()
        ));
        tokio::select! {
            () = changes.next() => {}
            _ = tokio::signal::ctrl_c() => return Ok(exit),
        }
        say("");
    }
}

async fn once(test: &PolicyTest) -> Result<Exit, Failure> {
    let (sources, set) = match load(&test.dir).await? {
        Ok(loaded) => loaded,
        Err(errors) => return Ok(broken(&errors, test.form.output)),
    };
    let wanted = Wanted {
        filter: test.filter.clone(),
        pack: test.pack.clone(),
        coverage: test.coverage
            || test.min.is_some()
            || test.lcov.is_some()
            || test.coverage_json.is_some(),
    };
    let dir = test.dir.clone();
    // The engine computes: a thread of its own keeps interrupts and the bar alive.
    let ran = tokio::task::spawn_blocking(move || -> Result<Report, LoadErrors> {
        let suite = Suite::load(&dir, sources, &set)?;
        let mut bar = Bar::new("testing policies");
        let systems = systems::all();
        Ok(suite.run(&wanted, &systems, &mut |done, all| bar.at(done, all)))
    });
    let ran = ran
        .await
        .map_err(|error| Failure::new(Exit::System, error.to_string()))?;
    let report = match ran {
        Ok(report) => report,
        Err(errors) => return Ok(broken(&errors, test.form.output)),
    };
    write(test, &report)?;
    Ok(tell(test, &report))
}

fn write(test: &PolicyTest, report: &Report) -> Result<(), Failure> {
    let root = test.dir.display().to_string();
    let to = |file: &Path, text: String| {
        std::fs::write(file, text)
            .map_err(|error| Failure::new(Exit::System, format!("`{}`: {error}", file.display())))
    };
    if let Some(file) = &test.junit {
        to(file, junit(report, &root)?)?;
    }
    let Some(coverage) = &report.coverage else {
        return Ok(());
    };
    if let Some(file) = &test.lcov {
        to(file, lcov(coverage, &root))?;
    }
    if let Some(file) = &test.coverage_json {
        let text = serde_json::to_string_pretty(coverage)
            .map_err(|error| Failure::new(Exit::System, error.to_string()))?;
        to(file, text)?;
    }
    Ok(())
}

fn tell(test: &PolicyTest, report: &Report) -> Exit {
    let reached = report.coverage.as_ref().map(|coverage| coverage.coverage);
    let short = test.min.zip(reached).filter(|(min, reached)| reached < min);
    if test.form.output == Output::Json {
        say_json(report);
    } else {
        let failed = failures(report);
        if !failed.is_empty() {
            say(failed.trim_end());
            say("");
        }
        coverage(report);
        say(summary(report));
    }
    if let Some((min, reached)) = short {
        complain(format!(
            "error: {reached} % of the lines are reached, {min} % are asked for"
        ));
    }
    if report.tests.is_empty() {
        complain("error: there is no test of that name");
        return Exit::No;
    }
    if report.passed() && short.is_none() {
        Exit::Done
    } else {
        Exit::No
    }
}

fn coverage(report: &Report) {
    let Some(coverage) = &report.coverage else {
        return;
    };
    let missed = uncovered(coverage);
    if !missed.is_empty() {
        let mut shown = table(&["file", "reached", "lines that nothing reached"]);
        for (file, share, lines) in missed {
            shown.add_row([file, format!("{share} %"), lines]);
        }
        say(shown);
    }
    let (reached, files) = (coverage.coverage, coverage.files.len());
    say(format!(
        "{reached} % of the lines of {files} files are reached"
    ));
}

fn summary(report: &Report) -> String {
    let mut text = format!("{} passed, {} failed", report.passed, report.failed);
    if report.errors > 0 {
        text.push_str(&format!(", {} in error", report.errors));
    }
    if report.skipped > 0 {
        text.push_str(&format!(", {} skipped", report.skipped));
    }
    format!("{text} ({:.1} s)", report.seconds)
}
