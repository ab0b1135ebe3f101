//! How the database is reached.

use std::str::FromStr as _;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use url::Url;

use super::session::PATIENCE;
use crate::OpenError;

/// Statements that stay prepared per connection.
const PREPARED: usize = 192;
/// After how long a transaction that its process left open is ended by the server, so that it
/// locks nothing any more: a process may be paused in the middle.
const FORGOTTEN: Duration = Duration::from_secs(1);
/// What an address may say behind its `?`.
const KNOWN: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "application_name",
];

/// Which database, and how.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…`, with `sslmode` one of `disable`,
    /// `allow`, `prefer`, `require`, `verify-ca` and `verify-full`, and `sslrootcert`, `sslcert`
    /// and `sslkey` as files. Without `sslrootcert`, the public authorities are believed.
    pub url: SecretString,
    /// Most connections for reading, and for writing apart from the record.
    pub connections: u32,
}

/// The address without what is secret in it.
pub(super) fn shown(settings: &PostgresSettings) -> String {
    let Ok(mut url) = Url::parse(settings.url.expose_secret()) else {
        return "the database".to_owned();
    };
    url.set_query(None);
    url.set_password(None).ok();
    url.into()
}

/// The address as options, for sessions that wait for nothing long.
pub(super) fn options(settings: &PostgresSettings) -> Result<PgConnectOptions, OpenError> {
    let patience = PATIENCE.as_millis().to_string();
    let plain = lasting(settings)?;
    Ok(plain.options([
        ("statement_timeout", patience.clone()),
        ("lock_timeout", patience),
        (
            "idle_in_transaction_session_timeout",
            FORGOTTEN.as_millis().to_string(),
        ),
    ]))
}

/// The same for a session whose statements may take long.
pub(super) fn lasting(settings: &PostgresSettings) -> Result<PgConnectOptions, OpenError> {
    let wrong = |problem: String| OpenError::BadAddress {
        database: shown(settings),
        problem,
    };
    let text = settings.url.expose_secret();
    let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(wrong("expected `postgres://…`".to_owned()));
    }
    for (name, _) in url.query_pairs() {
        if !KNOWN.contains(&name.as_ref()) {
            let known = KNOWN.join("`, `");
            let problem = format!("`{name}` is not known in it: expected `{known}`");
            return Err(wrong(problem));
        }
    }
    // INVARIANT: the text of this error does not quote the address.
    let options = PgConnectOptions::from_str(text)
        .map_err(|_| wrong("a part of it cannot be read: look at `sslmode`".to_owned()))?;
    let named = options.get_application_name().is_some();
    let options = if named {
        options
    } else {
        options.application_name("crmgate")
    };
    Ok(options
        .statement_cache_capacity(PREPARED)
        .disable_statement_logging()
        // Whatever the server's default is: an acknowledged commit is on disk.
        .options([("synchronous_commit", "on")]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> PostgresSettings {
        PostgresSettings {
            url: SecretString::from(url.to_owned()),
            connections: 1,
        }
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        for url in [
            "postgres://gate:hunter2@db:5433/crm?sslmode=nonsense",
            "postgres://gate:hunter2@db:5433/crm?sslpassword=hunter2",
            "mysql://gate:hunter2@db:5433/crm",
            "no address: hunter2",
        ] {
            let error = options(&settings(url)).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let given = settings("postgres://gate:hunter2@db:5433/crm?sslmode=require");
        assert_eq!(shown(&given), "postgres://gate@db:5433/crm");
        assert!(!format!("{given:?}").contains("hunter2"));
    }

    #[test]
    fn an_address_is_followed() {
        let url = "postgres://gate:p%40ss@db:5433/crm?sslmode=verify-full";
        let options = options(&settings(url)).unwrap();
        assert_eq!((options.get_host(), options.get_port()), ("db", 5433));
        assert_eq!(options.get_database(), Some("crm"));
        assert!(matches!(
            options.get_ssl_mode(),
            sqlx::postgres::PgSslMode::VerifyFull
        ));
        assert_eq!(options.get_application_name(), Some("crmgate"));
        let said = options.get_options().unwrap();
        for wanted in ["synchronous_commit=on", "statement_timeout=2000"] {
            assert!(said.contains(wanted), "{said}");
        }
    }

    #[test]
    fn what_is_not_known_in_an_address_is_told() {
        let error = options(&settings("postgres://db/crm?sslmod=require")).unwrap_err();
        assert!(error.to_string().contains("`sslmod`"), "{error}");
    }
}
