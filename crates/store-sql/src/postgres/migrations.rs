//! Bringing the tables up to date, once, whoever starts first.
//!
//! Two versions of crmgate share a database while processes are replaced one by one. A migration
//! whose name begins with `additive` takes nothing away from the version before it: that version
//! goes on, and starts, over tables that have it. Any other must wait until all processes ended.

use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::Connection;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/postgres");

/// What the names of migrations begin with that the version before can live with.
const ADDITIVE: &str = "additive";

/// Runs what is missing.
pub(super) async fn run(options: &PgConnectOptions) -> Result<(), MigrateError> {
    let mut connection = options.connect().await?;
    let mut migrator = Migrator::with_migrations(MIGRATIONS.iter().cloned().collect());
    // Both are seen to here: what is missing by its name, the lock around the look as well.
    migrator.set_ignore_missing(true).set_locking(false);
    connection.lock().await?;
    let done = locked(&mut connection, &migrator).await;
    // The lock ends with the session, however this ends.
    connection.close().await?;
    done
}

async fn locked(connection: &mut Connection, migrator: &Migrator) -> Result<(), MigrateError> {
    for later in unknown(connection).await? {
        if !later.description.starts_with(ADDITIVE) {
            return Err(MigrateError::VersionMissing(later.version));
        }
        tracing::info!(
            version = later.version,
            "the database has tables of a later version of crmgate, which this one can live with"
        );
    }
    migrator.run_direct(None, connection, false).await
}

struct Later {
    version: i64,
    description: String,
}

/// Migrations that this version does not know.
async fn unknown(connection: &mut Connection) -> Result<Vec<Later>, MigrateError> {
    connection
        .ensure_migrations_table("_sqlx_migrations")
        .await?;
    let rows = sqlx::query("SELECT version, description FROM _sqlx_migrations ORDER BY version")
        .fetch_all(connection)
        .await?;
    let all = rows.iter().map(|row| Later {
        version: row.get(0),
        description: row.get(1),
    });
    Ok(all
        .filter(|later| !MIGRATIONS.version_exists(later.version))
        .collect())
}
