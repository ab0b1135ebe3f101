//! Tries policies in a child process, because a hostile one can hang or end whatever process loads
//! it. The child limits itself, tells what it is at, and is killed when it does not come back.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use crmgate_app::{PolicyChecker, sources};
use crmgate_domain::ConnectionName;
use crmgate_policy::{LoadError, LoadErrors, PolicySet, Sources, Step};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::config::Loading;

/// Tries sources in a child process.
pub(crate) struct ChildChecker {
    program: PathBuf,
    loading: Loading,
}

/// What the child was at when it was last heard of, and what it found slow.
#[derive(Debug, Default)]
struct Heard {
    last: Option<Line>,
    slow: Vec<Line>,
}

/// One step, as the child tells it.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    connection: Option<ConnectionName>,
    doing: String,
    file: String,
}

impl ChildChecker {
    /// Checks by this very program, within the ordinary limits.
    pub(crate) fn new() -> std::io::Result<Self> {
        Self::within(Loading::default())
    }

    /// The same within these limits.
    pub(crate) fn within(loading: Loading) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        Ok(Self { program, loading })
    }

    fn spawn(&self) -> std::io::Result<Child> {
        Command::new(&self.program)
            .arg(CHILD_COMMAND)
            .arg(self.loading.memory.to_string())
            .arg(self.loading.time.as_secs().max(1).to_string())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }

    /// How a load that did not come to an end is told.
    fn broke_off(&self, last: Option<&Line>, how: &str) -> LoadErrors {
        let (file, doing) = last.map_or(("policies", "loading"), |line| {
            (line.file.as_str(), line.doing.as_str())
        });
        let doing = match doing {
            "trying" => "evaluating it over an empty record",
            "reading" => "reading it",
            "preparing" => "preparing its rules",
            "checking" => "checking the layer that begins with it",
            _ => "loading the policies",
        };
        let error = LoadError::file("loader", file, format!("{doing} {how}")).remedy(
            "undo its newest change: it is most likely hostile, endless or enormous; the limits \
             are `policies.load_time` and `policies.load_memory`",
        );
        match last.and_then(|line| line.connection.as_ref()) {
            Some(name) => error.of(name).into(),
            None => error.into(),
        }
    }

    fn ended(&self, status: ExitStatus, said: &str, heard: &Heard) -> Result<bool, LoadErrors> {
        match status.code() {
            Some(LOADED) => Ok(true),
            Some(FAULTS) => Ok(false),
            _ => {
                let memory = self.loading.memory >> 20;
                let how = if said.contains("memory allocation") {
                    format!("needed more than the {memory} MiB of memory that it may")
                } else if said.contains("overflowed its stack") {
                    "overflowed the stack".to_owned()
                } else {
                    format!("killed the process that tried it ({status})")
                };
                Err(self.broke_off(heard.last.as_ref(), &how))
            }
        }
    }
}

/// Bytes of the child's complaints that are kept.
const MOST_SAID: u64 = 16 << 10;

#[async_trait]
impl PolicyChecker for ChildChecker {
    async fn check(&self, sources: &Sources) -> Result<(), LoadErrors> {
        let failed = |error: &dyn std::fmt::Display| {
            self.broke_off(None, &format!("could not be tried in a child: {error}"))
        };
        let text = sources::write(sources).map_err(|error| failed(&error))?;
        let mut child = self.spawn().map_err(|error| failed(&error))?;
        let (input, output, errors) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut heard = Heard::default();
        let ended = {
            let send = async {
                if let Some(mut input) = input {
                    // A child that died early stops reading; its exit says more than this error.
                    input.write_all(text.as_bytes()).await.ok();
                }
            };
            let complaints = async {
                let mut said = Vec::new();
                if let Some(errors) = errors {
                    errors.take(MOST_SAID).read_to_end(&mut said).await.ok();
                }
                String::from_utf8_lossy(&said).into_owned()
            };
            let run = async {
                let ((), (), said) = tokio::join!(send, listen(output, &mut heard), complaints);
                child.wait().await.map(|status| (status, said))
            };
            tokio::time::timeout(self.loading.time, run).await
        };
        let Ok(ended) = ended else {
            let time = self.loading.time;
            let how = format!("did not end within {time:?}");
            return Err(self.broke_off(heard.last.as_ref(), &how));
        };
        let (status, said) = ended.map_err(|error| failed(&error))?;
        for slow in &heard.slow {
            tracing::warn!(
                file = slow.file,
                "a policy takes longer than 50 ms over an empty record"
            );
        }
        let read = sources
            .connections
            .values()
            .all(|own| own.faults.is_empty());
        if self.ended(status, &said, &heard)? && read {
            return Ok(());
        }
        // The child lived to tell, so the same load ends here, too; this one's faults are typed.
        PolicySet::load(sources).map(drop)
    }
}

/// Hears what the child is at, until it is done.
async fn listen(output: Option<ChildStdout>, heard: &mut Heard) {
    let Some(output) = output else { return };
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(line) = serde_json::from_str::<Line>(&line) else {
            continue;
        };
        if line.doing == "slow" {
            heard.slow.push(line);
        } else {
            heard.last = Some(line);
        }
    }
}

/// The hidden command that loads what it reads from standard input.
pub(crate) const CHILD_COMMAND: &str = "try-policies";
const LOADED: i32 = 0;
const FAULTS: i32 = 10;
/// Never sent by the parent above.
const NOT_SOURCES: i32 = 11;

/// The child's side: loads the sources on standard input and forgets them. Its arguments are bytes
/// of memory and seconds.
pub(crate) fn try_policies(mut limits: impl Iterator<Item = String>) -> u8 {
    let mut number = || limits.next().and_then(|text| text.parse::<u64>().ok());
    restrict(number(), number());
    let text = std::io::read_to_string(std::io::stdin().lock());
    let Some(sources) = text.ok().and_then(|text| sources::read(&text).ok()) else {
        return NOT_SOURCES as u8;
    };
    match PolicySet::try_out(&sources, tell) {
        Ok(()) => LOADED as u8,
        Err(_) => FAULTS as u8,
    }
}

fn tell(step: &Step<'_>) {
    use std::io::Write as _;
    let line = Line {
        connection: step.connection.cloned(),
        doing: step.doing.to_owned(),
        file: step.file.to_owned(),
    };
    let mut output = std::io::stdout().lock();
    // Nobody listens any more only when the parent is gone.
    if serde_json::to_writer(&mut output, &line).is_ok() {
        output.write_all(b"\n").and_then(|()| output.flush()).ok();
    }
}

/// Has the system end this process when it takes too much, even when nobody waits for it.
#[cfg(unix)]
fn restrict(memory: Option<u64>, seconds: Option<u64>) {
    use rlimit::Resource;
    let limits = [
        (Resource::AS, memory),
        (
            Resource::CPU,
            seconds.map(|seconds| seconds + GRACE.as_secs()),
        ),
        (Resource::CORE, Some(0)),
    ];
    for (resource, limit) in limits {
        // A system that grants less already is as good.
        limit.and_then(|limit| resource.set(limit, limit).ok());
    }
}

#[cfg(not(unix))]
fn restrict(_memory: Option<u64>, _seconds: Option<u64>) {}

/// The parent's own deadline comes first, and says more.
#[cfg(unix)]
const GRACE: Duration = Duration::from_secs(2);
