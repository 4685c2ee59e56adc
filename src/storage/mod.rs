//! Storage: one trait for each kind of data. A backend implements all of them.
//!
//! Data belongs to an owner: an address. An owner need not have an account; the first write makes it. A
//! new account inherits nothing: what was stored for its address before is deleted when it is made.
//!
//! Several servers may share a database later. What each trait promises then is in
//! `docs/decisions/0014-many-writers.md`.

mod account;
mod api_token;
mod archive;
mod capability;
mod data_lock;
mod device;
mod document;
mod error;
mod file;
mod invitation;
mod memory;
mod message_id;
mod node;
mod open;
mod pubsub;
mod pubsub_node;
mod purpose;
mod push;
mod read_cache;
mod read_scheduler;
mod receipt;
mod resumption;
mod room;
mod roster;
mod secret;
mod sender_shares;
mod sql;
mod sqlite;
mod tokenizer;
mod upload_day;
mod usage;
mod wire_id;

use crate::jid::BareJid;
use crate::metrics::Metrics;

pub use account::{Account, AccountStore, Created, NewAccount, ScramHash, ScramKeys};
pub use api_token::{API_TOKENS, ApiToken, ApiTokenHash, ApiTokenStore};
pub use archive::{
    ArchiveStore, Count, End, Holder, Kept, NewMessage, Page, Query, Retention, Stored, Waiting,
    Way,
};
pub use capability::{CapabilityStore, MAX_CAPABILITIES, MAX_CAPABILITIES_OF_OWNER};
pub use data_lock::DataLock;
pub use device::{BY_RESOURCE, Device, DeviceLogin, DeviceStore, MOST_DEVICES, lasting_resource};
pub use document::DocumentStore;
pub use error::{OFFLINE_MESSAGES, Result, StorageError};
pub use file::{
    ContentHash, FILE_QUOTA, FileBounds, FileId, FileStore, FileTotals, REPLACED_AT_ONCE,
    StoredFile, UploadedFiles,
};
pub use invitation::{
    INVITATIONS, Invitation, InvitationId, InvitationKind, InvitationStore, REMEMBERED,
};
pub use memory::MemoryStorage;
pub use message_id::MessageId;
pub use node::NodeNumber;
pub use open::open;
pub use pubsub::{
    ItemPage, ItemQuery, LAST_PAYLOAD, LastItem, LastItemPage, PUBSUB_NODES, PUBSUB_SHARE,
    PubSubStore, Which,
};
pub use pubsub_node::{
    Affiliation, CreatorShare, GraphBounds, LinkProblem, NodeLink, NodeSubscription, NodeSummary,
    PubSubItem, PubSubNode, Publication, PublishAt, Published, ROOT_NODE,
};
pub use purpose::Purpose;
pub use push::{PushDevice, PushRegistration, PushStore};
pub use read_cache::{OfAccount, ReadCache, Seen};
pub use receipt::{Receipt, Receipts};
pub use resumption::{Handled, Resumable, ResumptionStore, SavedSession, SessionNumber};
pub use room::{
    ROOMS_OF_CREATOR, RoomAffiliation, RoomChange, RoomMember, RoomOccupant, RoomQuery,
    RoomSettings, RoomStore, RoomSummary, StoredRoom,
};
pub use roster::{RosterChange, RosterItem, RosterStore, RosterVersion, Subscription};
pub use sqlite::SqliteStorage;
pub use upload_day::{UPLOAD_DAY, UploadDay};
pub use usage::{Usage, UsageStore};
pub use wire_id::WireIds;

/// All stores of one backend.
#[async_trait::async_trait]
pub trait Storage: Send + Sync {
    /// Accounts and their keys.
    fn accounts(&self) -> &dyn AccountStore;
    /// Tokens for the HTTP API.
    fn api_tokens(&self) -> &dyn ApiTokenStore;
    /// Archives, and undelivered messages.
    fn archive(&self) -> &dyn ArchiveStore;
    /// What hashes of capabilities stand for.
    fn capabilities(&self) -> &dyn CapabilityStore;
    /// The clients that have logged in to an account.
    fn devices(&self) -> &dyn DeviceStore;
    /// Small XML documents of an account.
    fn documents(&self) -> &dyn DocumentStore;
    /// Files that users have uploaded (XEP-0363).
    fn files(&self) -> &dyn FileStore;
    /// Invitations.
    fn invitations(&self) -> &dyn InvitationStore;
    /// Nodes of accounts and services, with their items (XEP-0060).
    fn pubsub(&self) -> &dyn PubSubStore;
    /// Push registrations (XEP-0357).
    fn push(&self) -> &dyn PushStore;
    /// Sessions that can be resumed (XEP-0198 §5).
    fn resumption(&self) -> &dyn ResumptionStore;
    /// Rooms of group chats (XEP-0045).
    fn rooms(&self) -> &dyn RoomStore;
    /// Rosters.
    fn roster(&self) -> &dyn RosterStore;
    /// How much each account stores, and its quota.
    fn usage(&self) -> &dyn UsageStore;
    /// The cheapest keys of an account, and one of its documents: what a login by token needs, with one visit to the
    /// database if that is possible. It takes the same time whether there is an account or not.
    ///
    /// # Errors
    /// If one of them cannot be read.
    async fn keys_and_document(
        &self,
        user: &BareJid,
        kind: &str,
        key: &str,
    ) -> Result<(Option<ScramKeys>, Option<String>)> {
        let document = self.documents().get(user, kind, key).await?;
        Ok((self.accounts().cheapest_keys(user).await?, document))
    }
    /// Gives the storage the metrics in which it counts its work. Called once, at the start.
    fn measure(&self, metrics: &Metrics) {
        let _ = metrics; // a backend in memory commits nothing
    }
    /// Whether changes are written now: it makes one that changes nothing, and waits for its commit. It costs no write
    /// to the disk, so it does not find out that the disk is full.
    ///
    /// # Errors
    /// If a change would fail.
    async fn try_writer(&self) -> Result<()> {
        Ok(()) // a backend in memory has no writer
    }
    /// Finishes all writes and closes. Every call after it is an error.
    async fn close(&self);
}
