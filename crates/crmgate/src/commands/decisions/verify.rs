//! `crmgate decisions verify`: the record is verified here, not by the gate.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use crmgate_store::RawEntry;
use crmgate_store::checkpoint::{Checkpoint, Verifier};
use crmgate_store::verify::{Report, Verification};
use crmgate_store_sql::RecordFile;
use serde::Serialize;
use serde_json::Value;

use super::super::times::short_time;
use crate::cli::DecisionsVerify;
use crate::client::Api;
use crate::exit::{Exit, Failure};
use crate::json::{at, list, text};
use crate::output::{Output, say, say_json, table};

/// How many entries are fetched together.
const PAGE: usize = 500;
/// How every SQLite database begins.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Checkpoints, and what is to be said about them.
#[derive(Default)]
struct Vouchers {
    checkpoints: Vec<Checkpoint>,
    bad: Vec<String>,
    doubts: Vec<String>,
}

impl Vouchers {
    fn found(self, mut report: Report, misfiled: Vec<u64>) -> Found {
        report.uncertain.extend(self.doubts);
        report.whole &= self.bad.is_empty() && misfiled.is_empty();
        Found {
            report,
            misfiled,
            bad_checkpoints: self.bad,
        }
    }
}

/// What was found out.
#[derive(Serialize)]
pub(crate) struct Found {
    #[serde(flatten)]
    pub(crate) report: Report,
    /// Decisions that listings of the database do not find, or show as others: their entries.
    misfiled: Vec<u64>,
    /// Lines that are no checkpoints, or not signed with the key.
    bad_checkpoints: Vec<String>,
}

pub(super) async fn run(wanted: &DecisionsVerify) -> Result<Exit, Failure> {
    let api = match wanted.file {
        None => Some(Api::open(&wanted.remote)?),
        Some(_) => None,
    };
    let (key, checkpoints) = (&wanted.public_key, &wanted.checkpoints);
    let vouchers = vouchers_of(key.as_deref(), checkpoints.as_deref(), api.as_ref()).await?;
    let check = Verification::new(vouchers.checkpoints.clone());
    let (report, misfiled) = match (&wanted.file, &api) {
        (Some(file), _) => of_file(file, check).await?,
        (None, Some(api)) => {
            let report = saved(api, check, wanted.save.as_deref()).await?;
            (report, Vec::new())
        }
        (None, None) => (check.finish(), Vec::new()),
    };
    let found = vouchers.found(report, misfiled);
    if wanted.form().output == Output::Json {
        say_json(&found);
    } else {
        print(&found);
    }
    Ok(if found.report.whole {
        Exit::Done
    } else {
        Exit::No
    })
}

/// The key and the checkpoints, from files or, told as such, from the gate itself.
async fn vouchers_of(
    public_key: Option<&Path>,
    checkpoints: Option<&Path>,
    api: Option<&Api>,
) -> Result<Vouchers, Failure> {
    let mut vouchers = Vouchers::default();
    let pem = match (public_key, api) {
        (Some(file), _) => Some(read(file)?),
        (None, Some(api)) => {
            vouchers.doubts.push(
                "the key is the gate's own word: give the one you kept with `--public-key`"
                    .to_owned(),
            );
            let key = api.get("/v1/record/key").await?;
            Some(text(&key, "/pem").to_owned())
        }
        (None, None) if checkpoints.is_some() => {
            return Err(Failure::new(
                Exit::Usage,
                "checkpoints need the key that verifies them: give `--public-key FILE`",
            ));
        }
        (None, None) => None,
    };
    let Some(pem) = pem else {
        return Ok(vouchers);
    };
    let verifier =
        Verifier::new(&pem).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let lines = match (checkpoints, api) {
        (Some(file), _) => read(file)?.lines().map(ToOwned::to_owned).collect(),
        (None, Some(api)) => {
            vouchers.doubts.push(
                "the checkpoints are the gate's own: give those of a sink with `--checkpoints`"
                    .to_owned(),
            );
            own_checkpoints(api).await?
        }
        (None, None) => Vec::new(),
    };
    for (place, line) in lines.iter().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        match verifier.read(jws(line)) {
            Ok(checkpoint) => vouchers.checkpoints.push(checkpoint),
            Err(error) => vouchers.bad.push(format!("line {}: {error}", place + 1)),
        }
    }
    Ok(vouchers)
}

/// The signed text of a line: the line itself, or the `jws` of a log line.
fn jws(line: &str) -> &str {
    line.split_once("\"jws\":\"")
        .or_else(|| line.split_once("jws=\""))
        .and_then(|(_, rest)| rest.split('"').next())
        .unwrap_or(line)
}

async fn own_checkpoints(api: &Api) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    let mut after = 0;
    loop {
        let path = format!("/v1/record/checkpoints?after={after}&limit={PAGE}");
        let page = api.get(&path).await?;
        let checkpoints = list(&page, "/checkpoints").iter();
        lines.extend(checkpoints.map(|one| text(one, "/jws").to_owned()));
        match at(&page, "/next").as_u64() {
            Some(next) => after = next,
            None => return Ok(lines),
        }
    }
}

/// The record of a running gate, by its own checkpoints, each entry as `seen` leaves it.
pub(crate) async fn of_running(
    api: &Api,
    mut seen: impl FnMut(&mut RawEntry),
) -> Result<Found, Failure> {
    let vouchers = vouchers_of(None, None, Some(api)).await?;
    let check = Verification::new(vouchers.checkpoints.clone());
    let report = of_gate(api, check, |_, entry| {
        seen(entry);
        Ok(())
    });
    let report = report.await?;
    Ok(vouchers.found(report, Vec::new()))
}

