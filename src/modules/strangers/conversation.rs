//! Conversations that the user has begun: the other side is no stranger.

use super::accepted::release;
use crate::host::strangers::{self, Guarded};
use crate::host::{Cx, Halt};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::payload::chat_state::is_transient;
use crate::stanza::{Message, MessageKind, Stanza};
use crate::storage::{Query, Way};
use crate::xml::{ElementRef, Frame};

/// A message of `user` leaves: from now on its recipient is no stranger. To be called before it is delivered,
/// so that the answer finds the door open. An account that lets everybody through remembers nothing.
///
/// # Errors
/// `internal-server-error` if the store fails: the answer would be refused.
pub async fn wrote(cx: &mut Cx<'_>, user: &BareJid, message: &Message) -> Result<(), Halt> {
    let Some(guarded) = strangers::of(cx.server, user).await? else { return Ok(()) };
    let Some(to) = &message.head.to else { return Ok(()) };
    let bare = to.bare_str();
    if bare == user.as_str() || guarded.known.contains(bare) || !begins(message) {
        return Ok(());
    }
    // Rare, and large: each message that is handled would have room for it.
    Box::pin(strangers::remember(cx.server, user, &to.to_bare())).await?;
    release(cx, &guarded, user, to, true);
    Ok(())
}

/// Whether the user has written to this bare address: before there were choices, or before it was forgotten.
/// The archive says it, in at most two pages for each stranger: the oldest messages, since the user may have
/// written first, and the newest. The answer is remembered.
///
/// # Errors
/// `internal-server-error` if the store fails.
pub(super) async fn was_begun(
    cx: &Cx<'_>,
    guarded: &Guarded,
    user: &BareJid,
    other: Jid,
) -> Result<bool, Halt> {
    if guarded.is_unknown(other.as_str()) {
        return Ok(false);
    }
    let bare = other.to_bare();
    for backwards in [false, true] {
        let query = Query { with: Some(other.clone()), backwards, max: PAGE, ..Query::default() };
        let page = cx.server.storage.archive().page(user, &query).await?;
        let page = page.unwrap_or_default();
        if page.rows.iter().any(|row| row.way == Way::Sent && is_written(&row.xml)) {
            strangers::remember(cx.server, user, &bare).await?;
            return Ok(true);
        }
        if page.complete {
            break;
        }
    }
    guarded.note_unknown(bare);
    Ok(false)
}

fn is_written(xml: &bytes::Bytes) -> bool {
    let stanza = Frame::from_bytes(xml.clone()).ok().and_then(|frame| Stanza::read(frame).ok());
    matches!(stanza, Some(Stanza::Message(message)) if begins(&message))
}

/// Whether a user who sends this message wants an answer. A client sends receipts, markers and chat states by
/// itself; an error answers.
fn begins(message: &Message) -> bool {
    let is_for_people = matches!(message.kind, MessageKind::Chat | MessageKind::Normal);
    is_for_people && message.content.received_children().any(|child| is_said(&child))
}

fn is_said(child: &ElementRef<'_>) -> bool {
    let is_automatic = matches!(child.ns(), ns::RECEIPTS | ns::CHAT_MARKERS);
    child.is(ns::CLIENT, "body") || !is_automatic && !is_transient(child)
}

/// Messages of the archive that are read of each end of a conversation.
const PAGE: usize = 50;

#[cfg(test)]
mod tests {
    use super::is_written;

    #[test]
    fn what_a_client_sends_by_itself_begins_no_conversation() {
        let cases = [
            ("chat", "<body>hi</body>", true),
            ("normal", "<x xmlns='jabber:x:conference' jid='a@b'/>", true),
            ("chat", "<encrypted xmlns='urn:xmpp:omemo:2'/>", true),
            ("chat", "<proceed xmlns='urn:xmpp:jingle-message:0' id='1'/>", true),
            ("chat", "<body>hi</body><request xmlns='urn:xmpp:receipts'/>", true),
            ("chat", "<received xmlns='urn:xmpp:receipts' id='1'/>", false),
            ("chat", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", false),
            ("chat", "<active xmlns='http://jabber.org/protocol/chatstates'/>", false),
            ("chat", "<store xmlns='urn:xmpp:hints'/>", false),
            ("error", "<body>hi</body>", false),
            ("groupchat", "<body>hi</body>", false),
            ("headline", "<body>hi</body>", false),
        ];
        for (kind, inner, expected) in cases {
            let xml = format!("<message xmlns='jabber:client' type='{kind}'>{inner}</message>");
            assert_eq!(is_written(&xml.clone().into()), expected, "{xml}");
        }
        assert!(!is_written(&"<message".into()));
    }
}
