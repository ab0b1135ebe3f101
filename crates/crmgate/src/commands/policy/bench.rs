//! `crmgate policy bench`: how long judging takes.

use std::path::Path;
use std::time::{Duration, Instant};

use crmgate_authoring::bench::{Bench, Compared, Load, Subject, compare, measure};
use crmgate_authoring::given::{self, Missing};
use crmgate_authoring::{Given, Suite};
use crmgate_policy::{LoadErrors, PolicySet, Sources, analysis, read_folder};

use super::{broken, inputs, load, systems};
use crate::ambient;
use crate::cli::PolicyBench;
use crate::exit::{Exit, Failure};
use crate::output::{Bar, Output, complain, say, say_json, table};

pub(super) async fn run(bench: &PolicyBench) -> Result<Exit, Failure> {
    let output = bench.form.output;
    if cfg!(debug_assertions) {
        complain(
            "note: this build is not optimized; judging takes several times as long as it would",
        );
    }
    let baseline = bench.baseline.as_deref().map(baseline).transpose()?;
    let (sources, set) = match load(&bench.dir).await? {
        Ok(loaded) => loaded,
        Err(errors) => return Ok(broken(&errors, output)),
    };
    let all = match given(bench, &sources, &set)? {
        Ok(all) => all,
        Err(errors) => return Ok(broken(&errors, output)),
    };
    let time = Duration::from_secs(bench.seconds);
    let dir = bench.dir.clone();
    let measured = tokio::task::spawn_blocking(move || measured(&dir, &sources, &set, &all, time));
    let measured = measured
        .await
        .map_err(|error| Failure::new(Exit::System, error.to_string()))??;
    tell(bench, &measured, baseline.as_ref());
    Ok(Exit::Done)
}

fn measured(
    dir: &Path,
    sources: &Sources,
    set: &PolicySet,
    all: &[Given],
    time: Duration,
) -> Result<Bench, Failure> {
    let unusable = |fault: String| Failure::new(Exit::Config, fault);
    let loading = loading(dir, sources).map_err(|errors| unusable(errors.to_string()))?;
    let mut sets = Vec::with_capacity(all.len());
    for given in all {
        let own = (!given.params.is_empty()).then(|| set.with_params(&given.params));
        let own = own.transpose();
        sets.push(own.map_err(|fault| unusable(fault.to_string()))?);
    }
    let subject = |(given, own)| {
        let own: &Option<PolicySet> = own;
        Subject {
            given,
            set: own.as_ref().unwrap_or(set),
        }
    };
    let subjects: Vec<Subject<'_>> = all.iter().zip(&sets).map(subject).collect();
    let mut bar = Bar::new("measuring");
    let whole = |time: Duration| usize::try_from(time.as_millis()).unwrap_or(usize::MAX);
    Ok(measure(sources, loading, &subjects, time, &mut |spent| {
        bar.at(whole(spent).min(whole(time)), whole(time));
    }))
}

/// The inputs that the command line names, or every data case of the folder.
fn given(
    bench: &PolicyBench,
    sources: &Sources,
    set: &PolicySet,
) -> Result<Result<Vec<Given>, LoadErrors>, Failure> {
    let systems = systems::all();
    let missing = Missing {
        at: ambient::system().now(),
        systems: &systems,
    };
    if !bench.inputs.is_empty() {
        let all = bench
            .inputs
            .iter()
            .map(|name| inputs::read(name, None, &missing));
        return all.collect::<Result<_, _>>().map(Ok);
    }
    let suite = match Suite::load(&bench.dir, sources.clone(), set) {
        Ok(suite) => suite,
        Err(errors) => return Ok(Err(errors)),
    };
    let Some(system) = systems.first() else {
        return Ok(Ok(Vec::new()));
    };
    let wanted = |name: &str| {
        bench
            .cases
            .as_ref()
            .is_none_or(|cases| cases.is_match(name))
    };
    let cases = suite.cases().filter(|(name, _)| wanted(name));
    let all: Vec<Given> = cases
        .map(|(name, case)| given::of_case(&name, case, system))
        .collect();
    if all.is_empty() {
        let message = "there is nothing to measure: no data case fits; give `--input FILE`";
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(Ok(all))
}

/// How long it takes until policies can judge: the best of three, because the first one waits for
/// the disk.
fn loading(dir: &Path, sources: &Sources) -> Result<Load, LoadErrors> {
    let best = |work: &dyn Fn() -> Result<(), LoadErrors>| -> Result<f64, LoadErrors> {
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let started = Instant::now();
            work()?;
            best = best.min(started.elapsed());
        }
        Ok((best.as_secs_f64() * 1e7).round() / 10.0)
    };
    let policies = sources
        .global
        .iter()
        .chain(sources.connections.values().flat_map(|it| &it.files));
    Ok(Load {
        read: best(&|| read_folder(dir).map(drop))?,
        parse: best(&|| {
            for source in policies.clone().filter(|it| it.path.ends_with(".rego")) {
                analysis::parse(source)?;
            }
            Ok(())
        })?,
        load: best(&|| PolicySet::load(sources).map(drop))?,
        bytes: policies.clone().map(|it| it.text.len()).sum(),
    })
}

