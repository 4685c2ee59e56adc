//! What happens to presence: broadcast and directed (RFC 6121 §4). [`super::subscription`] manages
//! subscriptions, [`super::probe`] answers probes.

use std::sync::Arc;

use super::capacity::wait_for_capacity;
use super::contacts::Contacts;
use super::outcome::Outcome;
use super::read_ahead::read_ahead;
use super::send_presence::{broadcast, deliver, deliver_addressed, send};
use super::{probe, remote, subscription};
use crate::host::lifecycle::{self, Event};
use crate::host::{Cx, Destination, Halt, Origin, privileged_presence, refuse_presence};
use crate::jid::{BareJid, FullJid, Jid};
use crate::modules::{blocking, capabilities, roster, stanza_id, vcard};
use crate::session::{Session, SessionRef};
use crate::stanza::{Condition, Presence, PresenceKind, Stanza};
use crate::storage::RosterItem;

/// One of our clients sends presence. Its `from` is stamped already.
pub async fn leaves(
    cx: &mut Cx<'_>,
    session: &Session,
    mut presence: Presence,
) -> Result<Outcome, Halt> {
    use PresenceKind::{Available, Error, Probe, Unavailable};
    blocking::refuse_outgoing(cx, &presence.head).await?;
    stanza_id::remove_forged_delay(cx, &mut presence);
    vcard::add_photo_hash(cx, session, &mut presence).await;
    match (presence.kind, presence.head.to.take()) {
        (Available, None) => available(cx, session, presence).await,
        (Unavailable, None) => unavailable(cx, session.handle(), presence, None).await,
        (Available | Unavailable, Some(to)) => directed(cx, session, presence, to).await,
        (Error | Probe, Some(to)) => {
            if presence.kind == Probe
                && !probe::may_leave(cx, session.handle(), &presence, &to).await?
            {
                return Err(Halt::Drop("a probe of a contact who does not show presence"));
            }
            presence.head.to = Some(to);
            to_recipient(cx, presence).await
        }
        (Probe | Error, None) => Err(Halt::Drop("a probe or an error to nobody")),
        (_, None) => Err(Condition::BadRequest.text("a subscription needs a `to` address").into()),
        (_, Some(to)) => subscription::leaves(cx, session.handle(), presence, &to).await,
    }
}

/// Hands presence of all kinds over to what lives at its `to` (RFC 6121 §8.4, §8.5).
pub(super) async fn to_recipient(cx: &mut Cx<'_>, presence: Presence) -> Result<Outcome, Halt> {
    let Some(to) = presence.head.to.clone() else { return Err(Halt::Drop("no recipient")) };
    match cx.server.destination(&to) {
        Destination::Account(host, user) => arrives(&mut cx.at(host), &user, None, presence).await,
        Destination::Session(host, full) => {
            arrives(&mut cx.at(host), &full.to_bare(), Some(&full), presence).await
        }
        Destination::Host(_) => Err(refuse_presence(&presence)),
        Destination::Service(at) => {
            cx.registry.service_at(at).presence(&mut cx.at(&at.host), at, presence).await?;
            Ok(Outcome::HandedOver)
        }
        Destination::Remote => {
            remote::leaves(cx, Stanza::Presence(presence)).map(|()| Outcome::HandedOver)
        }
    }
}

/// Presence arrives for one of our accounts, or for one of its sessions (RFC 6121 §8.5).
async fn arrives(
    cx: &mut Cx<'_>,
    user: &BareJid,
    resource: Option<&FullJid>,
    presence: Presence,
) -> Result<Outcome, Halt> {
    if blocking::is_blocked(cx, user, &presence.head).await? {
        return Err(Halt::Drop("the sender is blocked"));
    }
    // Their presence tells their interests (XEP-0163 §4.3.3).
    if matches!(cx.origin, Origin::Server(_)) {
        capabilities::read_remote(cx, &presence).await;
    }
    match presence.kind {
        PresenceKind::Probe => probe::arrives(cx, user, resource, &presence).await,
        kind if kind.is_subscription() => subscription::arrives(cx, user, presence).await,
        kind => {
            if matches!(kind, PresenceKind::Available | PresenceKind::Unavailable) {
                privileged_presence::arrived(cx.server, user, &presence).await?;
            }
            let gone = presence.head.from.clone().filter(|_| kind == PresenceKind::Unavailable);
            let stanza = Arc::new(Stanza::Presence(presence));
            let sessions = cx.server.sessions.of(user);
            let is_addressed = |session: &&SessionRef| resource.is_none_or(|r| session.jid() == r);
            let mut given = 0;
            for session in sessions.iter().filter(is_addressed) {
                // A contact that has become unavailable need not be told when this session does (RFC 6121 §4.6.1). But we send
                // unavailable presence also when a subscription ends: then the contact's session is still available.
                if let Some(gone) = gone.as_ref().filter(|gone| !is_available(cx, gone)) {
                    session.remove_directed(gone);
                }
                // To the account: to all available sessions (§8.5.2.1.2). To a session: to this one
                // (§8.5.3.1).
                if resource.is_some() || session.available().is_some() {
                    given += usize::from(deliver(session, Arc::clone(&stanza)));
                }
            }
            Ok(Outcome::Delivered(given))
        }
    }
}

/// Whether this is the address of an available session of ours.
fn is_available(cx: &Cx<'_>, jid: &Jid) -> bool {
    let full = FullJid::try_from(jid.clone());
    full.is_ok_and(|full| cx.server.sessions.find(&full).is_some_and(|s| s.available().is_some()))
}

