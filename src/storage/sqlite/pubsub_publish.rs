//! Publishes items of a node of XEP-0060, in one transaction with the node that may be new.

use async_trait::async_trait;

use super::change::Change;
use super::quota;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::storage::pubsub::{PUBSUB_NODES, PUBSUB_SHARE, node_bytes};
use crate::storage::sql::pubsub::{self, NodeRow};
use crate::storage::sql::pubsub_item::{self, ItemRow};
use crate::storage::{PubSubItem, Publication, PublishAt, Published, Result, StorageError};

/// Publishes items.
pub(super) struct Publish {
    pub(super) owner: BareJid,
    pub(super) name: String,
    pub(super) publication: Publication,
}

#[async_trait]
impl Change for Publish {
    type Answer = Option<Published>;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<Option<Published>> {
        let new = &self.publication;
        let found = pubsub::find(on.tx.connection().await?, &self.owner, &self.name).await?;
        let (owner, mut node) = match (&new.at, found) {
            (PublishAt::Existing(created), Some(node)) if node.created == created.as_micros() => {
                (None, node)
            }
            (_, Some(_)) | (PublishAt::Existing(_), None) => return Ok(None),
            (PublishAt::New(_), None) => {
                let owner = on.owner(&self.owner).await?.number;
                if pubsub::count(on.tx.connection().await?, owner).await?
                    >= i64::from(new.max_nodes)
                {
                    return Err(StorageError::Limit(PUBSUB_NODES));
                }
                (
                    Some(owner),
                    NodeRow { number: 0, created: 0, last_position: 0, items: 0, bytes: 0 },
                )
            }
        };
        let skipped = new.items.len().saturating_sub(new.keep);
        let added = &new.items[skipped..];
        let (overwritten, dropped) = match owner {
            Some(_) => Default::default(),
            None => self.removed(on, &node).await?,
        };
        let itself = match &new.at {
            PublishAt::New(node) => node_bytes(&self.name, &node.config),
            PublishAt::Existing(_) => 0,
        };
        let more = added.iter().map(PubSubItem::bytes).sum::<u64>() + itself;
        let less: i64 = overwritten.iter().chain(&dropped).map(|item| item.bytes).sum();
        self.check_share(on, less.unsigned_abs(), more).await?;
        quota::charge(on, &self.owner, less.unsigned_abs(), more, new.within_quota).await?;

        if let (Some(owner), PublishAt::New(create)) = (owner, &new.at) {
            node.number = pubsub::insert(on.tx.connection().await?, owner, create, 0).await?;
        }
        let removed = overwritten.iter().chain(&dropped).map(|item| item.position);
        let first = node.last_position + 1;
        pubsub_item::replace(&mut on.tx, node.number, removed, first, added).await?;
        node.last_position += added.len() as i64;
        node.items += added.len() as i64 - (overwritten.len() + dropped.len()) as i64;
        node.bytes += more.cast_signed() - less;
        pubsub::queue_sums(&mut on.tx, &node).await?;
        let dropped = dropped.into_iter().map(|item| item.id).collect();
        Ok(Some(Published { created: owner.is_some(), dropped }))
    }
}

impl Publish {
    /// Refuses what grows beyond the share of the node's creator.
    async fn check_share(&self, on: &mut WriteTx<'_>, old: u64, new: u64) -> Result<()> {
        let more = new.saturating_sub(old);
        let Some(share) = self.publication.share.as_ref().filter(|_| more > 0) else {
            return Ok(());
        };
        let connection = on.tx.connection().await?;
        let (nodes, bytes) = pubsub::of_creator(connection, &self.owner, &share.creator).await?;
        let is_new = matches!(self.publication.at, PublishAt::New(_));
        match share.is_exceeded(is_new, more, nodes, bytes) {
            true => Err(StorageError::Limit(PUBSUB_SHARE)),
            false => Ok(()),
        }
    }

    /// The items that are overwritten, and those that are dropped, oldest first.
    async fn removed(
        &self,
        on: &mut WriteTx<'_>,
        node: &NodeRow,
    ) -> Result<(Vec<ItemRow>, Vec<ItemRow>)> {
        let new = &self.publication;
        if new.items.is_empty() {
            return Ok(Default::default());
        }
        let connection = on.tx.connection().await?;
        let mut overwritten = Vec::new();
        for item in &new.items {
            overwritten.extend(pubsub_item::find(&mut *connection, node.number, &item.id).await?);
        }
        let others = usize::try_from(node.items).unwrap_or(0).saturating_sub(overwritten.len());
        let excess = (others + new.items.len().min(new.keep)).saturating_sub(new.keep);
        let is_old =
            |item: &ItemRow| new.expire_before.is_some_and(|at| item.published < at.as_micros());
        // Items that are too old may be many: they are read until one is not.
        let mut wanted = excess + overwritten.len();
        let (mut rows, mut all) = (Vec::new(), wanted == 0 && new.expire_before.is_none());
        while !all {
            wanted = wanted.max(1);
            rows = pubsub_item::oldest(&mut *connection, node.number, wanted).await?;
            all = rows.len() < wanted || rows.last().is_none_or(|last| !is_old(last));
            wanted = wanted.saturating_mul(4);
        }
        rows.retain(|row| !overwritten.iter().any(|item| item.id == row.id));
        let mut index = 0;
        rows.retain(|row| {
            index += 1;
            index <= excess || is_old(row)
        });
        Ok((overwritten, rows))
    }
}
