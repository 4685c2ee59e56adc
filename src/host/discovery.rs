//! What is found out by service discovery (XEP-0030), as features and services enter it.

use async_trait::async_trait;

use super::Cx;
use crate::jid::Jid;
use crate::payload::disco::{Info, Item};
use crate::stanza::StanzaError;

/// What somebody asks about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The address.
    pub to: &'a Jid,
    /// Who asks.
    pub from: &'a Jid,
    /// A node of the address; `None` for the address itself. Never empty (XEP-0030 §3.1).
    pub node: Option<&'a str>,
}

/// Tells what there is at an address. Each provider decides itself who may see what it tells.
///
/// About the address itself (`node` is `None`) all providers tell what they know, besides what the
/// registry announces. A node belongs to the first provider that knows it.
#[async_trait]
pub trait Discovery: Send + Sync {
    /// What the address or its node is and can do; `None` if this provider knows nothing of it.
    ///
    /// # Errors
    /// Tells the sender why it may not know.
    async fn info(&self, _cx: &Cx<'_>, _asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        Ok(None)
    }

    /// What is found there; `None` if this provider knows nothing of it. A node that exists and has no
    /// items has an empty list (XEP-0030 §4.1).
    ///
    /// # Errors
    /// Tells the sender why it may not know.
    async fn items(
        &self,
        _cx: &Cx<'_>,
        _asked: Asked<'_>,
    ) -> Result<Option<Vec<Item>>, StanzaError> {
        Ok(None)
    }
}
