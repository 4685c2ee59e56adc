//! What the server does on its own behalf, when it handles no stanza of others.

use super::route::{Router, drain, settle};
use crate::host::{Cx, Host, Keeping, Origin, Outbox};

/// The context of such work. Call [`Internal::finish`] at its end: it routes what was put into the
/// outbox.
pub(super) struct Internal<'a> {
    router: &'a Router,
    host: &'a Host,
    origin: Origin<'static>,
    outbox: Outbox,
    keeping: Keeping,
}

impl<'a> Internal<'a> {
    /// Work that concerns this domain; one that is served no more counts as the first one that is.
    pub(super) fn for_domain(router: &'a Router, domain: &str) -> Option<Self> {
        let server = &router.server;
        let host = server.host(domain).or_else(|| server.hosts().first())?;
        let (outbox, keeping) = (Outbox::default(), Keeping::default());
        Some(Self { router, host, origin: Origin::Internal, outbox, keeping })
    }

    pub(super) fn cx(&mut self) -> Cx<'_> {
        let Self { router: Router { server, registry }, host, origin, outbox, keeping } = self;
        Cx { server, registry, host, origin, outbox, keeping }
    }

    /// Routes what was put into the outbox, and waits until what is stored of it is durable.
    pub(super) async fn finish(mut self) {
        drain(self.router, &mut self.outbox, &mut self.keeping, None).await;
        settle(self.keeping).await;
    }
}
