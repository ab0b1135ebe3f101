//! Whose clock leases and shared values go by.

use super::{Connection, scalar};

/// The database's: processes may run on machines whose clocks differ.
pub(crate) async fn clock(connection: &mut Connection, _: i64) -> Result<i64, sqlx::Error> {
    let micros: i64 =
        scalar("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)")
            .fetch_one(connection)
            .await?;
    Ok(micros.saturating_mul(1_000))
}
