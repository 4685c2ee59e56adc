//! What happens to presence: broadcast, directed (RFC 6121 §4). Subscriptions are told by
//! [`super::subscription`], probes by [`super::probe`].

use std::sync::Arc;

use super::outcome::Outcome;
use super::send_presence::{deliver, deliver_addressed, send};
use super::{probe, subscription};
use crate::host::{Cx, Halt, block_list};
use crate::jid::{BareJid, FullJid, Jid};
use crate::modules::{blocking, last_activity, roster, stanza_id};
use crate::session::{Session, SessionRef};
use crate::stanza::{Condition, Presence, PresenceKind, Stanza};
use crate::storage::RosterItem;

/// Presence leaves one of our clients. Its `from` is stamped already.
pub async fn leaves(
    cx: &mut Cx<'_>,
    session: &Session,
    mut presence: Presence,
) -> Result<Outcome, Halt> {
    use PresenceKind::{Available, Error, Probe, Unavailable};
    blocking::refuse_outgoing(cx, &presence.head).await?;
    stanza_id::remove_forged_delay(cx, &mut presence);
    match (presence.kind, presence.head.to.take()) {
        (Available, None) => available(cx, session, presence).await,
        (Unavailable, None) => unavailable(cx, session.handle(), presence).await,
        (Available | Unavailable, Some(to)) => directed(cx, session.handle(), presence, to).await,
        (Error | Probe, Some(to)) => {
            if presence.kind == Probe
                && !probe::may_leave(cx, session.handle(), &presence, &to).await?
            {
                return Err(Halt::Drop("a probe of a contact who does not show presence"));
            }
            presence.head.to = Some(to);
            super::arrive(cx, Stanza::Presence(presence)).await
        }
        (Probe | Error, None) => Err(Halt::Drop("a probe or an error to nobody")),
        (_, None) => Err(Condition::BadRequest.text("a subscription needs a `to` address").into()),
        (_, Some(to)) => subscription::leaves(cx, session.handle(), presence, &to).await,
    }
}

/// Presence arrives for one of our accounts, or for one of its sessions (RFC 6121 §8.5).
pub async fn arrives(
    cx: &mut Cx<'_>,
    user: &BareJid,
    resource: Option<&FullJid>,
    presence: Presence,
) -> Result<Outcome, Halt> {
    if blocking::is_blocked(cx, user, &presence.head).await? {
        return Err(Halt::Drop("the sender is blocked"));
    }
    match presence.kind {
        PresenceKind::Probe => probe::arrives(cx, user, resource, &presence).await,
        kind if kind.is_subscription() => subscription::arrives(cx, user, presence).await,
        kind => {
            let gone = presence.head.from.clone().filter(|_| kind == PresenceKind::Unavailable);
            let stanza = Arc::new(Stanza::Presence(presence));
            let sessions = cx.hosts.sessions.of(user);
            let meant = |session: &&SessionRef| resource.is_none_or(|r| session.jid() == r);
            let mut given = 0;
            for session in sessions.iter().filter(meant) {
                // Who says that he goes is not told of it when she does (RFC 6121 §4.6.1). When we say it,
                // as a subscription has ended, he is still there.
                if let Some(gone) = gone.as_ref().filter(|gone| !is_here(cx, gone)) {
                    session.remove_directed(gone);
                }
                // For the account, to all who are available (§8.5.2.1.2); for a session, to it (§8.5.3.1).
                if resource.is_some() || session.available().is_some() {
                    given += usize::from(deliver(session, Arc::clone(&stanza)));
                }
            }
            Ok(Outcome::Delivered(given))
        }
    }
}

/// A session of ours which is available.
fn is_here(cx: &Cx<'_>, jid: &Jid) -> bool {
    let full = FullJid::try_from(jid.clone());
    full.is_ok_and(|full| cx.hosts.sessions.find(&full).is_some_and(|s| s.available().is_some()))
}

/// RFC 6121 §4.2 and §4.4: to all who may see it, to the user's own sessions, and on the first
/// one a look around.
async fn available(cx: &mut Cx<'_>, own: &Session, presence: Presence) -> Result<Outcome, Halt> {
    let session = own.handle();
    let user = session.jid().to_bare();
    let items = contacts(cx, &user).await?;
    let wanted_messages = session.priority() >= Some(0);
    let priority = presence.priority();
    let kept = Arc::new(Presence { content: presence.content.packed(), ..presence.clone() });
    if priority >= 0 && !wanted_messages {
        // Before it can get anything newer, and with nothing awaited until it is available.
        session.request_catch_up();
    }
    let first = session.set_available(kept, priority);
    broadcast(cx, session, &items, &presence);
    if first {
        initial_presence(cx, own, &user, &items).await;
    }
    Ok(Outcome::Done)
}

