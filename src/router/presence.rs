//! What happens to presence: broadcast, directed, probes, subscriptions (RFC 6121 §3, §4).

use std::sync::Arc;

use crate::host::{Cx, Halt};
use crate::jid::{BareJid, FullJid, Jid};
use crate::modules::{blocking, last_activity, roster};
use crate::roster::subscription::Way;
use crate::session::SessionHandle;
use crate::stanza::{Condition, Presence, PresenceKind, Stanza};
use crate::storage::{RosterItem, Subscription};

/// Presence leaves one of our clients. Its `from` is stamped already.
pub async fn leaves(
    cx: &mut Cx<'_>,
    session: &SessionHandle,
    mut presence: Presence,
) -> Result<(), Halt> {
    use PresenceKind::{Available, Error, Probe, Unavailable};
    blocking::refuse_outgoing(cx, &presence.head).await?;
    match (presence.kind, presence.head.to.take()) {
        (Available, None) => available(cx, session, presence).await,
        (Unavailable, None) => unavailable(cx, session, presence).await,
        (Available | Unavailable, Some(to)) => directed(cx, session, presence, to).await,
        (Error, Some(to)) => {
            presence.head.to = Some(to);
            super::arrive(cx, Stanza::Presence(presence)).await
        }
        // Probes are the server's business (RFC 6121 §4.3); an error to nobody says nothing.
        (Probe | Error, _) => Err(Halt::Drop),
        (_, None) => Err(Condition::BadRequest.text("a subscription needs an addressee").into()),
        (_, Some(to)) => subscription_leaves(cx, session, presence, &to).await,
    }
}

/// Presence arrives for one of our accounts, or for one of its sessions (RFC 6121 §8.5).
pub async fn arrives(
    cx: &mut Cx<'_>,
    user: &BareJid,
    resource: Option<&FullJid>,
    presence: Presence,
) -> Result<(), Halt> {
    if blocking::is_blocked(cx, user, &presence.head).await? {
        return Err(Halt::Drop);
    }
    match presence.kind {
        PresenceKind::Probe => probed(cx, user, &presence).await,
        kind if kind.is_subscription() => subscription_arrives(cx, user, presence).await,
        _ => {
            let stanza = Arc::new(Stanza::Presence(presence));
            for session in cx.hosts.sessions.of(user) {
                let meant = match resource {
                    Some(full) => session.jid() == full,
                    None => session.available().is_some(),
                };
                if meant {
                    lost(&session, session.deliver(Arc::clone(&stanza)).is_err());
                }
            }
            Ok(())
        }
    }
}

/// A session has ended and left the table: those who saw it see it go (RFC 6121 §4.5.3).
pub async fn ended(cx: &mut Cx<'_>, session: &SessionHandle) -> Result<(), Halt> {
    let from = session.jid().clone();
    let mut presence = Presence::bare(PresenceKind::Unavailable, from.clone(), from);
    presence.head.to = None;
    unavailable(cx, session, presence).await
}

/// RFC 6121 §4.2 and §4.4: to all who may see it, to the user's own sessions, and on the first
/// one a look around.
async fn available(
    cx: &mut Cx<'_>,
    session: &SessionHandle,
    presence: Presence,
) -> Result<(), Halt> {
    let user = session.jid().to_bare();
    let items = contacts(cx, &user).await?;
    let wanted_messages = session.priority() >= Some(0);
    let priority = presence.priority();
    let kept = Arc::new(Presence { content: presence.content.packed(), ..presence.clone() });
    if priority >= 0 && !wanted_messages {
        // Before it can get anything newer, and with nothing awaited until it is available.
        session.want_backlog();
    }
    let first = session.update_presence(|p| {
        p.priority = priority;
        p.available.replace(kept).is_none()
    });
    session.appeared();
    broadcast(cx, session, &items, &presence);
    if first {
        look_around(cx, session, &user, &items).await;
    }
    Ok(())
}

