//! The demo as a running system.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, port_base};

/// A demo that serves.
pub(crate) struct Demo {
    pub(crate) process: Running,
    /// `demo.json`.
    pub(crate) facts: Value,
    dir: Arc<TempDir>,
}

impl Demo {
    /// Starts a demo of its own and waits until its tour is over and it is ready.
    pub(crate) fn start() -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let data = dir.path().join("data");
        let base = port_base().to_string();
        let arguments = [
            "demo",
            "--data-dir",
            data.to_str().unwrap(),
            "--port-base",
            &base,
        ];
        let mut process = Running::start(dir.path(), &arguments);
        let facts = process.wait_for("demo.json", || {
            let text = std::fs::read(data.join("demo.json")).ok()?;
            let facts: Value = serde_json::from_slice(&text).ok()?;
            facts["ready"].as_bool()?.then_some(facts)
        });
        Self {
            process,
            facts,
            dir,
        }
    }

    /// A text of `demo.json`: `fact("/salesforce/gateway_url")`.
    pub(crate) fn fact(&self, pointer: &str) -> &str {
        self.facts
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("demo.json has no {pointer}"))
    }

    /// A scratch folder that lives as long as the demo.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// The folder of policies in force.
    pub(crate) fn policies(&self) -> PathBuf {
        self.fact("/policies_dir").into()
    }
}
