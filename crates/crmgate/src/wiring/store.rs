//! Opens the memory.

use std::path::Path;
use std::sync::Arc;

use crmgate_store_sql::{Settings, SqliteStore};

use crate::ambient;
use crate::exit::{Exit, Failure};

/// Opens the store in the data folder, which is made if it is not there.
///
/// # Errors
/// When another process has it, or it cannot be used.
pub(crate) async fn open(data_dir: &Path) -> Result<Arc<SqliteStore>, Failure> {
    let store = SqliteStore::open(data_dir, &Settings::default(), ambient::system()).await;
    let store = store.map_err(|error| Failure::new(Exit::System, error.to_string()))?;
    Ok(Arc::new(store))
}
