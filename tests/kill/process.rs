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

/// The first of sixteen free ports in a row, well below the ephemeral ones; another row each time.
pub(crate) fn port_base() -> u16 {
    use std::net::TcpListener;
    use std::sync::Mutex;
    static TAKEN: Mutex<Option<u16>> = Mutex::new(None);
    let mut taken = TAKEN.lock().unwrap();
    let first = || 27_000 + u16::try_from(std::process::id() % 300).unwrap() * 16;
    let start = taken.map_or_else(first, |last| last + 16);
    let free =
        |base: &u16| (*base..base + 16).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let base = (start..32_700).step_by(16).find(free).expect("free ports");
    *taken = Some(base);
    base
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
        self.launch(point.map(|point| ("CRMGATE_TEST_KILL_AT", point)));
    }

    /// Starts it; it stops in the middle of what it does at this point, until it is resumed.
    pub(crate) fn start_to_pause(&mut self, point: &str) {
        self.launch(Some(("CRMGATE_TEST_PAUSE_AT", point)));
    }

    fn launch(&mut self, point: Option<(&str, &str)>) {
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
        command.envs(point);
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

    /// Whether it stands still in the middle of what it does.
    pub(crate) fn is_paused(&self) -> bool {
        self.told("State")
            .is_some_and(|state| state.starts_with('T'))
    }

    /// The most memory that it ever had, in KiB.
    pub(crate) fn most_memory(&self) -> u64 {
        let told = self.told("VmHWM").expect("it runs");
        told.trim_end_matches(" kB").parse().expect("a number")
    }

    /// What the machine tells about it.
    fn told(&self, name: &str) -> Option<String> {
        let id = self.child.as_ref()?.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let mut lines = status.lines();
        lines.find_map(|line| {
            let (found, value) = line.split_once(':')?;
            (found == name).then(|| value.trim().to_owned())
        })
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