/// A client sends available presence (RFC 6121 §4.2, §4.4). It goes to the contacts that may see the
/// user, and to the user's own available sessions. If it is the first, the session also learns who is
/// online.
///
/// If the roster cannot be read, nobody has been told and nothing has changed: the client can send the
/// same again.
async fn available(cx: &mut Cx<'_>, own: &Session, presence: Presence) -> Result<Outcome, Halt> {
    let session = own.handle();
    let user = session.jid().to_bare();
    if session.available().is_none() {
        read_ahead(cx, &user).await?;
    }
    let contacts = Contacts::of(cx, &user).await?;
    // The requests that wait are told after the first presence.
    let mut requests = match contacts.has_requests() && session.available().is_none() {
        true => cx.server.storage.roster().load(&user).await?.1,
        false => Vec::new(),
    };
    requests.retain(|item| contacts.get(item.jid.as_str()).is_some());
    let wanted_messages = session.priority() >= Some(0);
    let priority = presence.priority();
    let kept = Arc::new(Presence { content: presence.content.packed(), ..presence.clone() });
    if priority >= 0 && !wanted_messages {
        // Before the session is available: from then on newer messages come, which must not overtake
        // the stored ones. Nothing is awaited in between.
        session.request_catch_up();
    }
    let is_first = own.set_available(kept, priority);
    broadcast(cx, session, &contacts, &presence);
    if is_first {
        initial_presence(cx, own, &user, &contacts, &requests).await;
        lifecycle::tell(cx, Event::SessionAvailable { session, presence: &presence }).await;
    }
    capabilities::read(cx, own, &presence).await;
    Ok(Outcome::Done)
}

/// A client sends unavailable presence, or its session ends (RFC 6121 §4.5). It goes to all that have
/// seen the session: by the roster, or by directed presence.
///
/// `newer`: another session has the same address now. If it is available, the contacts see that one. Addresses to
/// which it has sent directed presence see that one, too: a room in which it is must not take its address for
/// gone (XEP-0045 §7.14).
///
/// If the roster cannot be read, nobody has been told and nothing has changed: the same can be said
/// again.
pub(super) async fn unavailable(
    cx: &mut Cx<'_>,
    session: &SessionRef,
    presence: Presence,
    newer: Option<&SessionRef>,
) -> Result<Outcome, Halt> {
    let user = session.jid().to_bare();
    let was_available = session.available().is_some();
    let is_replaced = newer.is_some_and(|newer| newer.available().is_some());
    let is_seen = was_available && !is_replaced;
    let contacts = if is_seen { Contacts::of(cx, &user).await? } else { Contacts::default() };
    let mut directed = session.set_unavailable();
    if is_seen {
        broadcast(cx, session, &contacts, &presence);
        // Contacts, and the user's own sessions, have the broadcast: not a second time
        // (RFC 6121 §4.6.3, case 1).
        directed.retain(|to| to.bare_str() != user.as_str());
        directed
            .retain(|to| !contacts.get(to.bare_str()).is_some_and(|c| c.subscription.is_from()));
    }
    if let Some(newer) = newer {
        directed.retain(|to| !newer.inherit_directed(to));
    }
    for to in directed {
        send(cx, &presence, to);
    }
    if was_available {
        lifecycle::tell(cx, Event::SessionUnavailable { session, presence: &presence }).await;
    }
    Ok(Outcome::Done)
}

/// After the first presence of a session (RFC 6121 §4.2.2, §4.3.1): it gets the presence of the user's
/// other sessions, the subscription requests that wait for an answer, and the presence of the contacts.
async fn initial_presence(
    cx: &mut Cx<'_>,
    own: &Session,
    user: &BareJid,
    contacts: &Contacts,
    requests: &[RosterItem],
) {
    let session = own.handle();
    for other in cx.server.sessions.of(user) {
        if let Some(presence) = other.available().filter(|_| other != *session) {
            let stanza = Arc::new(Stanza::Presence((*presence).clone()));
            deliver_addressed(session, stanza);
        }
    }
    for request in roster::waiting_requests(requests) {
        wait_for_capacity(cx.server, own).await;
        deliver(session, Arc::new(Stanza::Presence(request)));
    }
    // The probes come from the session and not from the account, so that this session alone gets the
    // answers. They go to contacts here and on other servers (RFC 6121 §4.3.1).
    for contact in contacts.iter().filter(|contact| contact.subscription.is_to()) {
        let probe = Presence::bare(PresenceKind::Probe, session.jid().clone(), contact.jid.clone());
        cx.outbox.send(Stanza::Presence(probe));
    }
}

/// A client sends directed presence (RFC 6121 §4.6). The session remembers to whom it has sent available
/// presence: they must be told when it becomes unavailable.
async fn directed(
    cx: &mut Cx<'_>,
    session: &Session,
    mut presence: Presence,
    to: Jid,
) -> Result<Outcome, Halt> {
    let kind = presence.kind;
    // An address that cannot be remembered must not get available presence: nobody would tell it the end.
    if kind == PresenceKind::Available && !session.add_directed(&to) {
        return Err(Condition::ResourceConstraint
            .text("directed presence to too many addresses")
            .into());
    }
    presence.head.to = Some(to.clone());
    let done = to_recipient(cx, presence).await;
    // If unavailable presence did not arrive, the address is still remembered.
    if kind == PresenceKind::Unavailable && !matches!(done, Err(Halt::Bounce(..))) {
        session.end_directed(&to);
    }
    done
}
