//! The processes of one site.

use std::path::Path;

use crate::process::Process;
use crate::site::Form;

/// All processes, in the order of their ports.
pub(crate) struct Fleet {
    pub(crate) processes: Vec<Process>,
}

/// Names and commands of a form's processes.
pub(crate) fn cast(form: Form) -> &'static [(&'static str, &'static str)] {
    match form {
        Form::Alone => &[("gate", "serve")],
        Form::Shared => &[
            ("gate-1", "serve"),
            ("gate-2", "serve"),
            ("worker-1", "worker"),
            ("worker-2", "worker"),
        ],
    }
}

impl Fleet {
    pub(crate) fn new(form: Form, dir: &Path) -> Self {
        let cast = cast(form).iter();
        let processes = cast.map(|(name, command)| Process::new(name, command, dir));
        Self {
            processes: processes.collect(),
        }
    }

    /// Starts whatever does not run.
    pub(crate) fn start_all(&mut self) {
        for process in &mut self.processes {
            if process.ended() {
                process.start(None);
            }
        }
    }

    /// What all of them said last.
    pub(crate) fn said(&self) -> String {
        let said = self.processes.iter();
        let said = said.map(|one| format!("== {}\n{}\n", one.name, one.said()));
        said.collect()
    }
}
