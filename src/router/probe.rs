//! What happens to a probe: somebody asks whether a user is there (RFC 6121 §4.3, §4.6.6).

use std::sync::Arc;

use super::outcome::Outcome;
use super::send_presence::{deliver, send};
use crate::host::{Cx, Halt};
use crate::jid::{BareJid, FullJid, Jid};
use crate::modules::last_activity;
use crate::session::SessionRef;
use crate::stanza::{Content, Presence, PresenceKind, Stanza};

/// A client may ask whether a contact is there (XEP-0318 §3.1), or one who has shown itself to it. Of
/// a contact in its roster that it may not see, it is told so at once (RFC 6121 §4.3.2).
///
/// DEPARTS: RFC 6121 §4.3.2 – that answer goes to the session that has asked, and changes no roster. An
/// `unsubscribed` from the contact's server would end a request for a subscription that still waits.
pub async fn may_leave(
    cx: &Cx<'_>,
    session: &SessionRef,
    probe: &Presence,
    to: &Jid,
) -> Result<bool, Halt> {
    let (user, contact) = (session.jid().to_bare(), to.to_bare());
    let item = cx.hosts.storage.roster().find(&user, &contact.clone().into()).await?;
    if contact == user || item.as_ref().is_some_and(|item| item.subscription.is_to()) {
        return Ok(true);
    }
    let from = session.jid().clone().into_jid();
    if !shown_to(cx, &contact, to.to_full().as_ref(), &from).is_empty() {
        return Ok(true);
    }
    if item.is_some_and(|item| item.listed) {
        let mut no = Presence::bare(PresenceKind::Unsubscribed, contact, user);
        no.head.id.clone_from(&probe.head.id);
        deliver(session, Arc::new(Stanza::Presence(no)));
    }
    Ok(false)
}

/// Somebody asks for a user, or for one of her sessions (RFC 6121 §4.3.2). Each answer is for who has
/// asked, and tells of nobody but those he has asked for.
pub async fn arrives(
    cx: &mut Cx<'_>,
    user: &BareJid,
    resource: Option<&FullJid>,
    probe: &Presence,
) -> Result<Outcome, Halt> {
    let Some(from) = probe.head.from.clone() else { return Err(Halt::Drop("no sender")) };
    let is_own = from.bare_str() == user.as_str();
    if !is_own && !cx.shows_presence(user, &from).await? {
        reply_without_subscription(cx, user, resource, probe, &from);
        return Ok(Outcome::Answered);
    }
    let sessions = cx.hosts.sessions.of(user);
    let meant = sessions.iter().filter(|session| resource.is_none_or(|r| session.jid() == r));
    let there: Vec<_> = meant.filter_map(SessionRef::available).collect();
    for presence in &there {
        match resource {
            None => send(cx, presence, from.clone()),
            // Only that it is there (§4.3.2); with its own id (§4.3.2.1).
            Some(_) => {
                let mere = Presence { content: Content::default(), ..(**presence).clone() };
                send(cx, &mere, from.clone());
            }
        }
    }
    if there.is_empty() {
        let whole: Jid = resource.cloned().map_or_else(|| user.clone().into(), FullJid::into_jid);
        let mut gone = Presence::bare(PresenceKind::Unavailable, whole, from);
        if resource.is_none() {
            gone.content = last_activity::last_words(cx, user).await?;
        }
        answer(cx, probe, gone);
    }
    Ok(Outcome::Answered)
}

/// Who may not see the user hears of the sessions that have shown themselves to him, and nothing but
/// that they are there (RFC 6121 §4.6.6). Else he hears that he may not, from the account, be there
/// one or not (§4.3.2, §8.5.1); what she has approved in advance stays approved.
fn reply_without_subscription(
    cx: &mut Cx<'_>,
    user: &BareJid,
    resource: Option<&FullJid>,
    probe: &Presence,
    from: &Jid,
) {
    let shown = shown_to(cx, user, resource, from);
    for session in &shown {
        let here = Presence::bare(PresenceKind::Available, session.clone(), from.clone());
        cx.outbox.send(Stanza::Presence(here));
    }
    if shown.is_empty() {
        let no = Presence::bare(PresenceKind::Unsubscribed, user.clone(), from.to_bare());
        answer(cx, probe, no);
    }
}

/// The sessions of `user`, or this one, that have sent their presence to `other`.
fn shown_to(cx: &Cx<'_>, user: &BareJid, resource: Option<&FullJid>, other: &Jid) -> Vec<FullJid> {
    let sessions = cx.hosts.sessions.of(user).into_iter();
    let meant = sessions.filter(|session| resource.is_none_or(|r| session.jid() == r));
    meant.filter(|session| session.is_shown_to(other)).map(|s| s.jid().clone()).collect()
}

/// What is no presence of a session has the id of the probe (RFC 6121 §4.3.2.1).
fn answer(cx: &mut Cx<'_>, probe: &Presence, mut presence: Presence) {
    presence.head.id.clone_from(&probe.head.id);
    cx.outbox.send(Stanza::Presence(presence));
}
