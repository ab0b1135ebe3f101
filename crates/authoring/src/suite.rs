//! Tests and cases of a folder of policies: found, run, counted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crmgate_domain::ConnectionName;
use crmgate_policy::cases::{self, Case, CaseReport, Prepared, System};
use crmgate_policy::coverage::Tap;
use crmgate_policy::folder::read_tests;
use crmgate_policy::trial::{Outcome, Trial, Trials};
use crmgate_policy::{Coverage, LoadError, LoadErrors, PolicySet, Source, Sources};
use regex::Regex;

mod run;

pub use run::{Difference, Kind, Report, Stop, Test, Verdict};

/// Folders inside one another.
const MAX_DEPTH: usize = 8;

/// Which tests are run, and how.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Only those whose `file::name` it matches.
    pub filter: Option<Regex>,
    /// Only those of this pack.
    pub pack: Option<String>,
    /// Whether to find out which lines are reached.
    pub coverage: bool,
}

/// Everything that can be run.
#[derive(Debug)]
pub struct Suite {
    /// The policies and what they are judged by, by pack; cases of a connection have its own.
    sets: BTreeMap<Home, PolicySet>,
    sources: Sources,
    trials: Trials,
    files: Vec<CaseFile>,
}

/// By which policies cases are judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Home {
    /// A pack alone, with the helpers.
    Pack(String),
    /// All that a connection meets.
    Connection(ConnectionName),
}

/// One file of cases.
#[derive(Debug)]
struct CaseFile {
    /// As messages name it.
    path: String,
    home: Home,
    cases: Vec<Case>,
}

impl Suite {
    /// Reads the tests and cases beside policies that load.
    ///
    /// # Errors
    /// Every fault of their files, and of packs that do not stand alone.
    pub fn load(dir: &Path, sources: Sources, set: &PolicySet) -> Result<Self, LoadErrors> {
        let mut faults = Vec::new();
        let mut files = Vec::new();
        for path in case_files(dir).map_err(|error| {
            LoadErrors::from(LoadError::file(
                "unreadable",
                &dir.display().to_string(),
                error.to_string(),
            ))
        })? {
            match read_cases(dir, &path) {
                Ok(file) => files.push(file),
                Err(fault) => faults.push(fault),
            }
        }
        let trials = match read_tests(dir).and_then(|tests| Trials::load(set, &sources, &tests)) {
            Ok(trials) => Some(trials),
            Err(errors) => {
                faults.extend(errors.all().iter().cloned());
                None
            }
        };
        let mut sets = BTreeMap::new();
        for file in &files {
            if sets.contains_key(&file.home) {
                continue;
            }
            match policies(&sources, &file.home) {
                Ok(set) => _ = sets.insert(file.home.clone(), set),
                Err(errors) => faults.extend(errors.all().iter().cloned()),
            }
        }
        match (trials, LoadErrors::new(faults)) {
            (_, Some(errors)) => Err(errors),
            (Some(trials), None) => Ok(Self {
                sets,
                sources,
                trials,
                files,
            }),
            (None, None) => Err(LoadError::file("test", "tests", "could not be loaded").into()),
        }
    }

