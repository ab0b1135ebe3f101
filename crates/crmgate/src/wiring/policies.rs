//! Where policies come from: the folder, with what the configuration says per connection.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use crmgate_app::{PolicyChecker, PolicySource};
use crmgate_domain::{ConnectionName, Enforcement, Object};
use crmgate_policy::{
    ConnectionSources, LoadError, LoadErrors, PolicySet, Source, Sources, read_folder,
};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::config::Config;

/// The policies' folder.
pub(crate) struct FolderSource {
    dir: PathBuf,
    settings: BTreeMap<ConnectionName, (Object, BTreeMap<String, Enforcement>)>,
}

impl FolderSource {
    pub(crate) fn new(config: &Config) -> Self {
        let settings = config.connections.iter().map(|(name, connection)| {
            let settings = (connection.params.clone(), connection.enforcement.clone());
            (name.clone(), settings)
        });
        Self {
            dir: config.policies.dir.clone(),
            settings: settings.collect(),
        }
    }
}

impl PolicySource for FolderSource {
    fn read(&self) -> Result<Sources, LoadErrors> {
        let mut sources = read_folder(&self.dir)?;
        let unknown: Vec<LoadError> = sources
            .connections
            .keys()
            .filter(|name| !self.settings.contains_key(name))
            .map(|name| {
                let file = format!("connections/{name}");
                LoadError::file(
                    "connection",
                    &file,
                    "no connection of that name is configured",
                )
                .remedy("rename the folder or configure the connection")
            })
            .collect();
        if let Some(errors) = LoadErrors::new(unknown) {
            return Err(errors);
        }
        for (name, (params, enforcement)) in &self.settings {
            let of_connection = sources.connections.entry(name.clone()).or_default();
            of_connection.params.clone_from(params);
            of_connection.enforcement.clone_from(enforcement);
        }
        Ok(sources)
    }
}

/// How long a child may take to load a set. Far above what a large set needs; what does not end by
/// then never does.
const CHILD_TIME: Duration = Duration::from_secs(30);

/// Loads sources in a child process first, because a hostile policy can hang or abort whatever
/// process loads it.
pub(crate) struct ChildChecker {
    program: PathBuf,
}

impl ChildChecker {
    /// Checks by this very program.
    pub(crate) fn new() -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        Ok(Self { program })
    }
}

#[async_trait]
impl PolicyChecker for ChildChecker {
    async fn check(&self, sources: &Sources) -> Result<(), LoadErrors> {
        let died = |how: String| {
            LoadErrors::from(
                LoadError::file("loader", "policies", format!("loading them {how}"))
                    .remedy("undo the newest change; it is most likely hostile or enormous"),
            )
        };
        let bytes = serde_json::to_vec(&Parcel::pack(sources))
            .map_err(|error| died(format!("failed: {error}")))?;
        let run = async {
            let mut child = Command::new(&self.program)
                .arg(CHILD_COMMAND)
                .env_clear()
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()?;
            if let Some(mut input) = child.stdin.take() {
                // A child that died early stops reading; its exit says more than this error.
                input.write_all(&bytes).await.ok();
            }
            child.wait().await
        };
        let status = tokio::time::timeout(CHILD_TIME, run)
            .await
            .map_err(|_| died(format!("did not end within {} s", CHILD_TIME.as_secs())))?
            .map_err(|error| died(format!("could not be tried in a child: {error}")))?;
        match status.code() {
            Some(LOADED) => Ok(()),
            // The child lived to tell, so the same load ends here, too; this one's faults are typed.
            Some(FAULTS) => PolicySet::load(sources).map(drop),
            _ => Err(died(format!("killed the process that tried it ({status})"))),
        }
    }
}

/// The hidden command that loads what it reads from standard input.
pub(crate) const CHILD_COMMAND: &str = "try-policies";
const LOADED: i32 = 0;
const FAULTS: i32 = 10;

/// The child's side: loads the sources on standard input and forgets them.
pub(crate) fn try_policies() -> u8 {
    let parcel: Result<Parcel, _> = serde_json::from_reader(std::io::stdin().lock());
    match parcel.map(Parcel::unpack) {
        Ok(sources) if PolicySet::load(&sources).is_ok() => LOADED as u8,
        Ok(_) => FAULTS as u8,
        // Never sent by the parent above.
        Err(_) => 11,
    }
}

/// Sources on their way to the child.
#[derive(Serialize, Deserialize)]
struct Parcel {
    global: Vec<(String, String)>,
    connections: BTreeMap<ConnectionName, ConnectionParcel>,
}

#[derive(Serialize, Deserialize)]
struct ConnectionParcel {
    files: Vec<(String, String)>,
    params: Object,
    enforcement: BTreeMap<String, Enforcement>,
}

impl Parcel {
    fn pack(sources: &Sources) -> Self {
        let files = |files: &[Source]| {
            files
                .iter()
                .map(|source| (source.path.clone(), source.text.clone()))
                .collect()
        };
        let connections = sources.connections.iter().map(|(name, of_connection)| {
            let parcel = ConnectionParcel {
                files: files(&of_connection.files),
                params: of_connection.params.clone(),
                enforcement: of_connection.enforcement.clone(),
            };
            (name.clone(), parcel)
        });
        Self {
            global: files(&sources.global),
            connections: connections.collect(),
        }
    }

    fn unpack(self) -> Sources {
        let files = |files: Vec<(String, String)>| {
            files
                .into_iter()
                .map(|(path, text)| Source { path, text })
                .collect()
        };
        let connections = self.connections.into_iter().map(|(name, parcel)| {
            let of_connection = ConnectionSources {
                files: files(parcel.files),
                params: parcel.params,
                enforcement: parcel.enforcement,
            };
            (name, of_connection)
        });
        Sources {
            connections: connections.collect(),
            global: files(self.global),
        }
    }
}
