//! A stanza arrives: which part of the server takes it, by where its `to` lives (RFC 6120 §10.4,
//! §10.5, RFC 6121 §8).

use super::outcome::Outcome;
use super::{iq, message, presence, remote};
use crate::host::{Cx, Destination, Halt, refuse_presence};
use crate::stanza::{Iq, Presence, Stanza};

/// Hands a stanza over to what lives at its `to`. It must have one, and a `from` that is checked
/// already.
pub(super) async fn arrive(cx: &mut Cx<'_>, stanza: Stanza) -> Result<Outcome, Halt> {
    match stanza {
        Stanza::Iq(iq) => iq_arrives(cx, iq).await,
        Stanza::Message(mut message) => Ok(message::deliver(cx, None, &mut message).await?.outcome),
        Stanza::Presence(presence) => presence_arrives(cx, presence).await,
    }
}

/// A request, or the answer to one (RFC 6121 §8.4, §8.5.2.1.3, §8.5.3.1).
async fn iq_arrives(cx: &mut Cx<'_>, iq: Iq) -> Result<Outcome, Halt> {
    let Some(to) = iq.head.to.clone() else { return Err(Halt::Drop("no recipient")) };
    match cx.hosts.destination(&to) {
        Destination::Account(host, user) => iq::for_account(&mut cx.at(host), &user, iq).await,
        Destination::Session(host, full) => iq::for_session(&mut cx.at(host), &full, iq).await,
        Destination::Host(host) => iq::for_host(&mut cx.at(host), iq).await,
        Destination::Service(at) => iq::for_service(&mut cx.at(&at.host), at, iq).await,
        Destination::Remote => remote::leaves(cx, Stanza::Iq(iq)).map(|()| Outcome::HandedOver),
    }
}

/// Presence of all kinds (RFC 6121 §8.4, §8.5).
async fn presence_arrives(cx: &mut Cx<'_>, presence: Presence) -> Result<Outcome, Halt> {
    let Some(to) = presence.head.to.clone() else { return Err(Halt::Drop("no recipient")) };
    match cx.hosts.destination(&to) {
        Destination::Account(host, user) => {
            presence::arrives(&mut cx.at(host), &user, None, presence).await
        }
        Destination::Session(host, full) => {
            presence::arrives(&mut cx.at(host), &full.to_bare(), Some(&full), presence).await
        }
        Destination::Host(_) => Err(refuse_presence(&presence)),
        Destination::Service(at) => {
            at.service.presence(&mut cx.at(&at.host), at, presence).await?;
            Ok(Outcome::HandedOver)
        }
        Destination::Remote => {
            remote::leaves(cx, Stanza::Presence(presence)).map(|()| Outcome::HandedOver)
        }
    }
}
