//! What happens to a message. Read from top to bottom.
//!
//! The order of the calls *is* the policy of the server, and it is in no other file. Each step is
//! explained, with its specification, where it is defined. A step that stops the message returns [`Halt`].

use std::sync::Arc;

use smallvec::SmallVec;

use super::outcome::Outcome;
use super::remote;
use crate::host::{Cx, Destination, Halt, Kept, stanza_log};
use crate::jid::{BareJid, FullJid};
use crate::log::STANZA;
use crate::modules::mam::{self, Recipient};
use crate::modules::strangers::{self, Admission};
use crate::modules::{blocking, carbons, pubsub, push, read_state, retraction, stanza_id};
use crate::session::{Accepted, SessionRef, Undelivered};
use crate::stanza::{Condition, Message, MessageKind, Stanza};
use crate::storage::{MessageId, Way};

type Sessions = SmallVec<[SessionRef; 2]>;

/// What became of a message, and for whom it was stored.
#[derive(Clone, Copy, Debug)]
pub struct Delivered {
    /// For the log.
    pub outcome: Outcome,
    /// `None` if nothing was stored.
    pub kept: Option<Kept>,
}

/// A client sends a message. Its `from` is stamped already.
pub async fn leaves(
    cx: &mut Cx<'_>,
    user: &BareJid,
    mut message: Message,
) -> Result<Outcome, Halt> {
    message.head.address_to_own_account();
    stanza_id::remove_forged(cx, user, &mut message);
    read_state::take_out(cx, user, &mut message).await;
    if pubsub::decides(cx, user, &message).await? {
        return Ok(Outcome::Done);
    }
    blocking::refuse_outgoing(cx, &message.head).await?;
    strangers::wrote(cx, user, &message).await?;
    let Delivered { outcome, kept } = deliver(cx, Some(user), &mut message).await?;
    sent(cx, user, &message, kept);
    if kept.is_some_and(|kept| kept.in_sender) && retraction::is_in(&message) {
        Box::pin(retraction::replace_by_tombstone(cx, user, Way::Sent, &message)).await;
    }
    carbons::sent(cx, user, &message, kept);
    Ok(outcome)
}

/// Hands a message over to its destination. `sender`: the account whose client sent the message; `None` if no
/// client did. The message is stored for the sender, wherever it goes. A message that is refused on its way
/// is in no archive.
pub async fn deliver(
    cx: &mut Cx<'_>,
    sender: Option<&BareJid>,
    message: &mut Message,
) -> Result<Delivered, Halt> {
    let Some(to) = message.head.to.clone() else { return Err(Halt::Drop("no recipient")) };
    let copy = message.clone(); // a few reference counts
    match cx.server.destination(&to) {
        // Both parts, the sender's and the recipient's, are stored together, once.
        Destination::Account(host, user) => {
            return arrives(&mut cx.at(host), sender, &user, None, copy).await;
        }
        Destination::Session(host, full) => {
            return arrives(&mut cx.at(host), sender, &full.to_bare(), Some(&full), copy).await;
        }
        // Nobody reads messages to the server (RFC 6121 §8.4).
        Destination::Host(_) => {
            return Err(Halt::bounce(Condition::ServiceUnavailable, "nobody reads it there"));
        }
        Destination::Service(at) => {
            cx.registry.service_at(at).message(&mut cx.at(&at.host), at, copy).await?;
        }
        Destination::Remote => remote::leaves(cx, Stanza::Message(copy))?,
    }
    // A service or another server accepted it: only the sender has an archive here. If that fails, the sender is told
    // nothing: with an error, the message would be sent again.
    let kept = mam::keep(cx, sender, None, message).await.unwrap_or_else(|halt| {
        let jid = sender.map(|user| user.as_str());
        tracing::warn!(target: STANZA, jid, reason = halt.reason(), "not archived for the sender");
        None
    });
    Ok(Delivered { outcome: Outcome::HandedOver, kept })
}

/// The sender's side of a message that was accepted: the message as it left, and for whom it was stored.
fn sent(cx: &Cx<'_>, user: &BareJid, message: &Message, kept: Option<Kept>) {
    if let Some(kept) = kept.filter(|kept| kept.in_sender) {
        tracing::debug!(
            target: STANZA, jid = %user, archive_id = cx.server.message_ids.write(kept.id),
            bytes = message.content.size(), "archived for the sender"
        );
    }
}

