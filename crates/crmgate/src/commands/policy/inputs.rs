//! What is to be judged, as the command line names it.

use std::io::Read as _;

use crmgate_authoring::Given;
use crmgate_authoring::given::{self, GivenError, Missing};
use crmgate_policy::cases::System;

use crate::exit::{Exit, Failure};

/// An input longer than that is none.
const MOST: u64 = 64 << 20;

impl From<GivenError> for Failure {
    fn from(error: GivenError) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}

/// Reads an input: a file, a case of a file (`FILE.yaml#NAME`), or standard input (`-`).
pub(super) fn read(
    name: &str,
    system: Option<&System>,
    missing: &Missing<'_>,
) -> Result<Given, Failure> {
    if name == "-" {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(MOST)
            .read_to_string(&mut text)?;
        return Ok(given::read("standard input", &text, missing)?);
    }
    let system = system.or_else(|| missing.systems.first());
    if let Some((file, case)) = name.split_once('#')
        && let Some(system) = system
    {
        return Ok(given::case(file, &text(file)?, case, system)?);
    }
    Ok(given::read(name, &text(name)?, missing)?)
}

/// The text of a file.
pub(super) fn text(file: &str) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::new(Exit::Usage, format!("`{file}`: {error}")))
}

/// The kind of CRM of that name.
pub(super) fn system<'a>(
    systems: &'a [System],
    name: Option<&str>,
) -> Result<Option<&'a System>, Failure> {
    let Some(name) = name else { return Ok(None) };
    let hit = systems.iter().find(|system| system.name == name);
    hit.map(Some).ok_or_else(|| {
        let names: Vec<&str> = systems.iter().map(|system| system.name.as_str()).collect();
        let message = format!(
            "`{name}` is no kind of CRM; expected one of: {}",
            names.join(", ")
        );
        Failure::new(Exit::Usage, message)
    })
}
