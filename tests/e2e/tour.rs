//! `crmgate demo --once`, as a stranger runs it.

use std::process::Command;

use crate::process::{binary, port_base};

#[test]
fn the_tour_goes_as_told() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(binary())
        .args(["demo", "--once", "--port-base", &port_base().to_string()])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(dir.path().join(".crmgate-demo/demo.json").exists());
    for told in [
        "denied",
        "held",
        "handed over",
        "1 write each",
        "E.164",
        "dry-run",
        "observe",
        "whole: the record is as it was written",
        "found out: \"entry",
    ] {
        assert!(
            text.to_lowercase().contains(&told.to_lowercase()),
            "the tour does not tell of `{told}`:\n{text}"
        );
    }
}

#[test]
fn a_folder_that_is_not_the_demos_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let precious = dir.path().join("precious.txt");
    std::fs::write(&precious, "keep me").unwrap();
    let output = Command::new(binary())
        .args([
            "demo",
            "--once",
            "--data-dir",
            ".",
            "--port-base",
            &port_base().to_string(),
        ])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "keep me");
}
