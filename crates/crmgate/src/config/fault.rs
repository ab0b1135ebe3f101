//! What is wrong with a configuration.

use std::cell::RefCell;
use std::fmt;

use serde::Serialize;

use super::place::Places;

/// One fault of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Fault {
    /// The setting, with dots: `connections.acme-sf.mode`. Empty for a whole file.
    pub(crate) setting: String,
    /// `crmgate.toml:12`, `CRMGATE__CONTROL__LISTEN`, where it can be told.
    pub(crate) place: Option<String>,
    /// What is wrong and what was expected.
    pub(crate) problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.setting.is_empty() {
            write!(f, "`{}`: ", self.setting)?;
        }
        f.write_str(&self.problem)
    }
}

/// A configuration that can't be used: all its faults, in the order of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError(pub(crate) Vec<Fault>);

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        for fault in &self.0 {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

/// Gathers faults while the settings are read.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    places: Places,
    found: RefCell<Vec<Fault>>,
}

impl Faults {
    pub(crate) fn new(places: Places) -> Self {
        Self {
            places,
            found: RefCell::default(),
        }
    }

    /// Notes a fault of a setting.
    pub(crate) fn add(&self, setting: &str, problem: impl Into<String>) {
        self.found.borrow_mut().push(Fault {
            setting: setting.to_owned(),
            place: self.places.find(setting),
            problem: problem.into(),
        });
    }

    /// The faults, each once; `None` when there are none.
    pub(crate) fn into_error(self) -> Option<ConfigError> {
        let mut found = self.found.into_inner();
        found.sort();
        found.dedup();
        (!found.is_empty()).then_some(ConfigError(found))
    }
}
