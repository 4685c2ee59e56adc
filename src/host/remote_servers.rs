//! The interface to the code that takes stanzas to other servers. That code stands above the router, which knows only
//! this trait.

use std::net::SocketAddr;

use async_trait::async_trait;
use serde_json::Value;

use crate::jid::BareJid;
use crate::stanza::{Stanza, StanzaError};
use crate::storage;

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

/// A domain that an administrator has allowed or denied by a command, or with `*.` all below it, too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemoteRule {
    /// `example.net`, or `*.example.net`.
    pub pattern: String,
    /// Whether we talk to it.
    pub is_allowed: bool,
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

    /// The domains that were allowed or denied by commands.
    fn stored_rules(&self) -> Vec<RemoteRule>;

    /// Allows or denies a domain, or with `*.` all below it, too; `None`: the configuration decides again. Streams to
    /// domains that are denied now end. `false` if there was nothing to take back.
    ///
    /// # Errors
    /// If the store fails.
    async fn set_rule(&self, pattern: &str, is_allowed: Option<bool>) -> storage::Result<bool>;

    /// The configuration was changed. Streams to domains that are denied now end.
    fn rules_changed(&self);

    /// The rules for this domain: names and values.
    fn show(&self, domain: &str) -> Vec<(&'static str, Value)>;

    /// Connects to the server of this domain, in the name of a host of ours, and tells what there is: names and values.
    async fn test(&self, from: &str, domain: &str) -> Vec<(&'static str, Value)>;
}
