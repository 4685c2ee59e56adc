//! How code sends a stanza while it handles none: a task of a service, a timer, a command.

use async_trait::async_trait;

use super::event::Event;
use crate::stanza::Stanza;

/// Sends a stanza of ours. The router is the only implementation; services get it at their start, as they
/// must not know the router.
#[async_trait]
pub trait Route: Send + Sync {
    /// Sends a stanza and carries it to the end: when this returns, it has been delivered, stored, or
    /// answered with an error. Errors and answers go to its `from`, as they do for every sender.
    ///
    /// `from` must be at a domain of ours: an address at a host, or at a service. A stanza with another
    /// `from` is dropped, with an error in the log.
    ///
    /// Code that handles a stanza uses [`super::Outbox::send`] instead, which keeps the order of the
    /// stanzas. Do not hold a [`super::RosterLock`] while this runs: the stanza may need the same roster.
    async fn route(&self, stanza: Stanza);

    /// Tells all listeners of an event at this domain that a task has caused ([`super::lifecycle`]), and
    /// sends what they put into the outbox.
    async fn tell(&self, domain: &str, event: Event<'_>);
}