    /// Runs what is wanted, cases once for every system. `progress` is told how many are done, of
    /// how many.
    pub fn run(
        &self,
        wanted: &Wanted,
        systems: &[System],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Report {
        let started = Instant::now();
        let trials: Vec<&Trial> = self.trials.all().iter().collect();
        let trials: Vec<&Trial> = trials
            .into_iter()
            .filter(|it| wanted.takes(&it.file, &it.name))
            .collect();
        let cases: Vec<(&CaseFile, &Case)> = self
            .files
            .iter()
            .flat_map(|file| file.cases.iter().map(move |case| (file, case)))
            .filter(|(file, case)| wanted.takes(&file.path, &case.name))
            .collect();
        let all = trials.len() + cases.len();
        let tap = wanted.coverage.then(Tap::covering);
        let mut tests = Vec::with_capacity(all);
        for trial in trials {
            tests.push(self.trial(trial, tap.as_ref()));
            progress(tests.len(), all);
        }
        for (done, (file, case)) in (tests.len() + 1..).zip(cases) {
            self.case(file, case, systems, tap.as_ref(), &mut tests);
            progress(done, all);
        }
        let coverage = tap.map(|tap| self.covered(tap.done(), wanted));
        Report::new(tests, started.elapsed(), coverage.as_ref())
    }

    fn trial(&self, trial: &Trial, tap: Option<&Tap>) -> Test {
        let started = Instant::now();
        let tried = self.trials.run(trial, tap);
        let mut test = Test::new(Kind::Rego, &trial.file, &trial.name);
        test.line = Some(trial.line);
        test.seconds = started.elapsed().as_secs_f64();
        test.prints = tried.prints;
        match tried.outcome {
            Outcome::Passed => {}
            Outcome::Skipped => test.verdict = Verdict::Skipped,
            Outcome::Error { message } => {
                test.verdict = Verdict::Error;
                test.message = Some(message);
            }
            Outcome::Failed { at } => {
                test.verdict = Verdict::Failed;
                test.stop = at.map(|(at, saw)| Stop { at, saw });
            }
        }
        test
    }

    fn case(
        &self,
        file: &CaseFile,
        case: &Case,
        systems: &[System],
        tap: Option<&Tap>,
        tests: &mut Vec<Test>,
    ) {
        let Some(set) = self.sets.get(&file.home) else {
            return;
        };
        let prepared = Prepared::new(set, case);
        for system in systems {
            let mut system = system.clone();
            if let Home::Connection(name) = &file.home {
                system.connection = name.clone();
            }
            let started = Instant::now();
            let report: CaseReport = prepared.report(&system, tap);
            let mut test = Test::new(Kind::Case, &file.path, &case.name);
            test.line = case.line;
            test.seconds = started.elapsed().as_secs_f64();
            test.system = Some(system.name);
            if !report.passed() {
                test.verdict = Verdict::Failed;
                test.differences = report.differences.iter().map(Difference::from).collect();
                test.said = report.said;
            }
            tests.push(test);
        }
    }

    /// The lines of the policies that were asked for, those that nothing came near included.
    fn covered(&self, mut coverage: Coverage, wanted: &Wanted) -> Coverage {
        coverage.complete(&policy_files(&self.sources));
        coverage.retain(|file| {
            let own = wanted.pack.as_deref();
            !file.ends_with("_test.rego") && own.is_none_or(|pack| run::pack_of(file) == pack)
        });
        coverage
    }

    /// The cases with the names by which they are called on the command line.
    pub fn cases(&self) -> impl Iterator<Item = (String, &Case)> {
        self.files.iter().flat_map(|file| {
            let named = file.cases.iter();
            named.map(|case| (format!("{}#{}", file.path, case.name), case))
        })
    }
}

impl Wanted {
    fn takes(&self, file: &str, name: &str) -> bool {
        let named = format!("{file}::{name}");
        self.filter.as_ref().is_none_or(|it| it.is_match(&named))
            && self
                .pack
                .as_deref()
                .is_none_or(|it| run::pack_of(file) == it)
    }
}

fn policies(sources: &Sources, home: &Home) -> Result<PolicySet, LoadErrors> {
    match home {
        Home::Pack(pack) => PolicySet::load(&cases::pack(sources, pack)),
        Home::Connection(_) => PolicySet::load(sources),
    }
}

fn policy_files(sources: &Sources) -> Vec<Source> {
    let rego = |file: &&Source| file.path.ends_with(".rego");
    let mut files: Vec<Source> = sources.global.iter().filter(rego).cloned().collect();
    for (name, own) in &sources.connections {
        files.extend(own.files.iter().filter(rego).map(|file| Source {
            path: format!("connections/{name}/{}", file.path),
            text: file.text.clone(),
        }));
    }
    files
}

fn read_cases(dir: &Path, file: &Path) -> Result<CaseFile, LoadError> {
    let below = file.strip_prefix(dir).unwrap_or(file);
    let parts: Vec<String> = below
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    let path = parts.join("/");
    let text = std::fs::read_to_string(file)
        .map_err(|error| LoadError::file("unreadable", &path, error.to_string()))?;
    let home = match parts.as_slice() {
        [first, name, ..] if first == "connections" => match name.parse() {
            Ok(name) => Home::Connection(name),
            Err(error) => {
                let error: crmgate_domain::ids::BadConnectionName = error;
                return Err(LoadError::file("connection", &path, error.to_string()));
            }
        },
        [first, ..] => Home::Pack(first.clone()),
        [] => Home::Pack(String::new()),
    };
    let cases = cases::parse(&path, &text)?;
    Ok(CaseFile { path, home, cases })
}

/// Every `cases/*.yaml` below the folder, sorted.
fn case_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![(dir.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let yaml = path
                .extension()
                .is_some_and(|it| it == "yaml" || it == "yml");
            if path.is_dir() {
                if depth < MAX_DEPTH {
                    open.push((path, depth + 1));
                }
            } else if folder.ends_with("cases") && yaml {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
