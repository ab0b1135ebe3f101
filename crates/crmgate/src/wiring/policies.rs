//! Where policies come from: the folder, with what the configuration says per connection.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crmgate_app::PolicySource;
use crmgate_domain::{ConnectionName, Enforcement, Object};
use crmgate_policy::{LoadError, LoadErrors, Sources, read_folder};

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
        for (name, layer) in &mut sources.connections {
            if !self.settings.contains_key(name) {
                let file = format!("connections/{name}");
                let fault = LoadError::file(
                    "connection",
                    &file,
                    "no connection of that name is configured",
                );
                let remedy = "rename the folder or configure the connection";
                layer.faults.push(fault.remedy(remedy).of(name));
            }
        }
        for (name, (params, enforcement)) in &self.settings {
            let of_connection = sources.connections.entry(name.clone()).or_default();
            of_connection.params.clone_from(params);
            of_connection.enforcement.clone_from(enforcement);
        }
        Ok(sources)
    }
}
