//! What happens to the stanzas that manage subscriptions (RFC 6121 §3). `roster/subscription.rs` has the
//! tables of what they change in a roster. This file says who is told of it, and in which order.

use std::sync::Arc;

use super::invited::is_invited;
use super::outcome::Outcome;
use super::send_presence::{self, send};
use crate::host::lifecycle::{self, Event};
use crate::host::{Cx, Destination, Halt, components, contact_list};
use crate::jid::{BareJid, Jid};
use crate::modules::push;
use crate::modules::roster::{self, Changed};
use crate::modules::strangers::{self, Admission};
use crate::roster::subscription::Way;
use crate::session::SessionRef;
use crate::stanza::{Condition, Presence, PresenceKind, Stanza, StanzaError};

/// One of our users manages a subscription (RFC 6121 §3.1.2, §3.1.5, §3.2.2, §3.3.2, §3.4.2).
///
/// DEPARTS: RFC 6121 §3.2.2 – when the user denies a request, the contact is not sent unavailable presence
/// and the user's clients get no roster push. The contact never saw the user's sessions, and the item in
/// the roster has not changed.
pub async fn leaves(
    cx: &mut Cx<'_>,
    session: &SessionRef,
    presence: Presence,
    to: &Jid,
) -> Result<Outcome, Halt> {
    manages(cx, session.jid().to_bare(), presence, to).await
}

/// The same, without the session: also on behalf of the user.
async fn manages(
    cx: &mut Cx<'_>,
    user: BareJid,
    mut presence: Presence,
    to: &Jid,
) -> Result<Outcome, Halt> {
    let contact = to.to_bare();
    // Users always see their own presence (RFC 6121 §4.2.2): there is nothing to manage.
    if user == contact {
        return Err(Halt::Drop("a subscription to the user's own presence"));
    }
    // A subscription is between accounts, not between sessions (RFC 6121 §3.1.2).
    presence.head.from = Some(user.clone().into());
    presence.head.to = Some(contact.clone().into());
    // A request to an address that does not exist would wait for ever (RFC 6121 §3.1.2).
    let reachable = reachable(cx, to);
    let is_request = presence.kind == PresenceKind::Subscribe;
    if is_request {
        reachable?;
    }
    let lock = roster::lock(cx, &user).await;
    let of = (&user, &contact);
    let changed = roster::subscription(cx, lock, of, Way::Outbound, (&presence, false)).await?;
    roster::push_changed(cx, &user, &changed);
    // The contact may see the user no longer: it is sent unavailable presence before `unsubscribed`, while
    // it still has the subscription (RFC 6121 §3.2.2).
    if changed.closed {
        roster::gone(cx, &user, &contact.clone().into());
    }
    if changed.pass {
        reachable?;
        cx.outbox.send(Stanza::Presence(presence));
    }
    let (is_opened, is_closed) = (changed.opened, changed.closed);
    drop(changed); // unlocks the roster
    if is_opened {
        opened(cx, &user, &contact).await;
    }
    if is_closed {
        closed(cx, &user, &contact).await;
    }
    if is_request {
        strangers::asked(cx, &user, &contact).await;
    }
    Ok(Outcome::Done)
}

/// Whether somebody at this address can answer a request. Whether an account of ours exists is not told.
fn reachable(cx: &Cx<'_>, to: &Jid) -> Result<(), Condition> {
    match cx.server.destination(to) {
        Destination::Remote if components::has(cx.server, to) => Ok(()),
        // If the other server cannot be reached, it is told later (RFC 6121 §3.1.2).
        Destination::Remote if cx.server.remote_servers().is_some() => Ok(()),
        Destination::Remote => Err(Condition::RemoteServerNotFound),
        Destination::Service(at) if cx.registry.service_at(at).takes_subscriptions(to) => Ok(()),
        // RFC 6121 §8.4
        Destination::Host(_) | Destination::Service(_) => Err(Condition::ServiceUnavailable),
        Destination::Account(..) | Destination::Session(..) => Ok(()),
    }
}

/// A contact manages a subscription to one of our users (RFC 6121 §3.1.3, §3.1.6, §3.2.3, §3.3.3, §3.4.2).
pub async fn arrives(cx: &mut Cx<'_>, user: &BareJid, presence: Presence) -> Result<Outcome, Halt> {
    arrives_unless_taken_back(cx, user, presence, None).await
}

