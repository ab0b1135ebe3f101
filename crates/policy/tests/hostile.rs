//! Every hostile policy, as a connection's layer: refused with its place and a remedy, or in error
//! when it judges, or harmless. `tests/e2e/hostile.rs` does the same to a whole crmgate.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails, fails"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::candidate::PlainCandidate;
use crmgate_domain::{
    Actor, Ambient, Candidate, ConnectionRef, Document, Effect, Judgement, Kind, Object, Operation,
    OperationId, Point, Timestamp, Views,
};
use crmgate_policy::{JudgeOptions, LoadErrors, PolicySet, Source, Sources};

/// What a file says is to be expected of it: a word, and the rest of the line.
struct Case {
    name: String,
    files: Vec<Source>,
    word: String,
    rest: String,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hostile");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|extension| extension == "rego"))
        .collect();
    found.sort();
    found.iter().map(|path| case(path)).collect()
}

fn case(path: &Path) -> Case {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut files = Vec::new();
    // A folder is a layer of its own, a file one of its files.
    let base = if path.is_dir() {
        path
    } else {
        path.parent().unwrap()
    };
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let below = path.strip_prefix(base).unwrap().to_str().unwrap();
        files.push(Source {
            path: below.to_owned(),
            text: std::fs::read_to_string(&path).unwrap(),
        });
    }
    let expect = |file: &Source| {
        Some(
            file.text
                .strip_prefix("# expect: ")?
                .lines()
                .next()?
                .to_owned(),
        )
    };
    let expected = files
        .iter()
        .find_map(expect)
        .unwrap_or_else(|| panic!("{name}"));
    let (word, rest) = expected.split_once(' ').unwrap_or((&expected, ""));
    Case {
        word: word.to_owned(),
        rest: rest.to_owned(),
        name,
        files,
    }
}

const GLOBAL: &str = "# METADATA
# title: t
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.tests.global

deny contains \"global\" if input.record.last_name == \"No\"
";

fn load(case: &Case) -> Result<PolicySet, LoadErrors> {
    let mut sources = Sources::global([("tests/global.rego".to_owned(), GLOBAL.to_owned())]);
    let layer = sources
        .connections
        .entry("acme".parse().unwrap())
        .or_default();
    layer.files.clone_from(&case.files);
    PolicySet::load(&sources)
}

struct Still;

impl Ambient for Still {
    fn now(&self) -> Timestamp {
        Timestamp::constant(1_773_325_800, 0)
    }

    fn random(&self) -> [u8; 16] {
        [7; 16]
    }
}

fn judge(set: &PolicySet) -> Judgement {
    let operation = Operation {
        id: OperationId::fresh(&Still),
        kind: Kind::Create,
        requested: None,
        point: Point::Gateway,
        at: Still.now(),
        connection: ConnectionRef {
            name: "acme".parse().unwrap(),
            system: "test".into(),
            org: None,
        },
        object: "contact".into(),
        native_object: "Contact".into(),
        record_id: None,
        actor: Actor {
            id: "u".into(),
            scopes: Some(vec!["s".into()]),
            ..Actor::default()
        },
        request: None,
        purpose: None,
        batch: None,
        name: None,
        arguments: None,
        relation: None,
    };
    let mut record = Object::new();
    record.set("last_name", Document::from("Hostile"));
    let views = Views {
        record: Some(record),
        native: Some(Object::new()),
        ..Views::default()
    };
    let candidate: Arc<dyn Candidate> = Arc::new(PlainCandidate::new(views));
    let options = JudgeOptions {
        time_limit: Duration::from_millis(400),
        ..JudgeOptions::default()
    };
    set.judge(&operation, &candidate, &options).judgement
}

/// What is wrong with the outcome; `None` when it is as the file says.
fn wrong(case: &Case) -> Option<String> {
    let rest = case.rest.as_str();
    let set = match (load(case), case.word.as_str()) {
        (Err(errors), "refused") => return refused(case, &errors),
        (Err(errors), _) => return Some(format!("was refused: {errors}")),
        (Ok(_), "refused") => return Some("was loaded".into()),
        (Ok(set), _) => set,
    };
    let judged = judge(&set);
    let told = format!("{judged:?}");
    let right = match case.word.as_str() {
        "allow" => judged.effect == Effect::Allow && told.len() < 100_000,
        "deny" => {
            let most: usize = rest.parse().unwrap();
            let bounded = judged
                .reasons
                .iter()
                .all(|reason| reason.message.len() <= 2_010);
            judged.effect == Effect::Deny && judged.reasons.len() <= most && bounded
        }
        // A quick machine comes to a bound before the time is over.
        "slow" => {
            let ends = [
                "did not end within",
                "beyond its bound",
                "in one evaluation",
            ];
            judged.effect == Effect::Error && ends.iter().any(|end| told.contains(end))
        }
        "error" => {
            let messages = judged.errors.iter().map(|error| error.message.as_str());
            judged.effect == Effect::Error
                && messages.clone().any(|message| message.contains(rest))
                && messages.clone().all(|message| message.len() < 4_000)
        }
        other => panic!("{}: `{other}` is nothing to expect", case.name),
    };
    let shown: String = told.chars().take(600).collect();
    (!right).then_some(shown)
}

/// A refusal names the file, its line where the case says which, and how to mend it.
fn refused(case: &Case, errors: &LoadErrors) -> Option<String> {
    let (line, part) = match case.rest.split_once(' ') {
        Some((line, part)) if line.parse::<u32>().is_ok() => (line.parse().ok(), part),
        _ => (case.rest.parse().ok(), case.rest.as_str()),
    };
    let part = if line.is_some() && part == case.rest {
        ""
    } else {
        part
    };
    let hit = errors.all().iter().find(|fault| {
        fault.to_string().contains(part)
            && (line.is_none() || fault.line == line)
            && fault.connection.is_some()
            && fault.file.starts_with("connections/acme")
    });
    match hit {
        None => Some(errors.to_string().chars().take(600).collect()),
        // The engine's own messages say what is wrong, others what was expected, or a remedy.
        Some(hit)
            if hit.remedy.is_none()
                && !hit.message.contains("expected")
                && !matches!(hit.code, "syntax" | "data" | "unsafe") =>
        {
            Some(format!("has no remedy: {hit}"))
        }
        Some(_) => None,
    }
}

#[test]
fn every_hostile_policy_comes_out_as_its_file_says() {
    let work = || {
        let all = cases();
        assert!(all.len() >= 60, "{}", all.len());
        let mut faults = Vec::new();
        for case in &all {
            let started = std::time::Instant::now();
            if let Some(wrong) = wrong(case) {
                faults.push(format!("{}: {}\n    {wrong}", case.name, case.word));
            }
            // One that takes this long took far more than its time.
            let took = started.elapsed();
            assert!(
                took < Duration::from_secs(20),
                "{} took {took:?}",
                case.name
            );
        }
        assert!(
            faults.is_empty(),
            "{} wrong\n{}",
            faults.len(),
            faults.join("\n")
        );
    };
    // As the threads that judge in a crmgate.
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    thread.spawn(work).unwrap().join().unwrap();
}
