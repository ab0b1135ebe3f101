//! `crmgate policy bundle`: OPA bundles, built, verified, shown.

use std::path::Path;

use crmgate_app::PolicyChecker as _;
use crmgate_bundle::{
    Algorithm, BuildOptions, Bundle as Opened, BundleError, Limits, Placed, Root, Signing,
    SigningKey, Trust, Verification, VerificationKey, build, combine, open,
};
use crmgate_domain::ConnectionName;
use crmgate_policy::{LoadErrors, PolicySet, Source, Sources, read_folder};
use serde_json::{Value, json};

use super::broken;
use crate::ambient;
use crate::cli::{Bundle, BundleBuild, BundleShow, BundleVerify};
use crate::exit::{Exit, Failure};
use crate::output::{Output, patiently, say, say_json, table};
use crate::wiring::child::ChildChecker;

pub(super) async fn run(command: Bundle) -> Result<Exit, Failure> {
    match command {
        Bundle::Build(build) => write(&build).await,
        Bundle::Verify(verify) => check(&verify).await,
        Bundle::Show(show) => tell(&show),
    }
}

async fn write(arguments: &BundleBuild) -> Result<Exit, Failure> {
    let output = arguments.form.output;
    let sources = match read_folder(&arguments.dir) {
        Ok(sources) => sources,
        Err(errors) => return Ok(broken(&errors, output)),
    };
    // What does not load is not handed out.
    if let Err(errors) = load(&sources).await? {
        return Ok(broken(&errors, output));
    }
    let files = layer(arguments, &sources)?;
    let text = arguments.key.as_deref().map(secret).transpose()?;
    let algorithm = algorithm(&arguments.signature.algorithm)?;
    let key = text.as_deref().map(|text| SigningKey::new(algorithm, text));
    let key = key.transpose().map_err(|error| of_key(&error))?;
    let signing = key
        .as_ref()
        .zip(text.as_deref())
        .map(|(key, text)| Signing {
            key,
            text,
            keyid: &arguments.signature.keyid,
            scope: &arguments.signature.scope,
            issued_at: Some(ambient::system().now().as_second()),
        });
    let roots = arguments
        .roots
        .iter()
        .map(|root| Root::parse(root))
        .collect();
    let built = build(
        files,
        &BuildOptions {
            revision: arguments.revision.as_deref(),
            roots: (!arguments.roots.is_empty()).then_some(roots),
            signing,
        },
    );
    let built = match built {
        Ok(built) => built,
        Err(error) => return Ok(refused(&arguments.file, &error, output)),
    };
    if arguments.connection.is_none()
        && let Err(errors) = alone(&arguments.file, &built.bundle)
    {
        return Ok(broken(&errors, output));
    }
    std::fs::write(&arguments.file, &built.archive).map_err(|error| {
        let message = format!("`{}` cannot be written: {error}", arguments.file.display());
        Failure::new(Exit::System, message)
    })?;
    let signed = if arguments.key.is_some() {
        format!("signed by `{}`", arguments.signature.keyid)
    } else {
        "unsigned".to_owned()
    };
    match output {
        Output::Json => say_json(&about(&arguments.file, &built.bundle)),
        Output::Table => say(format!(
            "{}: {} files, {} bytes, revision `{}`, {signed}",
            arguments.file.display(),
            built.bundle.files.len(),
            built.archive.len(),
            built.bundle.manifest.revision,
        )),
    }
    Ok(Exit::Done)
}

/// The files of the layer that was asked for.
fn layer<'a>(arguments: &BundleBuild, sources: &'a Sources) -> Result<&'a [Source], Failure> {
    let Some(name) = &arguments.connection else {
        return Ok(&sources.global);
    };
    let name: ConnectionName = name
        .parse()
        .map_err(|error| Failure::new(Exit::Usage, format!("--connection: {error}")))?;
    let own = sources.connections.get(&name).ok_or_else(|| {
        let folder = arguments.dir.join("connections").join(name.as_str());
        Failure::new(
            Exit::Usage,
            format!("there is no folder `{}`", folder.display()),
        )
    })?;
    Ok(&own.files)
}

