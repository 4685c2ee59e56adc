//! The SQLite backend: one file in the data directory.
//!
//! Reads go through a pool of connections that cannot write, each in one statement. Writes are
//! [`change::Change`]s and go to one task, which commits many of them together.

mod account;
mod admission;
mod api_token;
mod archive;
mod archive_page;
mod archive_query;
mod archive_scan;
mod archive_segments;
mod batch;
mod begin_transaction;
mod block_counts;
mod capability;
mod change;
mod commit_task;
mod database;
mod delete_messages;
mod device;
mod device_note;
mod document;
mod expire_archive;
mod extend_blocks;
mod file;
mod growing_segment;
mod insert_messages;
mod integrity_check;
mod invitation;
mod open;
mod open_error;
mod pubsub;
mod pubsub_change;
mod pubsub_link;
mod pubsub_page;
mod pubsub_publish;
mod push;
#[cfg(test)]
mod query_plan_tests;
mod queued_message;
mod quota;
mod readers;
mod remove_owner;
mod replace_message;
mod resumption;
mod room;
mod roster;
mod schema;
mod under_way;
mod usage;
mod wal;
mod wal_format;
mod write_tx;
mod writer;

use async_trait::async_trait;

use self::change::Nothing;
use self::database::Database;
use super::sql::login_keys;
use super::{
    AccountStore, ApiTokenStore, ArchiveStore, CapabilityStore, DeviceStore, DocumentStore,
    FileStore, InvitationStore, PubSubStore, PushStore, Result, ResumptionStore, RoomStore,
    RosterStore, ScramKeys, Storage, UsageStore,
};
use crate::jid::BareJid;
use crate::metrics::Metrics;

/// The storage in a file of SQLite.
#[derive(Debug)]
pub struct SqliteStorage {
    database: Database,
}

#[async_trait]
impl Storage for SqliteStorage {
    fn accounts(&self) -> &dyn AccountStore {
        &self.database
    }

    fn api_tokens(&self) -> &dyn ApiTokenStore {
        &self.database
    }

    fn archive(&self) -> &dyn ArchiveStore {
        &self.database
    }

    fn capabilities(&self) -> &dyn CapabilityStore {
        &self.database
    }

    fn devices(&self) -> &dyn DeviceStore {
        &self.database
    }

    fn documents(&self) -> &dyn DocumentStore {
        &self.database
    }

    fn files(&self) -> &dyn FileStore {
        &self.database
    }

    fn invitations(&self) -> &dyn InvitationStore {
        &self.database
    }

    fn push(&self) -> &dyn PushStore {
        &self.database
    }

    fn pubsub(&self) -> &dyn PubSubStore {
        &self.database
    }

    fn resumption(&self) -> &dyn ResumptionStore {
        &self.database
    }

    fn rooms(&self) -> &dyn RoomStore {
        &self.database
    }

    fn roster(&self) -> &dyn RosterStore {
        &self.database
    }

    fn usage(&self) -> &dyn UsageStore {
        &self.database
    }

    async fn keys_and_document(
        &self,
        user: &BareJid,
        kind: &str,
        key: &str,
    ) -> Result<(Option<ScramKeys>, Option<String>)> {
        let mut reader = self.database.reader().await?;
        login_keys::keys_and_document(&mut reader, user, kind, key).await
    }

    fn measure(&self, metrics: &Metrics) {
        self.database.writer.measure(metrics);
        self.database.turns.measure(metrics);
    }

    async fn try_writer(&self) -> Result<()> {
        self.database.writer.write(Nothing).await
    }

    /// Commits all changes, moves the log (`-wal`) into the file and closes it.
    async fn close(&self) {
        self.database.readers.close().await;
        self.database.writer.close().await;
    }
}
