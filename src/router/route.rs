//! Stanzas that do not come from a client: those that this server makes itself, and those of other
//! servers, components and services.

use std::pin::pin;

use async_trait::async_trait;
use tracing::Instrument as _;

use super::accept::{accept, own_origin};
use super::arrive::arrive;
use super::capacity::wait_for_capacity;
use super::{bounce, outcome};
use crate::host::{Cx, Keeping, Origin, Outbox, Route, ServerState};
use crate::session::Session;
use crate::stanza::{Stanza, StreamCondition};

/// The router, as the floors below see it.
pub struct Router;

#[async_trait]
impl Route for Router {
    async fn route(&self, server: &ServerState, stanza: Stanza) {
        let (mut outbox, mut keeping) = (Outbox::default(), Keeping::default());
        outbox.send(stanza);
        drain(server, &mut outbox, &mut keeping, None).await;
        settle(keeping).await;
    }
}

/// A stanza of an origin that speaks for a domain: another server, or a component. When this returns, it
/// has been delivered, stored, or answered with an error.
///
/// # Errors
/// As [`accept`]: the stanza goes nowhere, and the stream ends.
pub async fn from_domain(
    server: &ServerState,
    origin: &Origin<'_>,
    mut stanza: Stanza,
) -> Result<(), StreamCondition> {
    accept(server, origin, &mut stanza)?;
    let (mut outbox, mut keeping) = (Outbox::default(), Keeping::default());
    carry(server, origin, &mut outbox, &mut keeping, stanza).await;
    drain(server, &mut outbox, &mut keeping, None).await;
    settle(keeping).await;
    Ok(())
}

/// Routes the stanzas in the outbox, in order, until it is empty. `own` is the session whose task this
/// is.
pub(super) async fn drain(
    server: &ServerState,
    outbox: &mut Outbox,
    keeping: &mut Keeping,
    own: Option<&Session>,
) {
    while let Some(stanza) = outbox.take() {
        match own_origin(server, &stanza) {
            Some(origin) => {
                keeping.count_deliveries(1);
                carry(server, &origin, outbox, keeping, stanza).await;
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
            wait_for_capacity(server, own).await;
        }
    }
}

/// Takes a stanza to where it goes, and its sender the error, if there is one.
async fn carry(
    server: &ServerState,
    origin: &Origin<'_>,
    outbox: &mut Outbox,
    keeping: &mut Keeping,
    stanza: Stanza,
) {
    // Until it arrives somewhere.
    let Some(host) = server.hosts().first() else { return };
    let mut cx = Cx { server, host, origin, outbox, keeping };
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