/// RFC 6121 §4.5: to all who have seen it, also to those it was directed to. If the roster cannot be
/// read, the session is as available as before, and the same can be said again.
pub(super) async fn unavailable(
    cx: &mut Cx<'_>,
    session: &SessionRef,
    presence: Presence,
) -> Result<Outcome, Halt> {
    let user = session.jid().to_bare();
    let seen = session.available().is_some();
    let items = if seen { contacts(cx, &user).await? } else { Vec::new() };
    let mut directed = session.set_unavailable();
    if seen {
        broadcast(cx, session, &items, &presence);
        // Who sees us go by the roster, or as we do, does not see it twice (RFC 6121 §4.6.3, case 1).
        directed.retain(|to| to.bare_str() != user.as_str());
        for item in items.iter().filter(|item| item.subscription.is_from()) {
            directed.retain(|to| to.bare_str() != item.jid.as_str());
        }
    }
    for to in directed {
        send(cx, &presence, to);
    }
    // Everybody has been told: it is no error of the presence if that cannot be noted.
    if seen && let Err(error) = last_activity::note_gone(cx, &user, &presence).await {
        tracing::warn!(jid = %user, %error, "it is not noted since when a user is away");
    }
    Ok(Outcome::Done)
}

/// The roster without those who are blocked: they see nothing and are asked nothing
/// (XEP-0191 §3.3).
async fn contacts(cx: &Cx<'_>, user: &BareJid) -> Result<Vec<RosterItem>, Halt> {
    let (_, mut items) = cx.hosts.storage.roster().load(user).await?;
    let blocked = cx.hosts.block_list(user).await?;
    items.retain(|item| !block_list::hits(&blocked, &item.jid));
    Ok(items)
}

fn broadcast(cx: &mut Cx<'_>, session: &SessionRef, items: &[RosterItem], presence: &Presence) {
    for item in items.iter().filter(|item| item.subscription.is_from()) {
        session.remove_directed(&item.jid);
        send(cx, presence, item.jid.clone());
    }
    // To the user herself, as to any contact: the address is the account's (RFC 6121 §4.2.2).
    let user = session.jid().to_bare();
    let mut copy = presence.clone();
    copy.head.to = Some(user.clone().into());
    let stanza = Arc::new(Stanza::Presence(copy));
    for own in cx.hosts.sessions.of(&user) {
        // Also who goes is told so (RFC 6121 §4.5.2).
        if own == *session || own.available().is_some() {
            deliver(&own, Arc::clone(&stanza));
        }
    }
}

/// The first presence of a session (RFC 6121 §4.2.2, §4.3.1): it learns who is there, and who asked
/// for a subscription while it was away.
async fn initial_presence(cx: &mut Cx<'_>, own: &Session, user: &BareJid, items: &[RosterItem]) {
    let session = own.handle();
    for other in cx.hosts.sessions.of(user) {
        if let Some(presence) = other.available().filter(|_| other != *session) {
            let stanza = Arc::new(Stanza::Presence((*presence).clone()));
            deliver_addressed(session, stanza);
        }
    }
    for request in roster::waiting_requests(items) {
        super::wait_for_capacity(cx.hosts, own).await;
        deliver(session, Arc::new(Stanza::Presence(request)));
    }
    // From the session, so that it alone hears the answers: what it asks does not leave this server,
    // where nothing need be asked (RFC 6121 §4.3.1).
    for item in items.iter().filter(|item| item.subscription.is_to()) {
        let probe = Presence::bare(PresenceKind::Probe, session.jid().clone(), item.jid.clone());
        cx.outbox.send(Stanza::Presence(probe));
    }
}

/// RFC 6121 §4.6: to one, who is remembered for the end.
async fn directed(
    cx: &mut Cx<'_>,
    session: &SessionRef,
    mut presence: Presence,
    to: Jid,
) -> Result<Outcome, Halt> {
    let kind = presence.kind;
    // Who could not be told the end is not told the beginning.
    if kind == PresenceKind::Available && !session.add_directed(&to) {
        return Err(Condition::ResourceConstraint
            .text("directed presence to too many addresses")
            .into());
    }
    presence.head.to = Some(to.clone());
    let done = super::arrive(cx, Stanza::Presence(presence)).await;
    // Who could not be told the end is remembered.
    if kind == PresenceKind::Unavailable && !matches!(done, Err(Halt::Bounce(..))) {
        session.end_directed(&to);
    }
    done
}
