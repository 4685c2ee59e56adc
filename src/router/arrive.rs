//! A stanza arrives: which part of the server takes it, by where its `to` lives (RFC 6120 §10.4,
//! §10.5, RFC 6121 §8).

use super::{iq, message, presence, remote};
use crate::host::{Cx, Destination, Halt, Host, ServiceDomain, refuse_presence};
use crate::jid::{BareJid, FullJid};
use crate::stanza::{Condition, Stanza};

/// Hands a stanza over to what lives at its `to`. It must have one, and a `from` that is checked
/// already.
pub(super) async fn arrive(cx: &mut Cx<'_>, stanza: Stanza) -> Result<(), Halt> {
    let Some(to) = stanza.head().to.clone() else { return Err(Halt::Drop("no recipient")) };
    match cx.hosts.destination(&to) {
        Destination::Account(host, user) => {
            at_account(&mut for_host(cx, host), &user, None, stanza).await
        }
        Destination::Session(host, full) => {
            at_account(&mut for_host(cx, host), &full.to_bare(), Some(&full), stanza).await
        }
        Destination::Host(host) => at_host(&mut for_host(cx, host), stanza).await,
        Destination::Service(at) => at_service(&mut for_host(cx, &at.host), at, stanza).await,
        Destination::Remote => remote::leaves(cx, stanza),
    }
}

/// RFC 6121 §8.5.
async fn at_account(
    cx: &mut Cx<'_>,
    user: &BareJid,
    resource: Option<&FullJid>,
    stanza: Stanza,
) -> Result<(), Halt> {
    match (stanza, resource) {
        (Stanza::Iq(iq), None) => iq::for_account(cx, user, iq).await,
        (Stanza::Iq(iq), Some(full)) => iq::for_session(cx, full, iq).await,
        (Stanza::Message(message), _) => message::arrives(cx, user, resource, message).await,
        (Stanza::Presence(presence), _) => presence::arrives(cx, user, resource, presence).await,
    }
}

/// RFC 6121 §8.4. The server answers requests; nobody reads messages to it.
async fn at_host(cx: &mut Cx<'_>, stanza: Stanza) -> Result<(), Halt> {
    match stanza {
        Stanza::Iq(iq) => iq::for_host(cx, iq).await,
        Stanza::Message(_) => Err(Condition::ServiceUnavailable.into()),
        Stanza::Presence(presence) => Err(refuse_presence(&presence)),
    }
}

async fn at_service(cx: &mut Cx<'_>, at: &ServiceDomain, stanza: Stanza) -> Result<(), Halt> {
    match stanza {
        Stanza::Iq(iq) => iq::for_service(cx, at, iq).await,
        Stanza::Message(message) => at.service.message(cx, at, message).await,
        Stanza::Presence(presence) => at.service.presence(cx, at, presence).await,
    }
}

/// The same context, at the host that is concerned now.
fn for_host<'b>(cx: &'b mut Cx<'_>, host: &'b Host) -> Cx<'b> {
    Cx { hosts: cx.hosts, host, origin: cx.origin, outbox: cx.outbox, keeping: cx.keeping }
}
