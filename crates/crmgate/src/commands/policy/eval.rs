//! `crmgate policy eval`: one input, judged and explained.

use crmgate_authoring::given::{self, Missing};
use crmgate_authoring::{Given, explained};
use crmgate_domain::{Document, Effect, Object};
use crmgate_policy::PolicySet;

use super::{broken, inputs, load, revision, systems};
use crate::ambient;
use crate::cli::PolicyEval;
use crate::client::Api;
use crate::exit::{Exit, Failure};
use crate::output::{Output, say, say_json};

pub(super) async fn run(eval: &PolicyEval) -> Result<Exit, Failure> {
    let output = eval.remote.form.output;
    let systems = systems::all();
    let missing = Missing {
        at: eval.at.unwrap_or_else(|| ambient::system().now()),
        systems: &systems,
    };
    let mut given = match (&eval.input, &eval.decision) {
        (Some(input), _) => {
            let system = inputs::system(&systems, eval.system.as_deref())?;
            inputs::read(input, system, &missing)?
        }
        (None, Some(id)) => {
            let answer = Api::open(&eval.remote)?
                .get(&format!("v1/decisions/{id}"))
                .await?;
            let answer = Document::parse(answer.to_string().as_bytes())
                .map_err(|error| Failure::new(Exit::Unreachable, error.to_string()))?;
            given::decision(id, &answer, &missing)?
        }
        (None, None) => return Err(Failure::new(Exit::Usage, "give `--input` or `--decision`")),
    };
    if let Some(at) = eval.at {
        given.operation.at = at;
    }
    if let Some(connection) = &eval.connection {
        given.operation.connection.name = connection.clone();
    }
    let loaded = match revision::named(&eval.dir) {
        Some(name) => revision::load(&Api::open(&eval.remote)?, name, &mut given.notes).await?,
        None => load(&eval.dir).await?,
    };
    let (sources, set) = match loaded {
        Ok(loaded) => loaded,
        Err(errors) => return Ok(broken(&errors, output)),
    };
    known(&set, eval.package.as_deref())?;
    if let Some(file) = &eval.params {
        let file = file.display().to_string();
        given.params = params(&file)?;
    }
    let set = with_params(set, &mut given)?;
    let (_, mut explanation) =
        set.explain(&sources, &given.operation, &given.candidate, &given.options);
    if output == Output::Json {
        if let Some(only) = &eval.package {
            explanation.packages.retain(|it| it.package == *only);
            explanation.silent.retain(|it| it.package == *only);
        }
        say_json(&explanation);
    } else {
        let text = explained::text(&given, &explanation, eval.package.as_deref());
        say(text.trim_end());
    }
    Ok(match explanation.judgement.effect {
        Effect::Allow => Exit::Done,
        Effect::Deny => Exit::No,
        Effect::RequireApproval => Exit::Held,
        Effect::Error => Exit::NoJudgement,
    })
}

/// A package that is asked for must be there.
fn known(set: &PolicySet, package: Option<&str>) -> Result<(), Failure> {
    let Some(name) = package else { return Ok(()) };
    let names: Vec<&str> = set.packages().map(|(_, it)| it.name.as_str()).collect();
    if names.contains(&name) {
        return Ok(());
    }
    let hint = crmgate_policy::cases::nearest(name, names)
        .map(|meant| format!("; did you mean `{meant}`?"))
        .unwrap_or_default();
    let message = format!("there is no package `{name}`{hint}");
    Err(Failure::new(Exit::Usage, message))
}

/// Parameters of a file shaped as `params.yaml`.
fn params(file: &str) -> Result<Object, Failure> {
    let fault = |problem: String| Failure::new(Exit::Usage, format!("`{file}`: {problem}"));
    given::object(&inputs::text(file)?).map_err(fault)
}

/// The policies with the parameters that the input brings.
pub(super) fn with_params(set: PolicySet, given: &mut Given) -> Result<PolicySet, Failure> {
    if given.params.is_empty() {
        return Ok(set);
    }
    given
        .notes
        .push("judged with other parameters; those that connections set are left out".to_owned());
    set.with_params(&given.params)
        .map_err(|fault| Failure::new(Exit::Usage, fault.to_string()))
}
