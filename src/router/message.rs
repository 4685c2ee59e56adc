//! What happens to a message. Read from top to bottom.
//!
//! The order of the calls *is* the policy of the server; it stands here and nowhere else. Each
//! step is explained, with its specification, where it is defined. A step that stops the message
//! returns [`Halt`].

use std::sync::Arc;

use smallvec::SmallVec;

use super::own_account;
use crate::host::{Cx, Halt};
use crate::jid::{BareJid, FullJid};
use crate::modules::mam::{self, Recipient};
use crate::modules::{blocking, stanza_id};
use crate::session::SessionRef;
use crate::stanza::{Condition, Message, MessageKind, Stanza};
use crate::storage::MessageId;

type Sessions = SmallVec<[SessionRef; 2]>;

/// A message leaves one of our clients. Its `from` is stamped already.
pub async fn leaves(cx: &mut Cx<'_>, user: &BareJid, mut message: Message) -> Result<(), Halt> {
    own_account(&mut message.head);
    stanza_id::remove_forged(cx, user, &mut message);
    blocking::refuse_outgoing(cx, &message.head).await?;
    mam::sent_by(cx, user);
    super::arrive(cx, Stanza::Message(message)).await
}

/// A message arrives for one of our accounts, or for one of its sessions (RFC 6121 §8.5).
pub async fn arrives(
    cx: &mut Cx<'_>,
    user: &BareJid,
    resource: Option<&FullJid>,
    mut message: Message,
) -> Result<(), Halt> {
    let sessions = cx.hosts.sessions.of(user);
    let has_account = match sessions.first() {
        Some(session) => !session.is_anonymous(),
        None if cx.has_account(user).await? => true,
        None => return unknown(resource, message.kind),
    };
    blocking::refuse_incoming(cx, user, &message.head).await?;
    stanza_id::remove_forged(cx, user, &mut message);
    let kind = message.kind;
    let is_there = !recipients(&sessions, resource, kind)?.is_empty();
    let recipient = Recipient { user, has_account, is_there };
    let marker = mam::keep(cx, &recipient, &mut message).await?;
    let stanza = Arc::new(Stanza::Message(message));
    // Those who are there now: who came meanwhile may have looked for what waits before this did.
    let sessions = cx.hosts.sessions.of(user);
    let resource = resource.filter(|full| sessions.iter().any(|s| s.jid() == *full));
    let now = recipients(&sessions, resource, kind).unwrap_or_default();
    let given = now.iter().filter(|session| deliver(session, &stanza, marker)).count();
    cx.keeping.delivered(given);
    if let Some(marker) = marker.filter(|_| given == 0) {
        sessions.iter().for_each(|session| session.leave_out(marker));
    }
    // It was there when we looked, and has ended or is being closed.
    if given == 0 && must_be_read(&stanza) {
        return Err(Condition::ServiceUnavailable.into());
    }
    Ok(())
}

/// A message of a room, which must learn that a session is not there any more (RFC 6121 §8.5.3.2.1):
/// else who has gone stays among its occupants.
pub fn must_be_read(stanza: &Stanza) -> bool {
    matches!(stanza, Stanza::Message(message) if message.kind == MessageKind::Groupchat)
}

/// Who gets it directly: the table of RFC 6121 §8.5.4.
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
        // A room is a client's business, never an account's (§8.5.2.1.1).
        (MessageKind::Groupchat, _) => Err(Condition::ServiceUnavailable.into()),
        // Nobody has this resource now (§8.5.3.2.1): the sender shall know.
        (MessageKind::Normal | MessageKind::Headline, Some(_)) => {
            Err(Condition::ServiceUnavailable.into())
        }
        // To every resource that wants messages at all (§8.5.2.1.1): they are equally available.
        //
        // DEPARTS: RFC 6121 §8.5.4 – to all of them chats, too, without anybody having asked for that.
        // Who takes another device up must find there what was written to the first.
        (MessageKind::Chat | MessageKind::Normal | MessageKind::Headline, _) => {
            Ok(sessions.iter().filter(|s| s.priority() >= Some(0)).cloned().collect())
        }
    }
}

/// `false` if the session does not take it, because it ends: then it waits, if it can.
fn deliver(session: &SessionRef, stanza: &Arc<Stanza>, marker: Option<MessageId>) -> bool {
    let given = match marker {
        Some(marker) => session.deliver_with_marker(Arc::clone(stanza), marker),
        None => session.deliver(Arc::clone(stanza)),
    };
    given.is_ok()
}

/// The same answer for an account that does not exist and for a message which nobody can keep
/// (RFC 6121 §8.5.1): nobody learns who exists. So silence to a headline for an account, as if nobody
/// were there (§8.5.4).
fn unknown(resource: Option<&FullJid>, kind: MessageKind) -> Result<(), Halt> {
    match (kind, resource) {
        (MessageKind::Error, _) | (MessageKind::Headline, None) => {
            Err(Halt::Drop("no such account"))
        }
        _ => Err(Condition::ServiceUnavailable.into()),
    }
}
