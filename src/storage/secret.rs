//! The server's secret: see [`super::AccountStore::secret`].

use super::{Result, StorageError};

/// 32 random bytes.
///
/// # Errors
/// If the operating system gives no random bytes.
pub(super) fn new_secret() -> Result<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|e| StorageError::Database(format!("no random bytes: {e}")))?;
    Ok(secret)
}
