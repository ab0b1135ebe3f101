//! Redis.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::keeper::{Keeper, User, signal};
use super::{free_port, missing};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A Redis with an append-only file in a folder of its own.
pub struct Redis {
    program: PathBuf,
    port: u16,
    running: Mutex<Option<Child>>,
    keeper: Keeper,
}

impl Redis {
    /// The one that all tests of this process share, who keep to keys of their own; `None` after
    /// saying that it is missing.
    #[must_use]
    pub fn start() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Redis>> = OnceLock::new();
        let shared = SHARED.get_or_init(Self::new);
        if shared.is_none() {
            missing("redis", "`redis-server` is not on the path");
        }
        shared.as_ref()
    }

    /// One of the test's own, which it may stop, pause and crash.
    #[must_use]
    pub fn own() -> Option<Self> {
        let own = Self::new();
        if own.is_none() {
            missing("redis", "`redis-server` is not on the path");
        }
        own
    }

    fn new() -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        let mut files = std::env::split_paths(&path).map(|folder| folder.join("redis-server"));
        let last = "test -f \"$0/pid\" && kill -9 \"$(cat \"$0/pid\")\"";
        let server = Self {
            program: files.find(|file| file.is_file())?,
            port: free_port(),
            running: Mutex::default(),
            keeper: Keeper::new("redis", User::SAME, last),
        };
        server.start_again();
        Some(server)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as a crash does: what it has not written is lost.
    pub fn crash(&self) {
        if let Some(mut server) = self.running.lock().unwrap().take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Starts it again on the same port and data, and waits until it answers.
    pub fn start_again(&self) {
        self.crash();
        let dir = self.keeper.dir();
        let server = Command::new(&self.program)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "everysec"])
            .args(["--maxmemory-policy", "noeviction"])
            .arg("--pidfile")
            .arg(dir.join("pid"))
            .arg("--dir")
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *self.running.lock().unwrap() = Some(server);
        let began = Instant::now();
        while self.ask("PING").as_deref() != Some("+PONG") {
            assert!(began.elapsed() < PATIENCE, "redis does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Freezes it: connections stay, answers do not come.
    pub fn pause(&self) {
        signal("STOP", &self.pids());
    }

    /// Lets a frozen one go on.
    pub fn resume(&self) {
        signal("CONT", &self.pids());
    }

    /// Gives it a command whose words have no blanks: the first line of its answer.
    pub fn command(&self, line: &str) -> String {
        self.ask(line).unwrap()
    }

    fn pids(&self) -> Vec<u32> {
        let running = self.running.lock().unwrap();
        running.iter().map(Child::id).collect()
    }

    fn ask(&self, line: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let words = format!("{line}\r\nQUIT\r\n");
        stream.write_all(words.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.lines().next().map(str::to_owned)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.crash();
    }
}
