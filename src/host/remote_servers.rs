//! What takes stanzas to other servers. It stands above the router, which knows this trait alone.

use std::net::SocketAddr;

use async_trait::async_trait;
use serde_json::Value;

use crate::jid::BareJid;
use crate::stanza::{Stanza, StanzaError};

/// A stream to or from another server, as administrators see it.
#[derive(Clone, Debug)]
pub struct StreamRow {
    /// `out` or `in`.
    pub direction: &'static str,
    /// The domain of ours; empty if nothing is proven yet.
    pub local: String,
    /// The domain of the other server, likewise.
    pub remote: String,
    /// `open`, `connecting` or `unproven`.
    pub state: &'static str,
    /// Where the other server is.
    pub peer: Option<SocketAddr>,
    /// How long the stream has been open.
    pub seconds: u64,
    /// Stanzas that wait to be sent.
    pub waiting: usize,
}

/// Takes stanzas to other servers.
#[async_trait]
pub trait RemoteServers: Send + Sync {
    /// Takes a stanza to the domain of its `to`, in the order in which they come for each pair of domains. It only
    /// queues the stanza, and never waits. If the stanza cannot be delivered, its sender gets the error later
    /// (RFC 6120 §10.4). `by`: the account whose client sent it.
    ///
    /// # Errors
    /// Why it is not even queued. The caller answers the sender.
    fn send(&self, stanza: Stanza, by: Option<&BareJid>) -> Result<(), StanzaError>;

    /// All streams.
    fn streams(&self) -> Vec<StreamRow>;

    /// Ends all streams to and from this domain. Returns how many.
    fn close(&self, domain: &str) -> usize;

    /// Connects to the server of this domain, in the name of a host of ours, and tells what there is: names and values.
    async fn test(&self, from: &str, domain: &str) -> Vec<(&'static str, Value)>;
}
