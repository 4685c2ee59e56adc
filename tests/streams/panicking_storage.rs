//! A storage with a bug: reading a roster panics.

use std::sync::Arc;

use waxwing::storage::{
    AccountStore, ApiTokenStore, ArchiveStore, CapabilityStore, DeviceStore, DocumentStore,
    FileStore, InvitationStore, MemoryStorage, PubSubStore, PushStore, ResumptionStore, RoomStore,
    RosterStore, Storage, UsageStore,
};

/// Passes everything on, but panics when a roster is read.
pub(super) struct PanickingStorage(pub(super) Arc<MemoryStorage>);

#[async_trait::async_trait]
impl Storage for PanickingStorage {
    fn accounts(&self) -> &dyn AccountStore {
        self.0.accounts()
    }

    fn api_tokens(&self) -> &dyn ApiTokenStore {
        Storage::api_tokens(&*self.0)
    }

    fn archive(&self) -> &dyn ArchiveStore {
        self.0.archive()
    }

    fn invitations(&self) -> &dyn InvitationStore {
        Storage::invitations(&*self.0)
    }

    fn files(&self) -> &dyn FileStore {
        self.0.files()
    }

    fn capabilities(&self) -> &dyn CapabilityStore {
        self.0.capabilities()
    }

    fn devices(&self) -> &dyn DeviceStore {
        self.0.devices()
    }

    fn documents(&self) -> &dyn DocumentStore {
        self.0.documents()
    }

    fn pubsub(&self) -> &dyn PubSubStore {
        self.0.pubsub()
    }

    fn push(&self) -> &dyn PushStore {
        self.0.push()
    }

    fn resumption(&self) -> &dyn ResumptionStore {
        self.0.resumption()
    }

    fn rooms(&self) -> &dyn RoomStore {
        self.0.rooms()
    }

    fn roster(&self) -> &dyn RosterStore {
        panic!("a bug, for the test")
    }

    fn usage(&self) -> &dyn UsageStore {
        self.0.usage()
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
