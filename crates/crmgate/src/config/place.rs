//! Where a setting was written.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::Fault;

/// Which line of a file, or which environment variable, each setting came from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(BTreeMap<String, String>);

impl Places {
    /// Notes the settings of a TOML text.
    ///
    /// # Errors
    /// Every fault of syntax, with line and column.
    pub(crate) fn add_file(&mut self, file: &Path, text: &str) -> Result<(), Vec<Fault>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            let file = file.display().to_string();
            self.add_table(&file, text, "", table.get_ref());
            return Ok(());
        }
        let faults = errors.iter().map(|error| {
            let place = error.span().map(|span| position(text, span.start));
            Fault {
                setting: String::new(),
                place: Some(match place {
                    Some((line, column)) => format!("{}:{line}:{column}", file.display()),
                    None => file.display().to_string(),
                }),
                problem: format!("not TOML: {}", error.message()),
            }
        });
        Err(faults.collect())
    }

    /// Notes a setting of the environment.
    pub(crate) fn add_variable(&mut self, setting: &str, variable: &str) {
        self.0.insert(setting.to_owned(), variable.to_owned());
    }

    /// The place of a setting, or of the nearest table around it.
    pub(crate) fn find(&self, setting: &str) -> Option<String> {
        let mut name = setting;
        loop {
            if let Some(place) = self.0.get(name) {
                return Some(place.clone());
            }
            name = name.rsplit_once('.')?.0;
        }
    }

    fn add_table(&mut self, file: &str, text: &str, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let setting = if prefix.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{prefix}.{}", key.get_ref())
            };
            let (line, _) = position(text, key.span().start);
            self.0.insert(setting.clone(), format!("{file}:{line}"));
            if let DeValue::Table(inner) = value.get_ref() {
                self.add_table(file, text, &setting, inner);
            }
        }
    }
}

/// One-based line and column of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}
