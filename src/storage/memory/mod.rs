//! Storage in memory, lost with the process: for tests, and for trying the server.
//!
//! It answers exactly as the databases do (`tests/storage.rs` runs the same suite on all), but it is not
//! made to hold much.

mod account;
mod api_token;
mod archive;
mod capability;
mod contacts;
mod device;
mod document;
mod file;
mod invitation;
mod messages;
mod pubsub;
mod pubsub_link;
mod pubsub_node;
mod pubsub_page;
mod pubsub_publish;
mod push;
mod resumption;
mod room;
mod roster;
mod state;
mod storage;
mod usage;

use async_trait::async_trait;

use super::{
    AccountStore, ApiTokenStore, ArchiveStore, CapabilityStore, DeviceStore, DocumentStore,
    FileStore, InvitationStore, PubSubStore, PushStore, ResumptionStore, RoomStore, RosterStore,
    Storage, UsageStore,
};

pub use storage::MemoryStorage;

#[async_trait]
impl Storage for MemoryStorage {
    fn accounts(&self) -> &dyn AccountStore {
        self
    }

    fn api_tokens(&self) -> &dyn ApiTokenStore {
        self
    }

    fn archive(&self) -> &dyn ArchiveStore {
        self
    }

    fn capabilities(&self) -> &dyn CapabilityStore {
        self
    }

    fn devices(&self) -> &dyn DeviceStore {
        self
    }

    fn documents(&self) -> &dyn DocumentStore {
        self
    }

    fn files(&self) -> &dyn FileStore {
        self
    }

    fn invitations(&self) -> &dyn InvitationStore {
        self
    }

    fn push(&self) -> &dyn PushStore {
        self
    }

    fn pubsub(&self) -> &dyn PubSubStore {
        self
    }

    fn resumption(&self) -> &dyn ResumptionStore {
        self
    }

    fn rooms(&self) -> &dyn RoomStore {
        self
    }

    fn roster(&self) -> &dyn RosterStore {
        self
    }

    fn usage(&self) -> &dyn UsageStore {
        self
    }

    async fn close(&self) {
        self.close_all_nodes();
    }
}
