//! Sessions in SQLite that can be resumed.

use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::change::Change;
use super::database::Database;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::sql::resumption::{self, Begin};
use crate::storage::{
    Handled, NodeNumber, Receipt, Result, Resumable, ResumptionStore, SavedSession, SessionNumber,
    StorageError,
};

#[async_trait]
impl ResumptionStore for Database {
    async fn begin(
        &self,
        owner: &BareJid,
        resource: &str,
        key: &str,
    ) -> Result<(SessionNumber, Receipt)> {
        let counter = self.last_session.fetch_add(1, Ordering::Relaxed) + 1;
        let (node, number) = (self.node, SessionNumber::new(self.node, counter));
        let (owner, resource, key) = (owner.clone(), resource.into(), key.into());
        let receipt = self.writer.begin(Begin { number, node, owner, resource, key }).await?;
        Ok((number, receipt))
    }

    async fn handled(&self, handled: Handled) -> Result<Receipt> {
        self.writer.handled(handled).await
    }

    async fn save(&self, sessions: Vec<SavedSession>) -> Result<()> {
        self.writer.write(Save(sessions)).await
    }

    async fn find(&self, key: &str) -> Result<Option<Resumable>> {
        self.writer.flush().await?;
        resumption::find(&mut *self.reader().await?, key).await
    }

    async fn all(&self) -> Result<Vec<Resumable>> {
        self.writer.flush().await?;
        resumption::all(&mut *self.reader().await?, self.node).await
    }

    async fn begin_anew(&self, at: Timestamp) -> Result<()> {
        self.writer.write(BeginAnew { node: self.node, at }).await
    }

    async fn end(&self, session: SessionNumber, at: Timestamp) -> Result<()> {
        self.writer.end(session, at).await
    }

    async fn end_all(&self, owner: &BareJid, at: Timestamp) -> Result<u64> {
        self.writer.write(EndAll { owner: owner.clone(), at }).await
    }

    async fn expire(&self, before: Timestamp) -> Result<u64> {
        self.writer.write(Expire(before)).await
    }
}

struct Save(Vec<SavedSession>);

#[async_trait]
impl Change for Save {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        for session in &self.0 {
            if !resumption::save(on.tx.connection().await?, session).await? {
                // Its beginning could not be written: the disk was full, or its account was removed.
                let key = session.number.0.to_string();
                let problem = "there is no such session".to_owned();
                return Err(StorageError::Inconsistent { table: "resumable", key, problem });
            }
        }
        let handled: Vec<_> = self.0.iter().map(|s| (s.number.0, s.handled)).collect();
        resumption::set_handled(&mut on.tx, &handled).await
    }
}

struct BeginAnew {
    node: NodeNumber,
    at: Timestamp,
}

#[async_trait]
impl Change for BeginAnew {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        resumption::begin_anew(on.tx.connection().await?, self.node, self.at).await
    }
}

struct EndAll {
    owner: BareJid,
    at: Timestamp,
}

#[async_trait]
impl Change for EndAll {
    type Answer = u64;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<u64> {
        resumption::end_all(on.tx.connection().await?, &self.owner, self.at).await
    }
}

struct Expire(Timestamp);

#[async_trait]
impl Change for Expire {
    type Answer = u64;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<u64> {
        resumption::expire(&mut on.tx, self.0, AT_ONCE).await
    }
}

/// How many sessions are forgotten in one change, so that it does not delay the others.
const AT_ONCE: i64 = 500;
