//! What the server does on its own behalf, when it has nobody's stanza in hand.

use super::route::{drain, settle};
use crate::host::{Cx, Host, Hosts, Keeping, Origin, Outbox};

/// The context of such work. Call [`Internal::finish`] at its end: it routes what was put into the
/// outbox.
pub(super) struct Internal<'a> {
    hosts: &'a Hosts,
    host: &'a Host,
    origin: Origin<'static>,
    outbox: Outbox,
    keeping: Keeping,
}

impl<'a> Internal<'a> {
    /// Work that concerns this domain; one that is served no more counts as the first one that is.
    pub(super) fn for_domain(hosts: &'a Hosts, domain: &str) -> Option<Self> {
        let host = hosts.host(domain).or_else(|| hosts.all().first())?;
        let (outbox, keeping) = (Outbox::default(), Keeping::default());
        Some(Self { hosts, host, origin: Origin::Internal, outbox, keeping })
    }

    pub(super) fn cx(&mut self) -> Cx<'_> {
        let Self { hosts, host, origin, outbox, keeping } = self;
        Cx { hosts, host, origin, outbox, keeping }
    }

    /// Routes what was put into the outbox, and waits until what is stored of it is durable.
    pub(super) async fn finish(mut self) {
        drain(self.hosts, &mut self.outbox, &mut self.keeping, None).await;
        settle(self.keeping).await;
    }
}
