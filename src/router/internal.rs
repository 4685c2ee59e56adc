//! What the server does on its own behalf, while it carries no stanza.

use super::route::{drain, settle};
use crate::host::{Cx, Host, Keeping, Origin, Outbox, ServerState};

/// The context of such work. Call [`Internal::finish`] at its end: it routes what was put into the
/// outbox.
pub(super) struct Internal<'a> {
    server: &'a ServerState,
    host: &'a Host,
    origin: Origin<'static>,
    outbox: Outbox,
    keeping: Keeping,
}

impl<'a> Internal<'a> {
    /// Work for this domain. If it is not served any more, the first served domain stands for it.
    pub(super) fn for_domain(server: &'a ServerState, domain: &str) -> Option<Self> {
        let host = server.host(domain).or_else(|| server.hosts().first())?;
        let (outbox, keeping) = (Outbox::default(), Keeping::default());
        Some(Self { server, host, origin: Origin::Internal, outbox, keeping })
    }

    pub(super) fn cx(&mut self) -> Cx<'_> {
        let Self { server, host, origin, outbox, keeping } = self;
        Cx { server, host, origin, outbox, keeping }
    }

    /// Routes what was put into the outbox, and waits until what is stored of it is durable.
    pub(super) async fn finish(mut self) {
        drain(self.server, &mut self.outbox, &mut self.keeping, None).await;
        settle(self.keeping).await;
    }
}
