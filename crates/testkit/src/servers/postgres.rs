//! Postgres.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::keeper::{Keeper, User, family};
use super::{free_port, need, signal};

/// Where distributions put the server's programs.
const INSTALLED: &str = "/usr/lib/postgresql";
/// What tests need not pay for: they crash servers, not machines.
const FAST: &[&str] = &["fsync=off", "full_page_writes=off"];

/// A server of Postgres with databases for tests.
pub struct Postgres {
    programs: PathBuf,
    user: User,
    port: u16,
    settings: Vec<String>,
    databases: AtomicU32,
    keeper: Keeper,
}

impl Postgres {
    /// Starts one of the test's own, which it may stop, pause and kill; `None` where none is
    /// installed, after saying so.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::with(FAST)
    }

    /// One for all tests of a process: each takes databases of its own.
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// Starts one with these settings (`name=value`).
    #[must_use]
    pub fn with(settings: &[&str]) -> Option<Self> {
        let initdb = need("postgres", "initdb", &installed())?;
        // The others lie beside it; on the path there may be only a link to it.
        let programs = initdb.canonicalize().ok()?.parent()?.to_owned();
        let user = User::instead_of_root("postgres")?;
        let stop = format!(
            "{}/pg_ctl -D \"$0/data\" -m immediate stop",
            programs.display()
        );
        let server = Self {
            keeper: Keeper::new("postgres", user, &stop),
            programs,
            user,
            port: free_port(),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            databases: AtomicU32::new(0),
        };
        let data = server.data();
        let mut initdb = server.program("initdb");
        initdb.args([
            "--no-sync",
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "-D",
        ]);
        ran(initdb.arg(&data));
        server.restart();
        Some(server)
    }

    /// The address of a new database.
    #[must_use]
    pub fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        ran(self.client("createdb", "postgres").arg(&name));
        self.address(&name)
    }

    /// The address of a new database that is as another one, to which nobody is connected.
    #[must_use]
    pub fn copy(&self, address: &str) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let template = address.rsplit('/').next().unwrap();
        let mut createdb = self.client("createdb", "postgres");
        ran(createdb.args(["-T", template]).arg(&name));
        self.address(&name)
    }

    fn address(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs statements in a database, given by its address: what they print, unaligned.
    #[must_use]
    pub fn run(&self, address: &str, statements: &str) -> String {
        let database = address.rsplit('/').next().unwrap();
        let mut psql = self.client("psql", database);
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c"]);
        let output = ran(psql.arg(statements));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Ends it as an administrator does: sessions are broken off, what is committed stays.
    pub fn stop(&self) {
        ran(self.control().args(["-m", "fast", "stop"]));
    }

    /// Kills it as a crash would.
    pub fn kill(&self) {
        ran(self.control().args(["-m", "immediate", "stop"]));
    }

    /// Starts it (again) on the same port and data.
    pub fn restart(&self) {
        let mut options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{}' \
             -c max_connections=200",
            self.port,
            self.keeper.dir().display()
        );
        for setting in &self.settings {
            options.push_str(" -c ");
            options.push_str(setting);
        }
        let log = self.keeper.dir().join("log");
        let mut start = self.control();
        start.arg("-l").arg(log).arg("-o").arg(options).arg("start");
        ran(&mut start);
    }

    /// Stops all its processes in the middle of what they do.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        family(self.pid())
            .into_iter()
            .for_each(|pid| signal(name, pid));
    }

    fn pid(&self) -> u32 {
        let file = self.data().join("postmaster.pid");
        let text = ran(self.user.runs("cat").arg(file));
        let text = String::from_utf8(text.stdout).unwrap();
        text.lines().next().unwrap().trim().parse().unwrap()
    }

    fn data(&self) -> PathBuf {
        self.keeper.dir().join("data")
    }

    fn program(&self, name: &str) -> Command {
        self.user.runs(self.programs.join(name))
    }

    fn control(&self) -> Command {
        let mut control = self.program("pg_ctl");
        control.arg("-w").arg("-s").arg("-D").arg(self.data());
        control
    }

    fn client(&self, name: &str, database: &str) -> Command {
        let mut client = self.program(name);
        client.args(["-h", "127.0.0.1", "-U", "postgres", "-p"]);
        client.arg(self.port.to_string());
        if name == "psql" {
            client.args(["-d", database]);
        }
        client
    }
}

/// The folders of the versions that are installed, the newest first.
fn installed() -> Vec<PathBuf> {
    let versions = std::fs::read_dir(INSTALLED).into_iter().flatten().flatten();
    let mut numbers: Vec<u32> = versions
        .filter_map(|version| version.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let folders = numbers.iter();
    folders
        .map(|number| Path::new(INSTALLED).join(format!("{number}/bin")))
        .collect()
}

fn ran(command: &mut Command) -> Output {
    let output = command
        .current_dir(Path::new("/"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
