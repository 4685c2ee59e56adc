//! What happens to a presence probe: somebody asks whether a user is online (RFC 6121 §4.3, §4.6.6).

use std::sync::Arc;

use super::outcome::Outcome;
use super::send_presence::{deliver, send};
use crate::host::{Cx, Halt, contact_list};
use crate::jid::{BareJid, FullJid, Jid};
use crate::modules::last_activity;
use crate::session::SessionRef;
use crate::stanza::{Content, Presence, PresenceKind, Stanza};

/// Whether a client may send a probe (XEP-0318 §3.1): to a contact that shows its presence to the user,
/// or to somebody who has sent directed presence to this client. If a contact in the roster does not
/// show its presence, our server answers the client at once (RFC 6121 §4.3.2).
///
/// DEPARTS: RFC 6121 §4.3.2 – this answer, `unsubscribed`, goes only to the session that sent the probe,
/// and the roster stays as it is. The same answer from the contact's server would also end a subscription
/// request of the user that the contact has not answered yet.
pub async fn may_leave(
    cx: &Cx<'_>,
    session: &SessionRef,
    probe: &Presence,
    to: &Jid,
) -> Result<bool, Halt> {
    let (user, contact) = (session.jid().to_bare(), to.to_bare());
    let item = contact_list::find(cx.server, &user, &contact.clone().into()).await?;
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

/// A probe arrives for a user, or for one of the user's sessions (RFC 6121 §4.3.2). The answers go to the
/// address that sent it, and tell only of the sessions that it asks for.
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
    let sessions = cx.server.sessions.of(user);
    let asked = sessions.iter().filter(|session| resource.is_none_or(|r| session.jid() == r));
    let available: Vec<_> = asked.filter_map(SessionRef::available).collect();
    for presence in &available {
        match resource {
            None => send(cx, presence, from.clone()),
            // To a full JID: only that it is available (§4.3.2), with the id of its own presence
            // (§4.3.2.1).
            Some(_) => {
                let bare = Presence { content: Content::default(), ..(**presence).clone() };
                send(cx, &bare, from.clone());
            }
        }
    }
    if available.is_empty() {
        let asked: Jid = resource.cloned().map_or_else(|| user.clone().into(), FullJid::into_jid);
        let mut gone = Presence::bare(PresenceKind::Unavailable, asked, from);
        if resource.is_none() {
            gone.content = last_activity::last_words(cx, user).await?;
        }
        answer(cx, probe, gone);
    }
    Ok(Outcome::Answered)
}

/// The answer to somebody who may not see the user's presence. Sessions that have sent directed presence
/// to the asker answer that they are available, and nothing else (RFC 6121 §4.6.6). If there are none, the
/// answer is `unsubscribed`, from the account, whether it exists or not (§4.3.2, §8.5.1). A pre-approval
/// of the asker stays as it is (§3.4).
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

/// The sessions of `user`, or only the one at `resource`, that have sent directed presence to `other`.
fn shown_to(cx: &Cx<'_>, user: &BareJid, resource: Option<&FullJid>, other: &Jid) -> Vec<FullJid> {
    let sessions = cx.server.sessions.of(user).into_iter();
    let asked = sessions.filter(|session| resource.is_none_or(|r| session.jid() == r));
    asked.filter(|session| session.is_shown_to(other)).map(|s| s.jid().clone()).collect()
}

/// Answers with presence that is not a session's own: it has the id of the probe (RFC 6121 §4.3.2.1).
fn answer(cx: &mut Cx<'_>, probe: &Presence, mut presence: Presence) {
    presence.head.id.clone_from(&probe.head.id);
    cx.outbox.send(Stanza::Presence(presence));
}
