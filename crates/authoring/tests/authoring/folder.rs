//! The folder.

use std::path::Path;

use crmgate_authoring::{Report, Suite, Wanted};
use crmgate_policy::cases::System;
use crmgate_policy::{LoadErrors, PolicySet, Sources, read_folder};
use tempfile::TempDir;

pub(crate) const POLICY: &str = "\
# METADATA
# title: Names
# custom: {owner: t, objects: [contact], operations: [create, update]}
package crm.people.names

import data.lib.text

deny contains {\"code\": \"name\", \"message\": \"a name is needed\", \"fields\": [\"last_name\"]} if {
\tnot text.filled(input.record.last_name)
}

warn contains {\"code\": \"long\", \"message\": \"long\"} if count(input.record.last_name) > data.params.people.names.most

never if {
\tinput.record.last_name == \"never\"
\tinput.record.first_name == \"ever\"
}
";

const LIB: &str =
    "package lib.text\n\nfilled(text) if {\n\tis_string(text)\n\ttrim_space(text) != \"\"\n}\n";

const TESTS: &str = "\
package crm.people.names_test

import data.crm.people.names

test_needed if count(names.deny) == 1 with input as {\"record\": {}}

test_wrong if {
\tprint(\"a <print> & more\")
\tcount(names.deny) == 2 with input as {\"record\": {}}
}

test_broken if 1 / count(names.warn) > 0 with input as {\"record\": {\"last_name\": \"x\"}}

todo_test_later := true
";

const CASES: &str = "\
# Cases.
- name: a name is needed
  operation: create
  object: contact
  record: {first_name: Ada}
  expect: {effect: deny, codes: [name], messages: [needed]}

- name: with \"quotes\" & <angles>
  operation: create
  object: contact
  record: {last_name: Lovelace}
  expect: {effect: deny, codes: [other]}

- name: long
  operation: create
  object: contact
  params: {people: {names: {most: 3}}}
  record: {last_name: Lovelace}
  expect: {effect: allow, warnings: [long]}
";

const OTHER: &str = "\
# METADATA
# title: No contacts
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.other.none

deny contains \"none at all\"
";

/// A folder with two packs, of which one would spoil the other's cases.
pub(crate) fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("people/names.rego", POLICY),
        ("people/names_test.rego", TESTS),
        ("people/cases/names.yaml", CASES),
        ("people/params.yaml", "people: {names: {most: 20}}\n"),
        (
            "people/params.schema.json",
            "{\"type\": \"object\", \"properties\": {\"people\": {\"type\": \"object\"}}}",
        ),
        ("lib/text.rego", LIB),
        ("other/none.rego", OTHER),
    ] {
        write(dir.path(), path, text);
    }
    dir
}

pub(crate) fn write(dir: &Path, path: &str, text: &str) {
    let file = dir.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

pub(crate) fn systems() -> Vec<System> {
    let system = |name: &str, contact: &str| System {
        name: name.to_owned(),
        connection: name.parse().unwrap(),
        record_id: "1".to_owned(),
        native_objects: [("contact".to_owned(), contact.to_owned())].into(),
    };
    vec![system("one", "Contact"), system("two", "people")]
}

pub(crate) fn loaded(dir: &Path) -> (Sources, PolicySet) {
    let sources = read_folder(dir).unwrap();
    let set = PolicySet::load(&sources).unwrap();
    (sources, set)
}

pub(crate) fn suite(dir: &Path) -> Result<Suite, LoadErrors> {
    let (sources, set) = loaded(dir);
    Suite::load(dir, sources, &set)
}

/// Runs, and takes the times away, which are never the same.
pub(crate) fn run(dir: &Path, wanted: &Wanted) -> Report {
    let suite = suite(dir).unwrap_or_else(|errors| panic!("{errors}"));
    let mut report = suite.run(wanted, &systems(), &mut |_, _| {});
    report.seconds = 0.0;
    for test in &mut report.tests {
        test.seconds = 0.0;
    }
    report
}
