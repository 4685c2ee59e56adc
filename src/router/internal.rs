//! What the server does on its own behalf, while it carries no stanza.

use async_trait::async_trait;

use super::route::{Router, drain, settle};
use crate::host::lifecycle::{self, Event};
use crate::host::{Cx, Host, Keeping, Origin, Outbox, Route};
use crate::stanza::Stanza;

#[async_trait]
impl Route for Router {
    async fn route(&self, stanza: Stanza) {
        let (mut outbox, mut keeping) = (Outbox::default(), Keeping::default());
        outbox.send(stanza);
        drain(self, &mut outbox, &mut keeping, None).await;
        settle(keeping.receipts).await;
    }

    async fn tell(&self, domain: &str, event: Event<'_>) {
        if let Some(mut work) = Internal::for_domain(self, domain) {
            lifecycle::tell(&mut work.cx(), event).await;
            work.finish().await;
        }
    }
}

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
    /// Work for this domain. If the configuration no longer has it, the first host stands for it.
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
        settle(self.keeping.receipts).await;
    }
}