/// A message arrives for an account of this server, or for one of its sessions (RFC 6121 §8.5). `sender`: the
/// account whose client sent it, if a client did.
pub async fn arrives(
    cx: &mut Cx<'_>,
    sender: Option<&BareJid>,
    user: &BareJid,
    resource: Option<&FullJid>,
    mut message: Message,
) -> Result<Delivered, Halt> {
    let sessions = cx.server.sessions.of(user);
    let has_account = match sessions.first() {
        Some(session) => !session.is_anonymous(),
        None if cx.has_account(user).await? => true,
        None => return unknown(resource, message.kind),
    };
    blocking::refuse_incoming(cx, user, &message.head).await?;
    if message.kind == MessageKind::Error && resource.is_none() {
        pubsub::bounced(cx, user, &message).await;
    }
    if !push::is_notice(cx, user, &message).await
        && strangers::admit(cx, user, resource, &message).await? == Admission::Waits
    {
        let kept = mam::keep(cx, sender, None, &mut message).await?;
        return Ok(Delivered { outcome: Outcome::Request, kept });
    }
    stanza_id::remove_forged(cx, user, &mut message);
    let kind = message.kind;
    let is_there = !recipients(&sessions, resource, kind)?.is_empty();
    let recipient = Recipient { user, has_account, is_there };
    let kept = mam::keep(cx, sender, Some(&recipient), &mut message).await?;
    if kept.is_some_and(|kept| kept.in_recipient) && retraction::is_in(&message) {
        Box::pin(retraction::replace_by_tombstone(cx, user, Way::Received, &message)).await;
    }
    let marker = kept.and_then(|kept| kept.marker());
    let stanza = Arc::new(Stanza::Message(message));
    // Look up the sessions again: a new one may have looked for stored messages before this one was stored.
    let sessions = cx.server.sessions.of(user);
    let resource = resource.filter(|full| sessions.iter().any(|s| s.jid() == *full));
    let mut direct = recipients(&sessions, resource, kind).unwrap_or_default();
    let mut shed = 0;
    direct.retain(|session| {
        let given = give(session, &stanza, marker);
        shed += usize::from(given == Ok(Accepted::Shed));
        given.is_ok()
    });
    let given = direct.len();
    cx.keeping.count_deliveries(given);
    if let Some(marker) = marker.filter(|_| given == 0) {
        sessions.iter().for_each(|session| session.note_skipped(marker));
    }
    // The session existed at the first look. Since then it has ended, or is being closed.
    if given == 0 && must_be_read(&stanza) {
        return Err(Halt::bounce(Condition::ServiceUnavailable, "the session has just ended"));
    }
    if let Stanza::Message(message) = &*stanza {
        carbons::received(cx, user, &sessions, &direct, marker.is_some() && given == 0, message);
    }
    if let Stanza::Message(message) = &*stanza
        && has_account
    {
        push::arrived(cx, user, &sessions, &direct, kept, message).await;
    }
    let outcome = match kept {
        Some(kept) if given == 0 && kept.has_marker => Outcome::Waiting,
        Some(kept) if given == 0 && kept.in_recipient => Outcome::Archived,
        _ if given > 0 && given == shed => Outcome::Shed,
        _ => Outcome::Delivered(given - shed),
    };
    Ok(Delivered { outcome, kept })
}

/// Whether it is a message of a room. The room must learn that a session has ended (RFC 6121 §8.5.3.2.1), or
/// the session stays among its occupants.
pub fn must_be_read(stanza: &Stanza) -> bool {
    matches!(stanza, Stanza::Message(message) if message.kind == MessageKind::Groupchat)
}

/// The sessions that get the message directly: the table of RFC 6121 §8.5.4.
fn recipients(
    sessions: &[SessionRef],
    resource: Option<&FullJid>,
    kind: MessageKind,
) -> Result<Sessions, Halt> {
    if let Some(session) = resource.and_then(|full| sessions.iter().find(|s| s.jid() == full)) {
        return Ok(SmallVec::from_iter([session.clone()]));
    }
    match (kind, resource) {
        (MessageKind::Error, Some(_)) => Err(Halt::Drop("an error to a session that has ended")),
        (MessageKind::Error, None) => Err(Halt::Drop("an error to an account")),
        // Clients are in rooms, accounts are not (§8.5.2.1.1).
        (MessageKind::Groupchat, _) => {
            Err(Halt::bounce(Condition::ServiceUnavailable, "groupchat to an account"))
        }
        // No session has this resource now (§8.5.3.2.1): the sender is told.
        (MessageKind::Normal | MessageKind::Headline, Some(_)) => {
            Err(Halt::bounce(Condition::ServiceUnavailable, "no such session"))
        }
        // To every resource with a priority of 0 or more (§8.5.2.1.1).
        //
        // DEPARTS: RFC 6121 §8.5.4 – chat messages go to all of them, too. A user who takes up another
        // device must find the conversation there.
        (MessageKind::Chat | MessageKind::Normal | MessageKind::Headline, _) => {
            Ok(sessions.iter().filter(|s| s.priority() >= Some(0)).cloned().collect())
        }
    }
}

/// Delivers a message to a session. A session that is ending does not take it. Then the message stays in the
/// store, if it was stored.
fn give(
    session: &SessionRef,
    stanza: &Arc<Stanza>,
    marker: Option<MessageId>,
) -> Result<Accepted, Undelivered> {
    let given = match marker {
        Some(marker) => session.deliver_with_marker(Arc::clone(stanza), marker),
        None => session.deliver(Arc::clone(stanza)),
    };
    stanza_log::note_delivery(session, given);
    given
}

/// The answer for an account that does not exist. It is the same as for a message that cannot be stored
/// (RFC 6121 §8.5.1), so nobody learns which accounts exist. A headline to the account gets no answer, as if
/// the user were offline (§8.5.4).
fn unknown<T>(resource: Option<&FullJid>, kind: MessageKind) -> Result<T, Halt> {
    match (kind, resource) {
        (MessageKind::Error, _) | (MessageKind::Headline, None) => {
            Err(Halt::Drop("no such account"))
        }
        _ => Err(Halt::bounce(Condition::ServiceUnavailable, "no such account")),
    }
}
