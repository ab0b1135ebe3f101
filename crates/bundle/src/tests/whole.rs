//! From a folder to a bundle and back.

use std::path::Path;

use crmgate_domain::ConnectionName;
use crmgate_policy::{PolicySet, Sources, read_folder};

use super::{POLICY, layer, opened, source};
use crate::{BuildOptions, Bundle, Limits, Placed, Root, Trust, build, combine, open};

fn placed<'a>(name: &'a str, bundle: &'a Bundle) -> Placed<'a> {
    Placed {
        name,
        connection: None,
        bundle,
    }
}

fn load(folder: Sources, bundles: &[Placed<'_>]) -> Result<PolicySet, String> {
    let sources = combine(folder, bundles).map_err(|errors| errors.to_string())?;
    PolicySet::load(&sources).map_err(|errors| errors.to_string())
}

#[test]
fn what_is_built_opens_and_loads_as_the_folder_does() {
    let folder = read_folder(Path::new("../../policies")).unwrap();
    let before = PolicySet::load(&folder).unwrap();
    let built = build(&folder.global, &BuildOptions::default()).unwrap();
    assert!(built.bundle.warnings.is_empty());
    assert_eq!(
        built.archive,
        build(&folder.global, &BuildOptions::default())
            .unwrap()
            .archive,
        "equal files make equal bundles"
    );
    let bundle = open(&built.archive, Trust::Unsigned, &Limits::default()).unwrap();
    let after = load(Sources::default(), &[placed("central", &bundle)]).unwrap();
    let names = |set: &PolicySet| -> Vec<String> {
        let names = set.packages().map(|(_, package)| package.name.clone());
        names.collect()
    };
    assert_eq!(names(&before), names(&after));
    assert!(!names(&after).is_empty());
    let roots = bundle.manifest.roots.to_string();
    assert!(roots.contains("`crm/sales`, "), "{roots}");
    assert!(roots.contains("`params/sales`"), "{roots}");
    // Two layers' worth of the same bundle can't stand side by side.
    let clash = load(folder, &[placed("central", &bundle)]).unwrap_err();
    assert!(
        clash.contains("sales/discounts.rego: package `crm.sales.discounts` lies in the root"),
        "{clash}"
    );
}

#[test]
fn messages_name_the_bundle() {
    let bundle = opened(&[
        ("sales/a.rego", "package crm.sales.a\n\ndeny contains"),
        ("sales/params.yaml", "sales: {a: {b: 1}}"),
        ("x/params.schema.json", "{}"),
        ("y/data.yaml", "a: 1\nb: [\n"),
    ]);
    // Data that does not parse is found when the bundle is opened: its roots depend on it.
    assert!(
        bundle
            .unwrap_err()
            .to_string()
            .starts_with("/y/data.yaml: not YAML")
    );
    let bundle = opened(&[
        ("sales/a.rego", "package crm.sales.a\n\ndeny contains"),
        ("sales/params.yaml", "sales: {a: {b: 1}}"),
        ("x/params.schema.json", "{}"),
        ("x/thresholds.json", "{}"),
    ])
    .unwrap();
    let told = load(Sources::default(), &[placed("central", &bundle)]).unwrap_err();
    assert!(told.contains("central:/sales/a.rego:"), "{told}");
    assert!(
        told.contains("central:/sales/params.yaml: there is no `params.schema.json`"),
        "{told}"
    );
    assert!(
        told.contains("central:/x/thresholds.json: the file is not read"),
        "{told}"
    );
}

#[test]
fn parameters_without_a_schema_are_fixed() {
    // As `opa build` writes it: all data in one file, no schema.
    let bundle = opened(&[
        ("pol/sales/names.rego", POLICY),
        (
            "data.json",
            "{\"params\": {\"sales\": {\"names\": {\"never\": \"X\"}}}, \"sales\": {\"a\": 1}}",
        ),
    ])
    .unwrap();
    let set = load(Sources::default(), &[placed("central", &bundle)]).unwrap();
    assert_eq!(set.packages().count(), 1);
    let mut folder = Sources::default();
    let acme: ConnectionName = "acme".parse().unwrap();
    let settings = "sales: {names: {never: Y}}";
    let own = folder.connections.entry(acme).or_default();
    own.files.push(source("params.yaml", settings));
    let told = load(folder, &[placed("central", &bundle)]).unwrap_err();
    assert!(told.contains("sales.names.never"), "{told}");
}

#[test]
fn thresholds_are_the_same_for_both_engines() {
    let mut files = layer();
    let built = build(&files, &BuildOptions::default()).unwrap();
    let mut entries = crate::archive::unpack(&built.archive, &Limits::default()).unwrap();
    let data = entries
        .iter_mut()
        .find(|entry| entry.path == "params/data.json")
        .unwrap();
    assert_eq!(
        data.bytes,
        b"{\"sales\":{\"names\":{\"never\":\"Mustermann\"}}}"
    );
    data.bytes = b"{\"sales\":{\"names\":{\"never\":\"Nobody\"}}}".to_vec();
    let tampered = crate::archive::pack(&entries).unwrap();
    let fault = open(&tampered, Trust::Unsigned, &Limits::default()).unwrap_err();
    assert!(fault.to_string().contains("differ"), "{fault}");
    files.push(source("other/params.yaml", "sales: {names: {never: X}}"));
    assert!(build(&files, &BuildOptions::default()).is_err());
}

#[test]
fn roots_are_kept_apart_per_layer() {
    let text = POLICY.replace("data.params.sales.names.never", "\"x\"");
    let one = opened(&[
        ("a.rego", &text),
        (".manifest", "{\"roots\": [\"crm/sales\"]}"),
    ])
    .unwrap();
    let other_text = text.replace("crm.sales.names", "crm.support.names");
    let two = opened(&[
        ("b.rego", &other_text),
        (".manifest", "{\"roots\": [\"crm/support\"]}"),
    ]);
    let two = two.unwrap();
    let all = opened(&[("c.rego", &other_text)]).unwrap();
    assert!(
        load(
            Sources::default(),
            &[placed("one", &one), placed("two", &two)]
        )
        .is_ok()
    );
    let told = load(
        Sources::default(),
        &[placed("one", &one), placed("all", &all)],
    )
    .unwrap_err();
    assert!(
        told.contains("all:/.manifest: its root `` overlaps the root `crm/sales`"),
        "{told}"
    );
    let acme: ConnectionName = "acme".parse().unwrap();
    let own = Placed {
        connection: Some(&acme),
        ..placed("own", &all)
    };
    let sources = combine(Sources::default(), &[placed("one", &one), own]).unwrap();
    assert_eq!(sources.connections[&acme].files[0].path, "own:/c.rego");
    assert!(PolicySet::load(&sources).is_ok());
}

#[test]
fn settings_at_the_root_are_a_connections() {
    let bundle = opened(&[
        ("params.yaml", "sales: {a: {b: 1}}"),
        ("params.schema.json", "{}"),
    ]);
    let bundle = bundle.unwrap();
    let told = load(Sources::default(), &[placed("central", &bundle)]).unwrap_err();
    assert!(
        told.contains("central:/params.yaml: at a bundle's root"),
        "{told}"
    );
    let acme: ConnectionName = "acme".parse().unwrap();
    let own = Placed {
        connection: Some(&acme),
        ..placed("own", &bundle)
    };
    let told = load(Sources::default(), &[own]).unwrap_err();
    assert!(told.contains("there is no parameter `sales`"), "{told}");
}

#[test]
fn roots_can_be_said() {
    let build = |roots: &[&str]| {
        let roots = roots.iter().map(|root| Root::parse(root)).collect();
        let options = BuildOptions {
            revision: Some("r1"),
            roots: Some(roots),
            ..BuildOptions::default()
        };
        build(&layer(), &options)
    };
    let built = build(&["crm/sales", "params/sales", "sales"]).unwrap();
    assert_eq!(built.bundle.manifest.revision, "r1");
    assert_eq!(build(&["crm/sales"]).unwrap_err().code(), "outside_roots");
    assert_eq!(
        build(&["crm", "crm/sales"]).unwrap_err().code(),
        "bad_manifest"
    );
}
