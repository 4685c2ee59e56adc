//! Why a command failed.

use crate::auth::PasswordError;
use crate::storage::StorageError;

/// Why a command failed. Each kind has a fixed exit code (see `cli`).
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The object exists already.
    #[error("{0}")]
    Conflict(String),
    /// The operating system failed: no random numbers, no thread.
    #[error("{0}")]
    Failed(String),
    /// The arguments are invalid.
    #[error("{0}")]
    Invalid(String),
    /// The command needs a running server.
    #[error("this needs a running server")]
    NotRunning,
    /// The object does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The command destroys something and was not confirmed. This is the question to ask.
    #[error("{0}")]
    Unconfirmed(String),
}

impl From<PasswordError> for CommandError {
    fn from(error: PasswordError) -> Self {
        match error.is_internal() {
            true => Self::Failed(error.to_string()),
            false => Self::Invalid(error.to_string()),
        }
    }
}
