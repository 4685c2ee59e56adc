//! What is kept. One trait for each kind of data; a backend implements them all.
//!
//! An owner need not have an account: the first write makes it. But a new account never inherits:
//! what was kept for its address before is gone when it is made.

mod account;
mod archive;
mod data_lock;
mod document;
mod error;
mod memory;
mod message_id;
mod node;
mod read_scheduler;
mod resumption;
mod roster;
mod sender_shares;
mod sql;
mod sqlite;
mod tokenizer;
mod usage;
mod wire_id;

use std::sync::Arc;

use crate::config::{Backend, Config};
use crate::metrics::Metrics;
use crate::tasks::Tasks;

pub use account::{Account, AccountStore, Created, NewAccount, ScramHash, ScramKeys};
pub use archive::{
    ArchiveStore, Count, End, Handled, Holder, Kept, NewMessage, Page, Query, Receipt, Retention,
    Stored, Waiting, Way,
};
pub use data_lock::DataLock;
pub use document::DocumentStore;
pub use error::{Result, StorageError};
pub use memory::MemoryStorage;
pub use message_id::MessageId;
pub use node::NodeNumber;
pub use resumption::{Resumable, ResumptionStore, SavedSession, SessionNumber};
pub use roster::{RosterChange, RosterItem, RosterStore, RosterVersion, Subscription};
pub use sqlite::SqliteStorage;
pub use usage::{Usage, UsageStore};
pub use wire_id::WireIds;

/// Opens what the configuration names, in the data directory. Does not lock it: see [`DataLock`].
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

/// One repository for each kind of data. A backend implements them all.
#[async_trait::async_trait]
pub trait Storage: Send + Sync {
    /// Who may log in.
    fn accounts(&self) -> &dyn AccountStore;
    /// Messages: archives, and what is not delivered yet.
    fn archive(&self) -> &dyn ArchiveStore;
    /// Small XML documents of an account.
    fn documents(&self) -> &dyn DocumentStore;
    /// Sessions that can be resumed.
    fn resumption(&self) -> &dyn ResumptionStore;
    /// Contacts.
    fn roster(&self) -> &dyn RosterStore;
    /// How much accounts keep.
    fn usage(&self) -> &dyn UsageStore;
    /// Counts what it does with these from now on. Called once, at the start.
    fn measure(&self, metrics: &Metrics) {
        let _ = metrics; // what is in memory only commits nothing
    }
    /// Finishes what is under way and closes. Everything afterwards is an error.
    async fn close(&self);
}

/// The version of a roster after its first change. It depends on the owner's number, which is never
/// used again: a client that remembers the roster of an account that is gone must not take a newer
/// account's roster of the same address for it (RFC 6121 §2.6).
fn first_version(owner: i64) -> RosterVersion {
    (owner.unsigned_abs() << 32) | 1
}

/// The limit of messages that wait for an account.
pub const WAITING: &str = "offline messages";

/// Removed items that are remembered for each owner, so that clients learn what has gone.
const MAX_REMOVED: usize = 256;

fn new_secret() -> Result<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|e| StorageError::Database(format!("no random bytes: {e}")))?;
    Ok(secret)
}
