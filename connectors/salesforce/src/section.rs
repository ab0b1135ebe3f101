//! Reading settings so that all faults come out together.

use crmgate_connector::{Fault, Secret, SecretError};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

type Secrets<'a> = &'a dyn Fn(&str, &str) -> Result<Secret, SecretError>;

/// One table of settings that is taken apart key by key; what is left at the end is unknown.
pub(crate) struct Section<'a> {
    prefix: String,
    left: Map<String, Value>,
    secrets: Secrets<'a>,
    faults: Vec<Fault>,
}

impl<'a> Section<'a> {
    pub(crate) fn new(settings: &Value, secrets: Secrets<'a>) -> Self {
        let mut section = Self {
            prefix: String::new(),
            left: Map::new(),
            secrets,
            faults: Vec::new(),
        };
        match settings {
            Value::Object(members) => section.left.clone_from(members),
            Value::Null => {}
            _ => section.fault("", "expected a table"),
        }
        section
    }

    pub(crate) fn fault(&mut self, key: &str, problem: impl Into<String>) {
        let setting = format!("{}{key}", self.prefix);
        self.faults.push(Fault::new(&setting, problem));
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.left.remove(key).filter(|value| !value.is_null())
    }

    /// A text that may be missing.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => {
                self.fault(key, "expected a text that is not empty");
                None
            }
        }
    }

    /// A text that must be there; `what` says what it would be.
    pub(crate) fn required(&mut self, key: &str, what: &str) -> Option<String> {
        if !self.left.contains_key(key) {
            self.fault(key, format!("is missing: expected {what}"));
            return None;
        }
        self.text(key)
    }

    /// The origin of an `https` address (`http` for this machine).
    pub(crate) fn origin(&mut self, key: &str) -> Option<Url> {
        let text = self.text(key)?;
        let parsed = Url::parse(&text).ok().filter(|url| {
            url.has_host()
                && url.path() == "/"
                && url.query().is_none()
                && url.username().is_empty()
        });
        let Some(url) = parsed else {
            self.fault(
                key,
                format!("`{text}` is no address: expected `https://HOST` without a path"),
            );
            return None;
        };
        let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if url.scheme() != "https" && !(url.scheme() == "http" && local) {
            self.fault(key, format!("`{text}` is not `https`"));
            return None;
        }
        Some(url)
    }

    /// A secret by reference.
    pub(crate) fn secret(&mut self, key: &str) -> Option<Secret> {
        let reference = self.text(key)?;
        let setting = format!("{}{key}", self.prefix);
        match (self.secrets)(&setting, &reference) {
            Ok(secret) => Some(secret),
            Err(error) => {
                self.faults.push(Fault::new(&setting, error.problem));
                None
            }
        }
    }

    /// A secret that must be there.
    pub(crate) fn required_secret(&mut self, key: &str) -> Option<Secret> {
        if !self.left.contains_key(key) {
            self.fault(key, "is missing: expected `env:NAME` or `file:PATH`");
            return None;
        }
        self.secret(key)
    }

    /// A setting of a shape of its own; its default where it is missing.
    pub(crate) fn shape<T: DeserializeOwned + Default>(&mut self, key: &str) -> T {
        let Some(value) = self.take(key) else {
            return T::default();
        };
        serde_json::from_value(value).unwrap_or_else(|error| {
            self.fault(key, error.to_string());
            T::default()
        })
    }

    /// A table inside this one.
    pub(crate) fn inner<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Section<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(key)?;
        let mut inner = Section {
            prefix: format!("{}{key}.", self.prefix),
            left: Map::new(),
            secrets: self.secrets,
            faults: Vec::new(),
        };
        let result = if let Value::Object(members) = value {
            inner.left = members;
            read(&mut inner)
        } else {
            self.fault(key, "expected a table");
            None
        };
        inner.refuse_unknown();
        self.faults.append(&mut inner.faults);
        result
    }

    fn refuse_unknown(&mut self) {
        let unknown: Vec<String> = self.left.keys().cloned().collect();
        for key in unknown {
            self.fault(&key, "is no setting of a Salesforce connection");
        }
    }

    /// All faults, unknown settings included.
    pub(crate) fn finish(mut self) -> Vec<Fault> {
        self.refuse_unknown();
        self.faults
    }
}
