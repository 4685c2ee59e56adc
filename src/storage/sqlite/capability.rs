//! What hashes of capabilities stand for, in SQLite.

use async_trait::async_trait;
use smol_str::SmolStr;

use super::change::Change;
use super::database::Database;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::storage::sql::capability;
use crate::storage::{CapabilityStore, Result};

#[async_trait]
impl CapabilityStore for Database {
    async fn interests(&self, hash: &str) -> Result<Option<Vec<SmolStr>>> {
        capability::interests(&mut *self.reader().await?, hash).await
    }

    async fn remember(&self, owner: &BareJid, hash: &str, nodes: &[SmolStr]) -> Result<()> {
        let (owner, hash) = (owner.clone(), hash.to_owned());
        self.writer.write(Remember { owner, hash, nodes: nodes.to_vec() }).await
    }
}

struct Remember {
    owner: BareJid,
    hash: String,
    nodes: Vec<SmolStr>,
}

#[async_trait]
impl Change for Remember {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        let owner = on.owner(&self.owner).await?.number;
        let on = on.tx.connection().await?;
        capability::remember(on, owner, &self.hash, &self.nodes).await
    }
}