/// RFC 6121 §4.5: to all who have seen it, also to those it was directed to.
async fn unavailable(
    cx: &mut Cx<'_>,
    session: &SessionHandle,
    presence: Presence,
) -> Result<(), Halt> {
    let (seen, mut directed) = session
        .update_presence(|p| (p.available.take().is_some(), std::mem::take(&mut p.directed)));
    if seen {
        let user = session.jid().to_bare();
        let items = contacts(cx, &user).await?;
        broadcast(cx, session, &items, &presence);
        // Who sees us go by the roster does not see it twice.
        for item in items.iter().filter(sees_us) {
            directed.remove(&item.jid);
        }
    }
    for to in directed {
        send(cx, &presence, to);
    }
    if seen {
        last_activity::note_gone(cx, &session.jid().to_bare(), &presence).await?;
    }
    Ok(())
}

fn sees_us(item: &&RosterItem) -> bool {
    matches!(item.subscription, Subscription::Both | Subscription::From)
}

/// The roster without those who are blocked: they see nothing and are asked nothing
/// (XEP-0191 §3.3).
async fn contacts(cx: &Cx<'_>, user: &BareJid) -> Result<Vec<RosterItem>, Halt> {
    let (_, mut items) = cx.hosts.storage.roster().load(user).await?;
    let blocked = blocking::list(cx, user).await?;
    items.retain(|item| !blocking::hits(&blocked, &item.jid));
    Ok(items)
}

fn broadcast(cx: &mut Cx<'_>, session: &SessionHandle, items: &[RosterItem], presence: &Presence) {
    for item in items.iter().filter(sees_us) {
        session.update_presence(|p| p.directed.remove(&item.jid));
        send(cx, presence, item.jid.clone());
    }
    let stanza = Arc::new(Stanza::Presence(presence.clone()));
    for own in cx.hosts.sessions.of(&session.jid().to_bare()) {
        if own.available().is_some() {
            lost(&own, own.deliver_addressed(Arc::clone(&stanza)).is_err());
        }
    }
}

/// The first presence of a session (RFC 6121 §4.2.2, §4.3): it learns who is there, and who asked
/// for a subscription while it was away.
async fn look_around(
    cx: &mut Cx<'_>,
    session: &SessionHandle,
    user: &BareJid,
    items: &[RosterItem],
) {
    for own in cx.hosts.sessions.of(user) {
        if let Some(presence) = own.available().filter(|_| own != *session) {
            let stanza = Arc::new(Stanza::Presence((*presence).clone()));
            lost(session, session.deliver_addressed(stanza).is_err());
        }
    }
    for request in roster::waiting_requests(items) {
        super::room(cx.hosts, session).await;
        lost(session, session.deliver(Arc::new(Stanza::Presence(request))).is_err());
    }
    let seen = |i: &&RosterItem| matches!(i.subscription, Subscription::Both | Subscription::To);
    for item in items.iter().filter(seen) {
        let probe = Presence::bare(PresenceKind::Probe, session.jid().clone(), item.jid.clone());
        cx.outbox.send(Stanza::Presence(probe));
    }
}

/// RFC 6121 §4.6: to one, who is remembered for the end.
async fn directed(
    cx: &mut Cx<'_>,
    session: &SessionHandle,
    mut presence: Presence,
    to: Jid,
) -> Result<(), Halt> {
    session.update_presence(|p| {
        if presence.kind == PresenceKind::Unavailable {
            p.directed.remove(&to);
        } else if p.directed.len() < MAX_DIRECTED {
            p.directed.insert(to.clone());
        }
    });
    presence.head.to = Some(to);
    super::arrive(cx, Stanza::Presence(presence)).await
}

