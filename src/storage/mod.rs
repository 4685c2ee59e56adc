//! What is kept. One trait for each kind of data; a backend implements them all.

mod account;
mod document;
mod offline;
mod roster;

pub use account::{Account, AccountStore, Created, NewAccount, ScramHash, ScramKeys};
pub use document::DocumentStore;
pub use offline::{OfflineMessage, OfflineStore};
pub use roster::{RosterItem, RosterStore, RosterVersion, Subscription};

/// What storage answers.
pub type Result<T> = std::result::Result<T, StorageError>;

/// One repository for each kind of data. A backend implements them all.
#[async_trait::async_trait]
pub trait Storage: Send + Sync {
    /// Who may log in.
    fn accounts(&self) -> &dyn AccountStore;
    /// Small XML documents of an account.
    fn documents(&self) -> &dyn DocumentStore;
    /// Messages which wait for their reader.
    fn offline(&self) -> &dyn OfflineStore;
    /// Contacts.
    fn roster(&self) -> &dyn RosterStore;
    /// Finishes what is under way and closes. Everything afterwards is an error.
    async fn close(&self);
}

/// Why storage could not do it. The peer never sees this text.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The row is there already.
    #[error("conflicts with a stored row")]
    Conflict,
    /// The database failed: full disk, locked file, damage.
    #[error("database: {0}")]
    Database(String),
    /// What is stored cannot be right.
    #[error("{table} {key}: {problem}")]
    Inconsistent {
        /// Where it stands.
        table: &'static str,
        /// Its key, readable.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// A bound of the configuration is reached.
    #[error("limit reached: {0}")]
    Limit(&'static str),
    /// The database was written by a newer version of the program, or cannot be opened.
    #[error("{0}")]
    Unusable(String),
}
