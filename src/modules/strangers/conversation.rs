//! Conversations that the user has begun: the other side is no stranger.

use super::accepted::release;
use crate::host::strangers::{self, Guarded, WrittenTo};
use crate::host::{Cx, Halt, OurDomain};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::payload::chat_state::is_transient;
use crate::session::SessionRef;
use crate::stanza::{Iq, IqKind, Message, MessageKind, Stanza};
use crate::storage::{Query, Way};
use crate::xml::{ElementRef, Frame};

/// Notes that `user` has written a message: from now on its recipient is no stranger. Call it before the message is
/// delivered, so that the answer is let through. This is remembered also if the user accepts everybody now.
///
/// # Errors
/// `internal-server-error` if the store fails: the answer would be refused.
pub async fn wrote(cx: &mut Cx<'_>, user: &BareJid, message: &Message) -> Result<(), Halt> {
    let Some(to) = &message.head.to else { return Ok(()) };
    let known = strangers::written_to(cx.server, user).await?;
    if !known.is_due(to.bare_str(), cx.server.clock.now()) || !begins(message) {
        return Ok(());
    }
    // Rare, and large: each message that is handled would have room for it.
    Box::pin(begin(cx, user, to, &known)).await
}

/// Notes a request of `user`. If it asks for events of a node (XEP-0060 §6.1), or makes a node, the address that has the
/// node is no stranger from now on: its events, and what it says about subscriptions, come as messages.
///
/// # Errors
/// As [`wrote`].
pub async fn asked_for_events(cx: &mut Cx<'_>, user: &BareJid, request: &Iq) -> Result<(), Halt> {
    let Some(to) = request.head.to.as_ref().filter(|_| request.kind == IqKind::Set) else {
        return Ok(());
    };
    let is_meant = request.payload().is_some_and(|payload| {
        let asks = |child: ElementRef<'_>| ASKS.contains(&child.name());
        payload.is(ns::PUBSUB, "pubsub") && payload.children().any(asks)
    });
    // Services of ours are no strangers to anybody.
    if !is_meant || matches!(cx.server.ours(to.domain()), Some(OurDomain::Service(_))) {
        return Ok(());
    }
    let known = strangers::written_to(cx.server, user).await?;
    if !known.is_due(to.bare_str(), cx.server.clock.now()) {
        return Ok(());
    }
    Box::pin(begin(cx, user, to, &known)).await
}

async fn begin(cx: &mut Cx<'_>, user: &BareJid, to: &Jid, known: &WrittenTo) -> Result<(), Halt> {
    if to.bare_str() == user.as_str() {
        return Ok(());
    }
    let was_known = known.contains(to.bare_str());
    match strangers::of(cx.server, user).await? {
        // A user without an account has chosen nothing, and cannot.
        None if cx.origin.session().is_some_and(SessionRef::is_anonymous) => {}
        None => strangers::remember_later(cx.server, user, known, &to.to_bare()),
        Some(_) if was_known => {
            strangers::remember_later(cx.server, user, known, &to.to_bare());
        }
        Some(guarded) => {
            strangers::remember(cx.server, user, &to.to_bare()).await?;
            release(cx, &guarded, user, to, true);
        }
    }
    Ok(())
}

/// Whether the user has written to this bare address before it was remembered, or before it was forgotten.
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

/// Whether a user who sends this message wants an answer. Receipts, markers and chat states do not count, since
/// clients send them on their own; nor do errors, which are answers.
fn begins(message: &Message) -> bool {
    let is_for_people = matches!(message.kind, MessageKind::Chat | MessageKind::Normal);
    is_for_people && message.content.received_children().any(|child| is_said(&child))
}

fn is_said(child: &ElementRef<'_>) -> bool {
    let is_automatic = matches!(child.ns(), ns::RECEIPTS | ns::CHAT_MARKERS);
    child.is(ns::CLIENT, "body") || !is_automatic && !is_transient(child)
}

/// What a user asks of an address with nodes that sends events afterwards.
const ASKS: &[&str] = &["subscribe", "options", "create"];
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