/// RFC 6121 §4.3.2: one who may see the user asks whether she is there.
async fn probed(cx: &mut Cx<'_>, user: &BareJid, probe: &Presence) -> Result<(), Halt> {
    let Some(from) = probe.head.from.clone() else { return Err(Halt::Drop) };
    let contact: Jid = from.to_bare().into();
    let item = cx.hosts.storage.roster().find(user, &contact).await?;
    let may_see =
        item.is_some_and(|i| matches!(i.subscription, Subscription::Both | Subscription::From));
    if !may_see {
        let no = Presence::bare(PresenceKind::Unsubscribed, user.clone(), contact);
        cx.outbox.send(Stanza::Presence(no));
        return Ok(());
    }
    let mut anybody = false;
    for session in cx.hosts.sessions.of(user) {
        if let Some(presence) = session.available() {
            anybody = true;
            send(cx, &presence, from.clone());
        }
    }
    if !anybody {
        let gone = Presence::bare(PresenceKind::Unavailable, user.clone(), from);
        cx.outbox.send(Stanza::Presence(gone));
    }
    Ok(())
}

/// RFC 6121 §3.1.2, §3.2.1, §3.3.2: our user manages a subscription.
async fn subscription_leaves(
    cx: &mut Cx<'_>,
    session: &SessionHandle,
    mut presence: Presence,
    to: &Jid,
) -> Result<(), Halt> {
    let (user, contact) = (session.jid().to_bare(), to.to_bare());
    if user == contact {
        return Err(Halt::Drop);
    }
    // Between accounts, not between sessions (RFC 6121 §3.1.2).
    presence.head.from = Some(user.clone().into());
    presence.head.to = Some(contact.clone().into());
    let changed = roster::subscription(cx, &user, &contact, Way::Outbound, &presence).await?;
    if changed.pass {
        cx.outbox.send(Stanza::Presence(presence));
    }
    seen_or_gone(cx, &user, &contact, &changed);
    Ok(())
}

/// RFC 6121 §3.1.3, §3.1.6, §3.2.3, §3.3.3: a contact manages a subscription.
async fn subscription_arrives(
    cx: &mut Cx<'_>,
    user: &BareJid,
    mut presence: Presence,
) -> Result<(), Halt> {
    // Silence to one who asks an account that does not exist (RFC 6121 §8.5.1).
    if cx.hosts.storage.accounts().find(user).await?.is_none() {
        return Err(Halt::Drop);
    }
    let Some(contact) = presence.head.from.as_ref().map(|from| from.to_bare()) else {
        return Err(Halt::Drop);
    };
    presence.head.from = Some(contact.clone().into());
    presence.head.to = Some(user.clone().into());
    let changed = roster::subscription(cx, user, &contact, Way::Inbound, &presence).await?;
    if changed.approve {
        let yes = Presence::bare(PresenceKind::Subscribed, user.clone(), contact.clone());
        cx.outbox.send(Stanza::Presence(yes));
    }
    seen_or_gone(cx, user, &contact, &changed);
    if changed.pass {
        let stanza = Arc::new(Stanza::Presence(presence));
        for session in cx.hosts.sessions.of(user) {
            let wants = session.presence(|p| p.available.is_some() || p.interested);
            if wants {
                lost(&session, session.deliver(Arc::clone(&stanza)).is_err());
            }
        }
    }
    Ok(())
}

/// A contact who may see the user from now on sees who is there; one who may not any more sees
/// all go (RFC 6121 §3.1.5, §3.2.2, §3.3.3).
fn seen_or_gone(cx: &mut Cx<'_>, user: &BareJid, contact: &BareJid, changed: &roster::Changed) {
    if changed.closed {
        roster::gone(cx, user, contact);
    }
    if changed.opened {
        for session in cx.hosts.sessions.of(user) {
            if let Some(presence) = session.available() {
                send(cx, &presence, contact.clone().into());
            }
        }
    }
}

fn send(cx: &mut Cx<'_>, presence: &Presence, to: Jid) {
    let mut copy = presence.clone();
    copy.head.to = Some(to);
    cx.outbox.send(Stanza::Presence(copy));
}

/// Presence that a session does not take is lost with the session: it ends, or is being closed.
fn lost(session: &SessionHandle, lost: bool) {
    if lost {
        tracing::debug!(jid = %session.jid(), "presence not delivered to a session that ends");
    }
}

/// Addresses remembered by a session for its directed presence.
const MAX_DIRECTED: usize = 1000;
