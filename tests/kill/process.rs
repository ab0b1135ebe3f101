//! One process of the gate, over its many lives.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The signal by which a process ends itself at its point.
const ABORTED: i32 = 6;

/// The binary that `cargo build` put beside this test.
pub(crate) fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("CRMGATE_BINARY") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("crmgate");
    assert!(
        path.exists(),
        "{} is not built: run `cargo build -p crmgate`",
        path.display()
    );
    path
}

/// The first of sixteen free ports in a row, well below the ephemeral ones.
pub(crate) fn port_base() -> u16 {
    use std::net::TcpListener;
    let start = 27_000 + u16::try_from(std::process::id() % 300).unwrap() * 16;
    let free =
        |base: &u16| (*base..base + 16).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    (start..32_700).step_by(16).find(free).expect("free ports")
}

/// A process that is started over and over with the same configuration.
pub(crate) struct Process {
    pub(crate) name: String,
    command: &'static str,
    dir: PathBuf,
    child: Option<Child>,
    aborted: bool,
}

impl Process {
    pub(crate) fn new(name: &str, command: &'static str, dir: &Path) -> Self {
        Self {
            name: name.to_owned(),
            command,
            dir: dir.to_owned(),
            child: None,
            aborted: false,
        }
    }

    fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    /// The end of what it said.
    pub(crate) fn said(&self) -> String {
        let text = std::fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let from = text.len().saturating_sub(4000);
        let from = (from..=text.len()).find(|at| text.is_char_boundary(*at));
        text[from.unwrap_or_default()..].to_owned()
    }

    /// Starts it; with a point, it dies there.
    pub(crate) fn start(&mut self, point: Option<&str>) {
        assert!(self.child.is_none(), "{} runs", self.name);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        let mut command = Command::new(binary());
        command
            .args([self.command, "--config", &format!("{}.toml", self.name)])
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        if let Some(point) = point {
            command.env("CRMGATE_TEST_KILL_AT", point);
        }
        self.child = Some(command.spawn().unwrap());
    }

    /// Whether it has ended; then it can be started again.
    pub(crate) fn ended(&mut self) -> bool {
        let Some(child) = &mut self.child else {
            return true;
        };
        let Some(status) = child.try_wait().unwrap() else {
            return false;
        };
        self.aborted = status.signal() == Some(ABORTED);
        self.child = None;
        true
    }

    /// Whether it died at its point when it ended last.
    pub(crate) const fn aborted(&self) -> bool {
        self.aborted
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks it to stop.
    pub(crate) fn stop(&self) {
        self.signal("-TERM");
    }

    /// Stops it in the middle of what it does.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        if let Some(child) = &self.child {
            let id = child.id().to_string();
            let _ = Command::new("kill").args([name, &id]).output();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
