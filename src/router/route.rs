//! Stanzas that this server makes itself: answers, and what features and services send.

use std::pin::pin;
use std::sync::Arc;

use tracing::Instrument as _;

use super::arrive::arrive;
use super::capacity::wait_for_capacity;
use super::photo::Shown;
use super::release::release;
use super::{bounce, photo};
use crate::host::{
    Cx, DomainError, Keeping, Origin, OurDomain, Outbox, Parts, Registry, ServerState, stanza_log,
};
use crate::jid::{BareJid, Jid};
use crate::session::Session;
use crate::stanza::Stanza;
use crate::storage::Receipts;

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
        let services = registry.services().iter();
        let prefixes: Vec<_> = services.map(|service| service.prefix().to_owned()).collect();
        let prefixes: Vec<_> = prefixes.iter().map(String::as_str).collect();
        let server = ServerState::new(parts, &prefixes, registry.take_shared())?;
        Ok(Self { server: Arc::new(server), registry })
    }

    /// Serves these domains from memory.
    #[cfg(test)]
    pub(crate) fn for_tests(domains: &[&str], registry: Registry) -> Self {
        Self::new(Parts::for_tests(domains), registry).expect("the domains are valid")
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
    let mut shown = Vec::new();
    loop {
        let Some(stanza) = outbox.take() else {
            if !shown.is_empty() {
                shown = Box::pin(correct_photo(router, outbox, keeping, shown)).await;
            } else if let Some((user, stranger)) = outbox.take_accepted() {
                deliver_what_waits(router, outbox, keeping, &user, &stranger).await;
            } else if let Some(user) = outbox.take_photo() {
                shown = Box::pin(show_photo(router, outbox, keeping, &user)).await;
            } else {
                break;
            }
            continue;
        };
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
                stanza_log::note_lost(&stanza, "the server has sent it in the name of others");
            }
        }
        if let Some(own) = own.filter(|_| outbox.unlock()) {
            wait_for_capacity(&router.server, own).await;
        }
    }
}

/// Takes a stanza to where it goes. If it goes nowhere, its sender gets the error.
pub(super) async fn carry(
    router: &Router,
    origin: &Origin<'_>,
    outbox: &mut Outbox,
    keeping: &mut Keeping,
    stanza: Stanza,
) {
    let Router { server, registry } = router;
    // The host of the stanza until its destination is known.
    let Some(host) = server.hosts().first() else { return };
    let mut cx = Cx { server, registry, host, origin, outbox, keeping };
    let copy = stanza.clone();
    let span = stanza_log::span(&copy, Some(origin));
    let done = {
        let pipeline = pin!(arrive(&mut cx, stanza));
        pipeline.instrument(span.clone()).await
    };
    span.in_scope(|| bounce::end(&mut cx, &copy, done));
}

/// Waits until everything that was stored is on the disk. A failure is logged: nobody waits for an answer.
pub async fn settle(receipts: Receipts) {
    for receipt in receipts {
        if let Err(error) = receipt.await {
            tracing::error!(%error, "a message from the server was not stored");
        }
    }
}

/// Delivers what waits of a stranger that was accepted.
async fn deliver_what_waits(
    router: &Router,
    outbox: &mut Outbox,
    keeping: &mut Keeping,
    user: &BareJid,
    stranger: &Jid,
) {
    let Router { server, registry } = router;
    let Some(host) = server.host(user.domain()) else { return };
    let mut cx = Cx { server, registry, host, origin: &Origin::Internal, outbox, keeping };
    release(&mut cx, user, stranger).await;
    // Delivering them asks for the rest. If the store fails, it must not be tried for ever.
    outbox.end_release(user, stranger);
}

/// The photo of a user has changed: presence tells it. Answers what is to be corrected when it has arrived.
async fn show_photo(
    router: &Router,
    outbox: &mut Outbox,
    keeping: &mut Keeping,
    user: &BareJid,
) -> Vec<Shown> {
    let Router { server, registry } = router;
    let Some(host) = server.host(user.domain()) else { return Vec::new() };
    let mut cx = Cx { server, registry, host, origin: &Origin::Internal, outbox, keeping };
    photo::show(&mut cx, user).await
}

/// Presence with a new photo has arrived, and may have overtaken newer presence.
async fn correct_photo(
    router: &Router,
    outbox: &mut Outbox,
    keeping: &mut Keeping,
    shown: Vec<Shown>,
) -> Vec<Shown> {
    let Router { server, registry } = router;
    let Some(host) = server.hosts().first() else { return Vec::new() };
    let mut cx = Cx { server, registry, host, origin: &Origin::Internal, outbox, keeping };
    photo::correct(&mut cx, shown).await
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
