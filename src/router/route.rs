//! Stanzas that do not come from a client: those that this server makes itself, and those of other
//! servers, components and services.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use tracing::Instrument as _;

use super::accept::{accept, own_origin};
use super::arrive::arrive;
use super::capacity::wait_for_capacity;
use super::{bounce, outcome};
use crate::host::{Cx, DomainError, Keeping, Origin, Outbox, Parts, Registry, Route, ServerState};
use crate::session::Session;
use crate::stanza::{Stanza, StreamCondition};

/// The router: what all tasks share, and the handlers to which stanzas are routed.
pub struct Router {
    /// What all tasks of the server share.
    pub server: Arc<ServerState>,
    /// The handlers of all features.
    pub registry: Registry,
}

impl Router {
    /// A router to these handlers, and the state of the server that they share.
    ///
    /// # Errors
    /// If a domain is invalid, or used twice.
    pub fn new(parts: Parts, mut registry: Registry) -> Result<Self, DomainError> {
        let prefixes: Vec<_> = registry.services().iter().map(|service| service.prefix()).collect();
        let server = ServerState::new(parts, &prefixes, registry.take_shared())?;
        Ok(Self { server: Arc::new(server), registry })
    }

    /// A stanza of an origin that speaks for a domain: another server, or a component. When this returns, it
    /// has been delivered, stored, or answered with an error.
    ///
    /// # Errors
    /// As [`accept`]: the stanza goes nowhere, and the stream ends.
    pub async fn from_domain(
        &self,
        origin: &Origin<'_>,
        mut stanza: Stanza,
    ) -> Result<(), StreamCondition> {
        accept(&self.server, origin, &mut stanza)?;
        let (mut outbox, mut keeping) = (Outbox::default(), Keeping::default());
        carry(self, origin, &mut outbox, &mut keeping, stanza).await;
        drain(self, &mut outbox, &mut keeping, None).await;
        settle(keeping).await;
        Ok(())
    }

    /// Serves these domains from memory.
    #[cfg(test)]
    pub(crate) fn for_tests(domains: &[&str], registry: Registry) -> Self {
        Self::new(Parts::for_tests(domains), registry).expect("the domains are valid")
    }
}

#[async_trait]
impl Route for Router {
    async fn route(&self, stanza: Stanza) {
        let (mut outbox, mut keeping) = (Outbox::default(), Keeping::default());
        outbox.send(stanza);
        drain(self, &mut outbox, &mut keeping, None).await;
        settle(keeping).await;
    }
}

/// Routes the stanzas in the outbox, in order, until it is empty. `own` is the session whose task this
/// is.
pub(super) async fn drain(
    router: &Router,
    outbox: &mut Outbox,
    keeping: &mut Keeping,
    own: Option<&Session>,
) {
    while let Some(stanza) = outbox.take() {
        match own_origin(&router.server, &stanza) {
            Some(origin) => {
                keeping.count_deliveries(1);
                carry(router, &origin, outbox, keeping, stanza).await;
            }
            None => {
                debug_assert!(false, "a stanza of ours has a foreign `from`: {:?}", stanza.head());
                tracing::error!(
                    name = stanza.name(),
                    "dropped a stanza of ours with a foreign from"
                );
            }
        }
        if let Some(own) = own.filter(|_| outbox.unlock()) {
            wait_for_capacity(&router.server, own).await;
        }
    }
}

/// Takes a stanza to where it goes, and its sender the error, if there is one.
async fn carry(
    router: &Router,
    origin: &Origin<'_>,
    outbox: &mut Outbox,
    keeping: &mut Keeping,
    stanza: Stanza,
) {
    let Router { server, registry } = router;
    // Until it arrives somewhere.
    let Some(host) = server.hosts().first() else { return };
    let mut cx = Cx { server, registry, host, origin, outbox, keeping };
    let copy = stanza.clone();
    let span = outcome::span(&copy, origin);
    let done = {
        let pipeline = pin!(arrive(&mut cx, stanza));
        pipeline.instrument(span.clone()).await
    };
    span.in_scope(|| bounce::end(&mut cx, &copy, done));
}

/// Waits until everything that was stored is on the disk. There is nobody who could be told of a
/// failure.
pub(super) async fn settle(keeping: Keeping) {
    for receipt in keeping.receipts {
        if let Err(error) = receipt.await {
            tracing::error!(%error, "a message from the server was not stored");
        }
    }
}
