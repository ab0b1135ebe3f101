//! Whose clock leases and shared values go by.

use super::Connection;

/// The process' own: it is the only one.
pub(crate) async fn clock(_: &mut Connection, ambient: i64) -> Result<i64, sqlx::Error> {
    Ok(ambient)
}
