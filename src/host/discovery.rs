//! Providers of service discovery (XEP-0030), which features and services register.

use async_trait::async_trait;

use super::Cx;
use crate::jid::Jid;
use crate::payload::disco::{Info, Item};
use crate::stanza::StanzaError;

/// The subject of a request for service discovery.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The address.
    pub to: &'a Jid,
    /// The sender of the request.
    pub from: &'a Jid,
    /// A node of the address; `None` for the address itself. Never empty (XEP-0030 §3.1).
    pub node: Option<&'a str>,
}

/// Provides information and items of an address. Each provider decides who may see them.
///
/// For the address itself (`node` is `None`) all providers are asked, and what the registry announces is
/// added. A node belongs to the first provider that knows it.
#[async_trait]
pub trait Discovery: Send + Sync {
    /// The identities and features of the address or node; `None` if this provider does not know it.
    ///
    /// # Errors
    /// The error for a sender that may not know.
    async fn info(&self, _cx: &Cx<'_>, _asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        Ok(None)
    }

    /// The items of the address or node; `None` if this provider does not know it. A node that exists and has
    /// no items has an empty list (XEP-0030 §4.1).
    ///
    /// # Errors
    /// The error for a sender that may not know.
    async fn items(
        &self,
        _cx: &Cx<'_>,
        _asked: Asked<'_>,
    ) -> Result<Option<Vec<Item>>, StanzaError> {
        Ok(None)
    }
}
