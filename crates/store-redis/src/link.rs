//! The connection for commands: made when it is needed, given up when it fails, never waited for
//! longer than agreed.

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, ScriptInvocation,
    ServerErrorKind, TlsCertificates,
};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;

use crmgate_store::StoreError;

use crate::Settings;

/// A connection, shared by all calls of the process: their commands follow each other closely, and
/// answers come as they come.
pub(crate) struct Link {
    settings: Settings,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that one failure ends one of them.
    nth: u64,
}

impl Link {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            open: Mutex::default(),
        }
    }

    /// A client for the address as it is now.
    pub(crate) fn client(&self) -> Result<Client, StoreError> {
        let address = (self.settings.address)().map_err(StoreError::Unavailable)?;
        let address = address.expose_secret();
        let client = match &self.settings.ca_file {
            Some(file) => {
                let root = std::fs::read(file).map_err(|error| {
                    StoreError::Unavailable(format!("redis: `{}`: {error}", file.display()))
                })?;
                Client::build_with_tls(
                    address,
                    TlsCertificates {
                        client_tls: None,
                        root_cert: Some(root),
                    },
                )
            }
            None => Client::open(address),
        };
        // What the crate says of an address may quote it.
        client.map_err(|error| {
            StoreError::Unavailable(format!(
                "redis: its address or `ca_file` is not usable ({:?})",
                error.kind()
            ))
        })
    }

    /// How long anything may take.
    pub(crate) const fn wait(&self) -> std::time::Duration {
        self.settings.wait
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64), StoreError> {
        let mut open = self.open.lock().await;
        if let Some(connection) = &open.connection {
            return Ok((connection.clone(), open.nth));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.settings.wait))
            .set_response_timeout(Some(self.settings.wait));
        let client = self.client()?;
        let made = client.get_multiplexed_async_connection_with_config(&config);
        let made = made.await.map_err(|error| failure(&error))?;
        open.nth += 1;
        open.connection = Some(made.clone());
        Ok((made, open.nth))
    }

    /// Asks once.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.with(async |mut connection| command.query_async(&mut connection).await)
            .await
    }

    /// Runs a script, which the server is given first if it does not know it.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        self.with(async |mut connection| script.invoke_async(&mut connection).await)
            .await
    }

    async fn with<T>(
        &self,
        ask: impl AsyncFnOnce(MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        let mut used = None;
        let asked = async {
            let (connection, nth) = self.connection().await?;
            used = Some(nth);
            Ok(ask(connection).await)
        };
        let Ok(answer) = tokio::time::timeout(self.settings.wait, asked).await else {
            self.give_up(used).await;
            return Err(StoreError::Unavailable(format!(
                "redis: no answer within {:?}",
                self.settings.wait
            )));
        };
        let answer = answer?;
        if let Err(error) = &answer
            && is_over(error)
        {
            self.give_up(used).await;
        }
        answer.map_err(|error| failure(&error))
    }

    async fn give_up(&self, used: Option<u64>) {
        // Whoever holds the lock is connecting already.
        if let Ok(mut open) = self.open.try_lock()
            && used == Some(open.nth)
        {
            open.connection = None;
        }
    }
}

/// Whether a connection is of no use any more: broken, or to a server that lost its office.
fn is_over(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        )
}

/// What callers are told. The crate's words name no password; an address only by host and port.
pub(crate) fn failure(error: &RedisError) -> StoreError {
    match error.kind() {
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => {
            StoreError::Corrupt(format!("redis: {error}"))
        }
        _ => StoreError::Unavailable(format!("redis: {error}")),
    }
}
