//! Reads one table of a configuration, setting by setting, so that every fault is found in one go.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::{Value, ValueKind};

use super::Faults;
use super::value;

/// A table that is being read. What nobody asked for by [`Section::finish`] is an unknown setting.
pub(crate) struct Section<'a> {
    path: String,
    left: BTreeMap<String, Value>,
    asked: Vec<&'static str>,
    faults: &'a Faults,
    base: &'a std::path::Path,
}

impl<'a> Section<'a> {
    /// The root table; relative paths start at `base`.
    pub(crate) fn root(
        table: impl IntoIterator<Item = (String, Value)>,
        faults: &'a Faults,
        base: &'a std::path::Path,
    ) -> Self {
        Self {
            path: String::new(),
            left: table.into_iter().collect(),
            asked: Vec::new(),
            faults,
            base,
        }
    }

    /// The full name of a setting of this table.
    pub(crate) fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Where relative paths start.
    pub(crate) fn base(&self) -> &'a std::path::Path {
        self.base
    }

    /// Whether a setting is there and not read yet.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.left.contains_key(key)
    }

    /// Whether a setting is there as a text.
    pub(crate) fn is_text(&self, key: &str) -> bool {
        let value = self.left.get(key);
        value.is_some_and(|value| matches!(value.kind, ValueKind::String(_)))
    }

    /// Notes a fault of a setting of this table.
    pub(crate) fn fault(&self, key: &str, problem: impl Into<String>) {
        self.faults.add(&self.name(key), problem);
    }

    /// The value of a setting, if it is there and is what `parse` takes.
    pub(crate) fn get<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        self.asked.push(key);
        let value = self.left.remove(key)?;
        if value.kind == ValueKind::Nil {
            return None;
        }
        parse(&value)
            .map_err(|problem| self.fault(key, problem))
            .ok()
    }

    /// The value of a setting that must be there; its type's default after a fault was noted.
    pub(crate) fn need<T: Default>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> T {
        if !self.left.contains_key(key) {
            self.asked.push(key);
            self.fault(key, "is missing");
            return T::default();
        }
        self.get(key, parse).unwrap_or_default()
    }

    /// A path, resolved.
    pub(crate) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let base = self.base;
        self.get(key, |value| Ok(base.join(value::text(value)?)))
    }

    /// Paths, resolved.
    pub(crate) fn paths(&mut self, key: &'static str) -> Vec<PathBuf> {
        let base = self.base;
        let paths = self.get(key, |value| {
            value::list(value, |item| Ok(base.join(value::text(item)?)))
        });
        paths.unwrap_or_default()
    }

    /// A table inside this one.
    pub(crate) fn section(&mut self, key: &'static str) -> Option<Self> {
        let table = self.get(key, table)?;
        Some(self.inner(key, table))
    }

    /// A table inside this one; empty where it is not there.
    pub(crate) fn section_or_empty(&mut self, key: &'static str) -> Self {
        let table = self.get(key, table).unwrap_or_default();
        self.inner(key, table)
    }

    /// All that is left, as names and values.
    pub(crate) fn entries(&mut self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.left).into_iter().collect()
    }

    /// All tables that are left; anything else is a fault.
    pub(crate) fn sections(mut self) -> Vec<(String, Self)> {
        let entries = self.entries();
        let read = entries.into_iter().filter_map(|(key, entry)| {
            let found = table(&entry).map_err(|problem| self.fault(&key, problem));
            Some((key.clone(), self.inner(&key, found.ok()?)))
        });
        read.collect()
    }

    /// All that is left as JSON: a connector's own settings.
    pub(crate) fn rest(mut self) -> serde_json::Value {
        let entries = self.entries();
        serde_json::Value::Object(
            entries
                .iter()
                .map(|(key, entry)| (key.clone(), value::json(entry)))
                .collect(),
        )
    }

    /// Refuses what nobody asked for.
    pub(crate) fn finish(self) {
        for key in self.left.keys() {
            let mut known = self.asked.clone();
            known.sort_unstable();
            self.fault(
                key,
                format!("is no setting; expected one of: {}", known.join(", ")),
            );
        }
    }

    fn inner(&self, key: &str, table: BTreeMap<String, Value>) -> Self {
        Self {
            path: self.name(key),
            left: table,
            asked: Vec::new(),
            faults: self.faults,
            base: self.base,
        }
    }
}

fn table(value: &Value) -> Result<BTreeMap<String, Value>, String> {
    match &value.kind {
        ValueKind::Table(table) => Ok(table.clone().into_iter().collect()),
        _ => Err(format!(
            "expected a table, found {}",
            value::describe(value)
        )),
    }
}
