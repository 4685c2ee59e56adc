//! Stanzas that this server makes itself: answers, and what features and services send.

use std::pin::pin;

use async_trait::async_trait;
use tracing::Instrument as _;

use super::arrive::arrive;
use super::capacity::wait_for_capacity;
use super::{bounce, outcome};
use crate::host::{Cx, Keeping, Origin, OurDomain, Outbox, Route, ServerState};
use crate::session::Session;
use crate::stanza::Stanza;

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
                keeping.delivered(1);
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

/// Takes a stanza to where it goes. If it goes nowhere, its sender gets the error.
pub(super) async fn carry(
    server: &ServerState,
    origin: &Origin<'_>,
    outbox: &mut Outbox,
    keeping: &mut Keeping,
    stanza: Stanza,
) {
    // The host of the stanza until its destination is known.
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

/// Waits until everything that was stored is on the disk. A failure is logged: nobody waits for an answer.
pub(super) async fn settle(keeping: Keeping) {
    for receipt in keeping.receipts {
        if let Err(error) = receipt.await {
            tracing::error!(%error, "a message from the server was not stored");
        }
    }
}

/// The origin of a stanza that this server has made itself, as its `from` says: a service, or the server.
/// `None` if `from` is not ours.
///
/// An error may be from anywhere: it is made in the name of the address that could not be reached
/// (RFC 6120 §8.3.1).
fn own_origin(server: &ServerState, stanza: &Stanza) -> Option<Origin<'static>> {
    let from = stanza.head().from.as_ref()?;
    match server.ours(from.domain()) {
        Some(OurDomain::Host(_)) => Some(Origin::Internal),
        Some(OurDomain::Service(at)) => Some(Origin::Service(at.domain.clone())),
        None => stanza.is_error().then_some(Origin::Internal),
    }
}

#[cfg(test)]
mod tests {
    use super::own_origin;
    use crate::host::Origin;
    use crate::router::fixtures::{message, server};
    use crate::stanza::{MessageKind, Stanza};

    #[test]
    fn the_origin_of_what_we_send_follows_from_its_address() {
        let server = server();
        let of = |from: &str| own_origin(&server, &message(from, "romeo@a.example"));
        assert!(matches!(of("a.example"), Some(Origin::Internal)));
        assert!(matches!(of("juliet@b.example/balcony"), Some(Origin::Internal)));
        let service = of("garden@rooms.b.example/juliet");
        assert!(matches!(service, Some(Origin::Service(domain)) if domain == "rooms.b.example"));
        assert!(of("c.example").is_none() && of("").is_none());
        let mut error = message("juliet@c.example", "rooms.a.example");
        if let Stanza::Message(message) = &mut error {
            message.kind = MessageKind::Error;
        }
        assert!(matches!(own_origin(&server, &error), Some(Origin::Internal)));
    }
}
