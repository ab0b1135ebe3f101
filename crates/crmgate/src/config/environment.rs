//! Settings from the environment: `CRMGATE__SECTION__KEY`.

use ::config::{ConfigError, Map, Source, Value, ValueKind};

const PREFIX: &str = "CRMGATE__";

/// The process's environment: the one door to it for settings.
pub(crate) fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect()
}

/// Overrides by variables, as setting, variable and text.
#[derive(Debug, Clone)]
pub(super) struct Overrides(Vec<(Vec<String>, String, String)>);

impl Overrides {
    pub(super) fn new(environment: &[(String, String)]) -> Self {
        let found = environment.iter().filter_map(|(name, text)| {
            let parts = name.strip_prefix(PREFIX)?.split("__");
            let parts: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
            Some((path(parts), name.clone(), text.clone()))
        });
        Self(found.collect())
    }

    /// Settings and the variables that give them.
    pub(super) fn names(&self) -> impl Iterator<Item = (String, &str)> {
        self.0
            .iter()
            .map(|(path, variable, _)| (path.join("."), variable.as_str()))
    }
}

/// A connection's name has no `_`, and a variable's no `-`.
fn path(mut parts: Vec<String>) -> Vec<String> {
    if let [section, name, ..] = parts.as_mut_slice()
        && section == "connections"
    {
        *name = name.replace('_', "-");
    }
    parts
}

impl Source for Overrides {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut root = Map::new();
        for (path, _, text) in &self.0 {
            insert(&mut root, path, text);
        }
        Ok(root)
    }
}

fn insert(table: &mut Map<String, Value>, path: &[String], text: &str) {
    match path {
        [] => {}
        [last] => {
            table.insert(last.clone(), Value::new(None, text));
        }
        [first, rest @ ..] => {
            let inner = table
                .entry(first.clone())
                .or_insert_with(|| Value::new(None, ValueKind::Table(Map::new())));
            if !matches!(inner.kind, ValueKind::Table(_)) {
                inner.kind = ValueKind::Table(Map::new());
            }
            if let ValueKind::Table(inner) = &mut inner.kind {
                insert(inner, rest, text);
            }
        }
    }
}
