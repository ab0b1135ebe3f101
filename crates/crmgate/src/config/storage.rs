//! Where the record, operations and their wake-ups are kept.

use std::path::PathBuf;

use crmgate_connector::Secret;
use crmgate_connector::secret::{ExposeSecret as _, SecretString};

use url::Url;

use super::section::Section;
use super::{secret, value};

/// A server's address, with the password in it where one is given.
#[derive(Clone)]
pub(crate) struct Server {
    /// Without the password: for people.
    pub(crate) shown: String,
    url: Url,
    password: Option<Secret>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Server {
    /// The whole address, as it is now: a password's file may have changed.
    ///
    /// # Errors
    /// When the password cannot be read.
    pub(crate) fn address(&self) -> Result<SecretString, String> {
        let mut url = self.url.clone();
        if let Some(password) = &self.password {
            let password = password.get().map_err(|error| error.to_string())?;
            url.set_password(Some(password.expose_secret()))
                .map_err(|()| "an address without a host takes no password".to_owned())?;
        }
        Ok(SecretString::from(String::from(url)))
    }

    /// Reads `url` and `password`.
    fn read(section: &mut Section<'_>, schemes: &'static [&'static str]) -> Option<Self> {
        let base = section.base().to_owned();
        let setting = section.name("password");
        let password = section.get("password", |v| {
            secret::resolve(&base, &setting, &value::text(v)?).map_err(|error| error.problem)
        });
        let setting = section.name("url");
        let url = section.get("url", |v| {
            let text = value::text(v)?;
            if text.starts_with("env:") || text.starts_with("file:") {
                let whole = secret::resolve(&base, &setting, &text);
                let whole = whole.map_err(|error| error.problem)?;
                let whole = whole.get().map_err(|error| error.problem)?;
                return address(whole.expose_secret(), schemes).map(|url| (url, true));
            }
            let url = address(&text, schemes)?;
            if url.password().is_some() {
                return Err(
                    "has a password in it: expected it in `password`, or the whole \
                            address as `env:NAME` or `file:PATH`"
                        .to_owned(),
                );
            }
            Ok((url, false))
        });
        if password.is_some() && url.is_none() {
            section.fault("password", "expected `url` beside it");
        }
        let (url, _) = url?;
        let mut shown = url.clone();
        if shown.password().is_some() {
            shown.set_password(None).ok();
        }
        shown.set_query(None);
        Some(Self {
            shown: shown.into(),
            url,
            password,
        })
    }
}

/// INVARIANT: the text is not shown in the fault; it may hold a password.
fn address(text: &str, schemes: &[&str]) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| schemes.contains(&url.scheme()))
        .ok_or_else(|| {
            let known: Vec<String> = schemes
                .iter()
                .map(|scheme| format!("`{scheme}://`"))
                .collect();
            format!(
                "expected an address that begins with {}",
                known.join(" or ")
            )
        })
}

/// The memory.
#[derive(Debug)]
pub(crate) struct Storage {
    /// The database that several processes share; without one, a file in the data folder.
    pub(crate) database: Option<Server>,
    /// Database connections for reading, of one process.
    pub(crate) connections: usize,
    /// New operations are refused when the data folder's disk has less than this left.
    pub(crate) min_free: usize,
}

impl Storage {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let storage = Self {
            database: Server::read(&mut section, &["postgres", "postgresql"]),
            connections: section.need("connections", value::count),
            min_free: section.need("min_free", value::size),
        };
        section.finish();
        storage
    }
}

fn prefix(v: &::config::Value) -> Result<String, String> {
    let text = value::text(v)?;
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    if text.len() <= 40 && text.bytes().all(plain) {
        return Ok(text);
    }
    Err(format!(
        "expected up to 40 of `a-z`, `0-9`, `-`, `_`, `.` and `:`, found `{text}`"
    ))
}

/// The wake-ups.
#[derive(Debug)]
pub(crate) struct Queue {
    /// The server that several processes share; without one, they lie in the database.
    pub(crate) server: Option<Server>,
    /// Whom to trust in place of the system's authorities, where it speaks TLS.
    pub(crate) ca_file: Option<PathBuf>,
    /// What all its keys begin with.
    pub(crate) prefix: String,
    /// Operations that may wait, over all.
    pub(crate) most: usize,
    /// And of one connection.
    pub(crate) most_per_connection: usize,
}

impl Queue {
    pub(super) fn read(mut section: Section<'_>, storage: &Storage) -> Self {
        let queue = Self {
            server: Server::read(&mut section, &["redis", "rediss"]),
            ca_file: section.path("ca_file"),
            prefix: section.need("prefix", prefix),
            most: section.need("most", value::count),
            most_per_connection: section.need("most_per_connection", value::count),
        };
        if queue.server.is_some() && storage.database.is_none() {
            section.fault(
                "url",
                "goes with a database that several processes share: expected `storage.url`, too; \
                 with a file, wake-ups lie beside the operations",
            );
        }
        let secured = |server: &Server| server.url.scheme() == "rediss";
        if queue.ca_file.is_some() && !queue.server.as_ref().is_some_and(secured) {
            section.fault(
                "ca_file",
                "goes with a server that speaks TLS: expected a `url` that begins with `rediss://`",
            );
        }
        section.finish();
        queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    fn faults(text: &str) -> String {
        let file = std::path::Path::new("crmgate.toml");
        match load_text(Some((file, text)), std::path::Path::new("."), &[]) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_password_stands_in_no_address_and_in_no_message() {
        let told = faults("[storage]\nurl = \"postgres://gate:hunter2@db/crmgate\"\n");
        assert!(told.contains("storage.url"), "{told}");
        assert!(told.contains("expected it in `password`"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
        let told = faults("[storage]\nurl = \"mysql://gate:hunter2@db/crmgate\"\n");
        assert!(told.contains("`postgres://`"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
        let told = faults("[queue]\nurl = \"redis://cache:6379\"\n");
        assert!(told.contains("expected `storage.url`"), "{told}");
        let told = faults("[queue]\nurl = \"redis://cache:6379\"\nca_file = \"ca.pem\"\n");
        assert!(told.contains("queue.ca_file"), "{told}");
        assert!(told.contains("`rediss://`"), "{told}");
    }

    #[test]
    fn the_password_comes_from_its_file_and_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pw"), "p@ss/word\n").unwrap();
        let text = "[storage]\nurl = \"postgres://gate@db/crmgate?sslmode=require\"\n\
                    password = \"file:pw\"\n\
                    [record]\nkey = \"file:pw\"\n[decision_log]\nhash_key = \"file:pw\"\n";
        let file = dir.path().join("crmgate.toml");
        let loaded = load_text(Some((&file, text)), dir.path(), &[]).unwrap();
        let server = loaded.config.storage.database.unwrap();
        let address = server.address().unwrap();
        let whole = "postgres://gate:p%40ss%2Fword@db/crmgate?sslmode=require";
        assert_eq!(address.expose_secret(), whole);
        assert_eq!(format!("{server:?}"), "postgres://gate@db/crmgate");
    }
}