async fn check(arguments: &BundleVerify) -> Result<Exit, Failure> {
    let output = arguments.form.output;
    let archive = read(&arguments.file)?;
    let mut verification = Verification::default();
    if let Some(file) = &arguments.key {
        let algorithm = algorithm(&arguments.signature.algorithm)?;
        let key = VerificationKey::new(algorithm, &secret(file)?, None)
            .map_err(|error| of_key(&error))?;
        verification
            .keys
            .insert(arguments.signature.keyid.clone(), key);
        verification.keyid = Some(arguments.signature.keyid.clone());
        verification.scope = Some(arguments.signature.scope.clone());
    }
    let trust = if arguments.key.is_some() {
        Trust::Signed(&verification)
    } else {
        Trust::Unsigned
    };
    let bundle = match open(&archive, trust, &Limits::default()) {
        Ok(bundle) => bundle,
        Err(error) => return Ok(refused(&arguments.file, &error, output)),
    };
    let loaded = match alone(&arguments.file, &bundle) {
        Ok(sources) => load(&sources).await?,
        Err(errors) => Err(errors),
    };
    if let Err(errors) = loaded {
        return Ok(broken(&errors, output));
    }
    match output {
        Output::Json => say_json(&about(&arguments.file, &bundle)),
        Output::Table => {
            for warning in &bundle.warnings {
                say(format!("warning: {warning}"));
            }
            let who = bundle.signed_by.as_deref();
            let who = who.map_or("unsigned".to_owned(), |id| format!("signed by `{id}`"));
            say(format!(
                "{}: sound, {who}, revision `{}`",
                arguments.file.display(),
                bundle.manifest.revision
            ));
        }
    }
    Ok(Exit::Done)
}

/// The bundle as the whole of the global layer, under the name of its file.
fn alone(file: &Path, bundle: &Opened) -> Result<Sources, LoadErrors> {
    let name = file.file_stem().unwrap_or_default();
    let name = name.to_string_lossy().replace(".tar", "");
    let placed = Placed {
        name: &name,
        connection: None,
        bundle,
    };
    combine(Sources::default(), &[placed])
}

fn tell(arguments: &BundleShow) -> Result<Exit, Failure> {
    let output = arguments.form.output;
    let bundle = match open(&read(&arguments.file)?, Trust::Anyone, &Limits::default()) {
        Ok(bundle) => bundle,
        Err(error) => return Ok(refused(&arguments.file, &error, output)),
    };
    if output == Output::Json {
        say_json(&about(&arguments.file, &bundle));
        return Ok(Exit::Done);
    }
    say(format!("revision `{}`", bundle.manifest.revision));
    say(format!("roots {}", bundle.manifest.roots));
    for warning in &bundle.warnings {
        say(format!("warning: {warning}"));
    }
    let mut files = table(&["file", "bytes"]);
    for file in &bundle.files {
        files.add_row([format!("/{}", file.path), file.text.len().to_string()]);
    }
    say(files);
    say("whether it is signed, and by whom, was not asked: see `policy bundle verify`");
    Ok(Exit::Done)
}

async fn load(sources: &Sources) -> Result<Result<(), LoadErrors>, Failure> {
    let checker = ChildChecker::new()?;
    let checked = patiently("loading policies", checker.check(sources)).await;
    Ok(checked.and_then(|()| PolicySet::load(sources).map(drop)))
}

fn about(file: &Path, bundle: &Opened) -> Value {
    let files: Vec<Value> = bundle
        .files
        .iter()
        .map(|file| json!({"path": format!("/{}", file.path), "bytes": file.text.len()}))
        .collect();
    let roots: Vec<String> = bundle
        .manifest
        .roots
        .iter()
        .map(ToString::to_string)
        .collect();
    json!({
        "sound": true, "file": file.display().to_string(), "revision": bundle.manifest.revision,
        "roots": roots, "metadata": bundle.manifest.metadata, "signed_by": bundle.signed_by,
        "sha256": bundle.digest, "warnings": bundle.warnings, "files": files,
    })
}

fn refused(file: &Path, error: &BundleError, output: Output) -> Exit {
    let file = file.display().to_string();
    match output {
        Output::Json => say_json(&json!({
            "sound": false, "file": file,
            "faults": [{"code": error.code(), "message": error.to_string()}],
        })),
        Output::Table => say(format!("{file}: {error}")),
    }
    Exit::No
}

fn algorithm(name: &str) -> Result<Algorithm, Failure> {
    name.parse()
        .map_err(|problem| Failure::new(Exit::Usage, format!("--algorithm: {problem}")))
}

fn of_key(error: &BundleError) -> Failure {
    Failure::new(Exit::Config, format!("--key: {error}"))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| {
        Failure::new(
            Exit::System,
            format!("`{}` cannot be read: {error}", file.display()),
        )
    })
}

/// A key as text, without the line break that editors end a file with: as the gate reads it.
fn secret(file: &Path) -> Result<String, Failure> {
    let text = String::from_utf8(read(file)?)
        .map_err(|_| Failure::new(Exit::Config, format!("`{}` is not UTF-8", file.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