async fn saved(api: &Api, check: Verification, save: Option<&Path>) -> Result<Report, Failure> {
    let mut file = save.map(private).transpose()?;
    let report = of_gate(api, check, |entry, _| {
        if let Some(file) = &mut file {
            writeln!(file, "{entry}")?;
        }
        Ok(())
    });
    let report = report.await?;
    if let Some(file) = &mut file {
        file.flush()?;
    }
    Ok(report)
}

async fn of_gate(
    api: &Api,
    mut check: Verification,
    mut seen: impl FnMut(&Value, &mut RawEntry) -> Result<(), Failure>,
) -> Result<Report, Failure> {
    let mut after = 0;
    loop {
        let path = format!("/v1/record/entries?after={after}&limit={PAGE}");
        let page = api.get(&path).await?;
        for entry in list(&page, "/entries") {
            let mut raw = parse(entry.clone())?;
            seen(entry, &mut raw)?;
            check.take(&raw);
        }
        match at(&page, "/next").as_u64() {
            Some(next) => after = next,
            None => return Ok(check.finish()),
        }
    }
}

/// A file for its owner alone: payloads will be in it.
fn private(path: &Path) -> Result<std::io::BufWriter<std::fs::File>, Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| unusable(path, &error))?;
    Ok(std::io::BufWriter::new(file))
}

fn parse(entry: Value) -> Result<RawEntry, Failure> {
    serde_json::from_value(entry).map_err(|error| {
        Failure::new(
            Exit::No,
            format!("the gate gave an entry that is none: {error}"),
        )
    })
}

/// What a file holds; of a database also the entries that its listings file wrongly.
async fn of_file(path: &Path, mut check: Verification) -> Result<(Report, Vec<u64>), Failure> {
    let file = std::fs::File::open(path).map_err(|error| unusable(path, &error))?;
    let mut file = BufReader::new(file);
    let begins = file.fill_buf().map_err(|error| unusable(path, &error))?;
    if begins.starts_with(SQLITE) {
        return of_database(path, check).await;
    }
    for (place, line) in file.lines().enumerate() {
        let line = line.map_err(|error| unusable(path, &error))?;
        if line.trim().is_empty() {
            continue;
        }
        let raw: RawEntry = serde_json::from_str(&line).map_err(|error| {
            let at = format!("`{}`, line {}", path.display(), place + 1);
            Failure::new(Exit::No, format!("{at}: this is no entry: {error}"))
        })?;
        check.take(&raw);
    }
    Ok((check.finish(), Vec::new()))
}

async fn of_database(path: &Path, mut check: Verification) -> Result<(Report, Vec<u64>), Failure> {
    let unreadable = |error: crmgate_store::StoreError| {
        Failure::new(Exit::No, format!("`{}`: {error}", path.display()))
    };
    let record = RecordFile::open(path).await.map_err(unreadable)?;
    let mut after = 0;
    let mut misfiled = Vec::new();
    loop {
        let page = record.entries(after, PAGE).await.map_err(unreadable)?;
        let before = after;
        for raw in &page {
            check.take(raw);
            after = raw.entry.position;
        }
        misfiled.extend(record.misfiled(before, after).await.map_err(unreadable)?);
        if page.len() < PAGE {
            return Ok((check.finish(), misfiled));
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("`{}`: {error}", path.display()))
}

/// Tells people.
pub(crate) fn print(found: &Found) {
    let report = &found.report;
    say(if found.report.whole {
        "WHOLE: the record is as it was written, as far as can be told"
    } else {
        "NOT WHOLE: the record is not as it was written"
    });
    let mut chains = table(&[
        "chain",
        "began",
        "entries",
        "from link",
        "last",
        "first bad",
    ]);
    for chain in &report.chains {
        chains.add_row([
            chain.chain.to_string(),
            short_time(&chain.began.to_string()),
            chain.entries.to_string(),
            chain.first_link.to_string(),
            chain.head.position.to_string(),
            chain
                .first_bad
                .map(|bad| bad.to_string())
                .unwrap_or_default(),
        ]);
    }
    say(chains);
    let payloads = &report.payloads;
    say(format!(
        "payloads: {} kept, {} erased, {} kept long enough, {} missing",
        payloads.kept, payloads.erased, payloads.expired, payloads.missing
    ));
    if let Some(first) = payloads.first_missing {
        say(format!("  fault: the payload of entry {first} is missing"));
    }
    for fault in &report.faults {
        say(format!(
            "  fault: {} (chain {})",
            fault.message, fault.chain
        ));
    }
    if report.more_faults > 0 {
        say(format!("  and {} faults more", report.more_faults));
    }
    if let Some(first) = found.misfiled.first() {
        let count = found.misfiled.len();
        say(format!(
            "  fault: listings do not find {count} decisions, or show them as others; the first is \
             entry {first}"
        ));
    }
    for bad in &found.bad_checkpoints {
        say(format!("  bad checkpoint, {bad}"));
    }
    for (word, lines) in [
        ("certain", &report.certain),
        ("not certain", &report.uncertain),
    ] {
        for line in lines {
            say(format!("{word}: {line}"));
        }
    }
}
