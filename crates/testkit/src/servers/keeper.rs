//! Who clears up behind a test process, however that ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// A user that servers can run as: some refuse to run as root.
#[derive(Debug, Clone, Copy)]
pub(super) struct User(Option<u32>);

impl User {
    /// The one of this process.
    pub(super) const SAME: Self = Self(None);

    /// Another one, where this process is root's.
    pub(super) fn instead_of_root(name: &str) -> Option<Self> {
        if number(Command::new("id").arg("-u"))? != 0 {
            return Some(Self::SAME);
        }
        number(Command::new("id").args(["-u", name])).map(|id| Self(Some(id)))
    }

    /// A command that the user runs.
    pub(super) fn runs(self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let Some(id) = self.0 else {
            return Command::new(program);
        };
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={id}"))
            .arg(format!("--regid={id}"))
            .arg("--clear-groups")
            .arg("--")
            .arg(program);
        command
    }
}

fn number(command: &mut Command) -> Option<u32> {
    let output = command.output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// A folder that goes, after a last command, when this value or this process ends.
pub(super) struct Keeper {
    dir: PathBuf,
    shell: Mutex<Child>,
}

impl Keeper {
    /// Makes a folder of the user's and keeps it. `last` is a shell's command; `$0` is the folder.
    pub(super) fn new(name: &str, user: User, last: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let dir = format!("crmgate-{name}-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(dir);
        let made = user.runs("mkdir").arg("-m").arg("700").arg(&dir).status();
        assert!(made.unwrap().success(), "{} was not made", dir.display());
        // Its input ends when this process does.
        let shell = user
            .runs("sh")
            .arg("-c")
            .arg(format!("cat >/dev/null; {last}; rm -rf \"$0\""))
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            dir,
            shell: Mutex::new(shell),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let mut shell = self.shell.lock().unwrap();
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}

/// The process of a number and those that it started.
pub(super) fn family(pid: u32) -> Vec<u32> {
    let mut ps = Command::new("ps");
    let output = ps.args(["-o", "pid=", "--ppid"]).arg(pid.to_string());
    let listed = String::from_utf8(output.output().unwrap().stdout).unwrap();
    let children = listed.split_whitespace().map(|pid| pid.parse().unwrap());
    std::iter::once(pid).chain(children).collect()
}