/// As [`arrives`], for a request that has waited under the key `waiting` until the user accepted its sender. The sender may
/// take it back at this moment: then it is forgotten first, and the roster is changed after that. So a request that
/// is still there while the roster is locked is taken back from the roster later, and one that is not there must
/// not get into the roster any more.
pub(super) async fn arrives_unless_taken_back(
    cx: &mut Cx<'_>,
    user: &BareJid,
    mut presence: Presence,
    waiting: Option<&str>,
) -> Result<Outcome, Halt> {
    // A request to an account that does not exist gets no answer (RFC 6121 §8.5.1), although §3.1.2 would
    // have an error.
    if !cx.has_account(user).await? {
        return Err(Halt::Drop("no such account"));
    }
    let Some(contact) = presence.head.from.as_ref().map(|from| from.to_bare()) else {
        return Err(Halt::Drop("no sender"));
    };
    let is_invited = is_invited(cx, user, &contact, &presence).await?;
    if presence.kind == PresenceKind::Subscribe
        && !is_invited
        && strangers::admit_request(cx, user, &contact, &presence).await? == Admission::Waits
    {
        return Ok(Outcome::Request);
    }
    if presence.kind == PresenceKind::Unsubscribe {
        strangers::take_back(cx, user, &contact).await?;
    }
    presence.head.from = Some(contact.clone().into());
    presence.head.to = Some(user.clone().into());
    let lock = roster::lock(cx, user).await;
    if let Some(key) = waiting
        && !strangers::waits(cx, user, key).await?
    {
        return Err(Halt::Drop("its sender has taken it back"));
    }
    let of = (user, &contact);
    let stanza = (&presence, is_invited);
    let changed = match roster::subscription(cx, lock, of, Way::Inbound, stanza).await {
        Ok(changed) => changed,
        // An error would tell a stranger that the account exists, and that many requests wait for it.
        Err(error) if error.condition == Condition::ResourceConstraint => {
            return Err(Halt::Drop("too many contacts or requests"));
        }
        Err(error) => return Err(error.into()),
    };
    let is_request = presence.kind == PresenceKind::Subscribe && changed.pass;
    if changed.pass {
        deliver(cx, user, presence);
    }
    if is_request && !changed.approve {
        push::subscription_requested(cx, user).await;
    }
    roster::push_changed(cx, user, &changed);
    answer(cx, user, &contact, changed).await;
    if is_invited {
        ask_back(cx, user, contact).await?;
    }
    Ok(Outcome::Done)
}

/// XEP-0379 §3.5: the user wants to see the new contact, too.
async fn ask_back(cx: &mut Cx<'_>, user: &BareJid, contact: BareJid) -> Result<(), Halt> {
    let known = contact_list::find(cx.server, user, &contact.clone().into()).await?;
    if known.is_some_and(|known| known.subscription.is_to() || known.pending_out) {
        return Ok(());
    }
    let request = Presence::bare(PresenceKind::Subscribe, user.clone(), contact.clone());
    match manages(cx, user.clone(), request, &contact.into()).await {
        // The contact sees the user in any case.
        Err(Halt::Bounce(error, _)) if error.condition != Condition::InternalServerError => Ok(()),
        done => done.map(|_| ()),
    }
}

/// Makes two users of ours contacts of each other, because one of them has made an account by an invitation of the
/// other (XEP-0401 §4.4). Their clients are told by one roster push each.
pub(super) async fn befriend(
    cx: &mut Cx<'_>,
    user: &BareJid,
    contact: &BareJid,
) -> Result<(), StanzaError> {
    for (user, contact) in [(user, contact), (contact, user)] {
        let lock = roster::lock(cx, user).await;
        let changed = roster::make_mutual(cx, lock, user, contact).await?;
        roster::push_changed(cx, user, &changed);
    }
    for (user, contact) in [(user, contact), (contact, user)] {
        opened(cx, user, contact).await;
    }
    Ok(())
}

/// Delivers the stanza to the user's sessions: a request to those that are available, everything else also
/// to those that have asked for the roster (RFC 6121 §3.1.3, §3.1.6, §3.2.3, §3.3.3).
///
/// DEPARTS: RFC 6121 §3.1.6 – everything else also goes to available sessions that have not asked for the
/// roster. A program without a roster would wait for the answer to its request for ever.
fn deliver(cx: &Cx<'_>, user: &BareJid, presence: Presence) {
    let is_request = presence.kind == PresenceKind::Subscribe;
    let stanza = Arc::new(Stanza::Presence(presence));
    for session in cx.server.sessions.of(user) {
        let wants = session.available().is_some() || session.flags().interested && !is_request;
        if wants {
            send_presence::deliver(&session, Arc::clone(&stanza));
        }
    }
}

/// What the contact is told in return: an approval on the user's behalf (RFC 6121 §3.1.3, §3.4.2), and the
/// presence that it may see from now on, or may see no longer.
///
/// DEPARTS: RFC 6121 §A.3.2 – `unsubscribe` is not answered with `unsubscribed`. The contact knows already.
/// If it has asked again meanwhile, it would take this for the answer to the new request.
async fn answer(cx: &mut Cx<'_>, user: &BareJid, contact: &BareJid, changed: Changed) {
    if changed.approve {
        let yes = Presence::bare(PresenceKind::Subscribed, user.clone(), contact.clone());
        cx.outbox.send(Stanza::Presence(yes));
    }
    if changed.closed {
        roster::gone(cx, user, &contact.clone().into());
    }
    // A contact that asks for a subscription that it already has has forgotten the user's presence.
    let (is_opened, is_closed) = (changed.opened || changed.approve, changed.closed);
    drop(changed); // unlocks the roster
    if is_opened {
        opened(cx, user, contact).await;
    }
    if is_closed {
        closed(cx, user, contact).await;
    }
}

/// Called when a contact may no longer see the user.
async fn closed(cx: &mut Cx<'_>, user: &BareJid, contact: &BareJid) {
    lifecycle::tell(cx, Event::ContactChanged { user, contact, groups: None }).await;
}

/// Called when a contact may see the user from now on: sends it the presence of the available sessions
/// (RFC 6121 §3.1.5).
async fn opened(cx: &mut Cx<'_>, user: &BareJid, contact: &BareJid) {
    for session in cx.server.sessions.of(user) {
        if let Some(presence) = session.available() {
            send(cx, &presence, contact.clone().into());
        }
    }
    lifecycle::tell(cx, Event::SubscriptionOpened { user, contact }).await;
}