fn baseline(file: &Path) -> Result<Bench, Failure> {
    let name = file.display().to_string();
    serde_json::from_str(&inputs::text(&name)?).map_err(|error| {
        let expected = "expected what `policy bench --output json` told";
        Failure::new(Exit::Usage, format!("`{name}`: {error}; {expected}"))
    })
}

fn tell(bench: &PolicyBench, measured: &Bench, baseline: Option<&Bench>) {
    let comparison = baseline.map(|baseline| compare(baseline, measured));
    if bench.form.output == Output::Json {
        match &comparison {
            None => say_json(measured),
            Some(comparison) => say_json(comparison),
        }
        return;
    }
    if let Some(comparison) = &comparison {
        compared("judgement", &comparison.inputs, bench.top);
        compared("package", &comparison.packages, bench.top);
        compared("rule", &comparison.rules, bench.top);
        return;
    }
    packages(measured, bench.top);
    rules(measured, bench.top);
    judgements(measured, bench.top);
    let load = &measured.load;
    say(format!(
        "reading {} KiB took {:.1} ms, parsing {:.1} ms, loading as a whole {:.1} ms",
        load.bytes / 1024,
        load.read / 1e3,
        load.parse / 1e3,
        load.load / 1e3
    ));
}

fn micros(time: f64) -> String {
    format!("{time:.1}")
}

fn packages(measured: &Bench, top: usize) {
    let mut shown = table(&[
        "package",
        "median µs",
        "p99 µs",
        "share",
        "governs",
        "slowest for",
    ]);
    for it in measured.packages.iter().take(top) {
        shown.add_row([
            it.package.clone(),
            micros(it.times.median),
            micros(it.times.p99),
            format!("{:.1} %", it.share),
            it.governs.to_string(),
            it.worst.clone(),
        ]);
    }
    say(shown);
}

fn rules(measured: &Bench, top: usize) {
    let mut shown = table(&["rule", "at", "median µs", "p99 µs", "slowest for"]);
    for it in measured.rules.iter().take(top) {
        shown.add_row([
            it.rule.clone(),
            format!("{}:{}", it.file, it.line),
            micros(it.times.median),
            micros(it.times.p99),
            it.worst.clone(),
        ]);
    }
    say(shown);
}

fn judgements(measured: &Bench, top: usize) {
    let mut shown = table(&["judgement", "effect", "median µs", "p99 µs", "runs"]);
    for it in measured.inputs.iter().take(top) {
        shown.add_row([
            it.name.clone(),
            it.effect.clone(),
            micros(it.times.median),
            micros(it.times.p99),
            it.times.runs.to_string(),
        ]);
    }
    say(shown);
    let (shown, all) = (measured.inputs.len().min(top), measured.inputs.len());
    if shown < all {
        say(format!(
            "the {shown} slowest of {all} judgements; `--top N` shows more"
        ));
    }
}

fn compared(what: &str, all: &[Compared], top: usize) {
    let mut shown = table(&[what, "before µs", "now µs", "ratio"]);
    let time = |time: Option<f64>| time.map_or_else(|| "–".to_owned(), micros);
    for it in all.iter().take(top) {
        let ratio = it
            .ratio
            .map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        shown.add_row([it.name.clone(), time(it.before), time(it.now), ratio]);
    }
    say(shown);
}
