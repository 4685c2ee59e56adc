//! Nodes of XEP-0060 are put into collections (XEP-0248).

use async_trait::async_trait;

use super::change::Change;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::storage::sql::{Connection, pubsub, pubsub_child};
use crate::storage::{GraphBounds, LinkProblem, NodeLink, Result};

/// Puts nodes into collections, and takes them out of others: all, or none.
pub(super) struct Link {
    pub(super) owner: BareJid,
    pub(super) links: Vec<NodeLink>,
    pub(super) bounds: GraphBounds,
}

#[async_trait]
impl Change for Link {
    type Answer = std::result::Result<(), LinkProblem>;

    async fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Self::Answer> {
        let on = tx.tx.connection().await?;
        let mut done = Vec::new();
        for link in &self.links {
            match self.one(on, link).await? {
                Ok(changed) => done.extend(changed),
                Err(problem) => {
                    // Others are committed together with this: what it has done is undone.
                    for (is_put, node, parent) in done.into_iter().rev() {
                        if is_put {
                            pubsub_child::take(on, node, parent).await?;
                        } else {
                            pubsub_child::put(on, node, parent).await?;
                        }
                    }
                    return Ok(Err(problem));
                }
            }
        }
        Ok(Ok(()))
    }
}

/// A node was put into a collection, or taken out of it.
type Done = (bool, i64, i64);

impl Link {
    async fn one(
        &self,
        on: &mut Connection,
        link: &NodeLink,
    ) -> Result<std::result::Result<Option<Done>, LinkProblem>> {
        let node = pubsub::find(on, &self.owner, &link.child).await?;
        let parent = pubsub::find(on, &self.owner, &link.parent).await?;
        let (Some(node), Some(parent)) = (node, parent) else {
            return Ok(Err(LinkProblem::NotFound));
        };
        let (node, parent) = (node.number, parent.number);
        let is_in = pubsub_child::is_in(on, node, parent).await?;
        let Some(max_children) = link.max_children else {
            pubsub_child::take(on, node, parent).await?;
            return Ok(Ok(is_in.then_some((false, node, parent))));
        };
        if is_in {
            return Ok(Ok(None));
        }
        let over = pubsub_child::above(on, parent, usize::MAX).await?;
        if node == parent || over.iter().any(|(number, ..)| *number == node) {
            return Ok(Err(LinkProblem::Cycle));
        }
        let (parents, children) = pubsub_child::counts(on, node, parent).await?;
        let mut above: Vec<i64> = over.into_iter().map(|(number, ..)| number).collect();
        above.push(parent);
        above.extend(pubsub_child::above(on, node, usize::MAX).await?.into_iter().map(|one| one.0));
        above.sort_unstable();
        above.dedup();
        if parents >= i64::from(self.bounds.parents)
            || children >= i64::from(max_children)
            || above.len() > self.bounds.above as usize
        {
            return Ok(Err(LinkProblem::TooMany));
        }
        pubsub_child::put(on, node, parent).await?;
        Ok(Ok(Some((true, node, parent))))
    }
}
