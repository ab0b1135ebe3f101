//! Redis.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::keeper::{Keeper, User};
use super::{free_port, need, signal};

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
    /// Starts one of the test's own, which it may stop, pause and kill; `None` where none is
    /// installed, after saying so.
    #[must_use]
    pub fn start() -> Option<Self> {
        let last = "test -f \"$0/pid\" && kill -9 \"$(cat \"$0/pid\")\"";
        let server = Self {
            program: need::<&str>("redis", "redis-server", &[])?,
            port: free_port(),
            running: Mutex::default(),
            keeper: Keeper::new("redis", User::SAME, last),
        };
        server.restart();
        Some(server)
    }

    /// One for all tests of a process that keep to keys of their own.
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Redis>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Kills it as a crash does: what it has not written is lost.
    pub fn kill(&self) {
        if let Some(mut server) = self.running.lock().unwrap().take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Starts it again on the same port and data, and waits until it answers.
    pub fn restart(&self) {
        self.kill();
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
        self.pids().for_each(|pid| signal("-STOP", pid));
    }

    /// Lets a frozen one go on.
    pub fn resume(&self) {
        self.pids().for_each(|pid| signal("-CONT", pid));
    }

    /// Gives it a command whose words have no blanks: the first line of its answer.
    pub fn command(&self, line: &str) -> String {
        self.ask(line).unwrap()
    }

    fn pids(&self) -> impl Iterator<Item = u32> {
        let running = self.running.lock().unwrap();
        running.as_ref().map(Child::id).into_iter()
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
        self.kill();
    }
}
