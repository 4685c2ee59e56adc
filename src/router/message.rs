//! What happens to a message. Read from top to bottom.
//!
//! The order of the calls *is* the policy of the server; it stands here and nowhere else. Each
//! step is explained, with its specification, where it is defined. A step that stops the message
//! returns [`Halt`].

use std::sync::Arc;

use smallvec::SmallVec;

use super::own_account;
use crate::host::{Cx, Halt, Hosts};
use crate::jid::{BareJid, FullJid};
use crate::modules::{blocking, offline};
use crate::session::SessionHandle;
use crate::stanza::{Condition, Message, MessageKind, Stanza};

/// A message leaves one of our clients. Its `from` is stamped already.
pub async fn leaves(cx: &mut Cx<'_>, mut message: Message) -> Result<(), Halt> {
    own_account(&mut message.head);
    blocking::refuse_outgoing(cx, &message.head).await?;
    super::arrive(cx, Stanza::Message(message)).await
}

/// A message arrives for one of our accounts, or for one of its sessions (RFC 6121 §8.5).
pub async fn arrives(
    cx: &mut Cx<'_>,
    user: &BareJid,
    resource: Option<&FullJid>,
    message: Message,
) -> Result<(), Halt> {
    let sessions = cx.hosts.sessions.of(user);
    if sessions.is_empty() && cx.hosts.storage.accounts().find(user).await?.is_none() {
        return unknown(&message);
    }
    blocking::refuse_incoming(cx, user, &message.head).await?;
    let recipients = recipients(&sessions, resource, &message)?;
    let stanza = Arc::new(Stanza::Message(message));
    let reached = recipients.iter().filter(|s| s.deliver(Arc::clone(&stanza)).is_ok()).count();
    let Stanza::Message(message) = &*stanza else { return Ok(()) };
    if reached == 0 {
        offline::keep(cx, user, message).await?;
    }
    Ok(())
}

/// A message that a session has not read before its end goes to the account's other sessions, or
/// waits (RFC 6121 §8.5.2): whoever sent it believes that it arrived.
pub async fn unread(hosts: &Hosts, session: &SessionHandle, stanza: &Stanza) {
    let Stanza::Message(message) = stanza else { return };
    if !matches!(message.kind, MessageKind::Chat | MessageKind::Normal) {
        return;
    }
    let mut again = message.clone();
    again.head.to = Some(session.jid().to_bare().into());
    super::from_us(hosts, Stanza::Message(again)).await;
}

/// Who gets it directly: the table of RFC 6121 §8.5.4.
fn recipients(
    sessions: &[SessionHandle],
    resource: Option<&FullJid>,
    message: &Message,
) -> Result<SmallVec<[SessionHandle; 2]>, Halt> {
    if let Some(session) = resource.and_then(|full| sessions.iter().find(|s| s.jid() == full)) {
        return Ok(SmallVec::from_iter([session.clone()]));
    }
    match (message.kind, resource) {
        (MessageKind::Error, _) => Err(Halt::Drop),
        // A room is a client's business, never an account's (§8.5.2.1.1).
        (MessageKind::Groupchat, _) => Err(Condition::ServiceUnavailable.into()),
        // Nobody has this resource now (§8.5.3.2.1): the sender shall know.
        (MessageKind::Normal | MessageKind::Headline, Some(_)) => {
            Err(Condition::ServiceUnavailable.into())
        }
        // To every resource that wants messages at all (§8.5.2.1.1).
        (MessageKind::Chat | MessageKind::Normal | MessageKind::Headline, _) => {
            Ok(sessions.iter().filter(|s| s.priority() >= Some(0)).cloned().collect())
        }
    }
}

/// The same answer for an account that does not exist and for a message which nobody can keep
/// (RFC 6121 §8.5.1): nobody learns who exists.
fn unknown(message: &Message) -> Result<(), Halt> {
    match message.kind {
        MessageKind::Error => Err(Halt::Drop),
        _ => Err(Condition::ServiceUnavailable.into()),
    }
}
