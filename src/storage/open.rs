//! Opens the backend that the configuration names.

use std::sync::Arc;

use super::{MemoryStorage, Result, SqliteStorage, Storage};
use crate::config::{Backend, Config};
use crate::tasks::Tasks;

/// Opens the storage that the configuration names, in the data directory. It does not lock the
/// directory: see [`DataLock`].
///
/// # Errors
/// [`StorageError::Unusable`] with a sentence for the administrator.
pub async fn open(config: &Config, tasks: &Tasks) -> Result<Arc<dyn Storage>> {
    match config.storage.backend {
        Backend::Memory => Ok(MemoryStorage::new()),
        Backend::Sqlite => {
            let path = config.data.join("waxwing.sqlite");
            Ok(SqliteStorage::open(&path, config.storage.readers, tasks).await?)
        }
    }
}
