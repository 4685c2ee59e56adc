//! XEP-0352: Client State Indication. Nobody looks at a client that is inactive, so stanzas that can wait do
//! not wake its radio.
//!
//! They wait in the mailbox, in their order, and are written together with the next stanza that cannot wait,
//! or when the client is active. Of each address that sends presence, only the newest one waits. Events of
//! nodes wait, all of them. Chat states are dropped. Nobody else can see the state of a client (XEP-0352 §6).

use super::delivery::Delivery;
use super::mailbox_state::{MailboxLimits, MailboxState};
use super::spared::Spared;
use crate::jid::{FullJid, Jid};
use crate::log::STANZA;
use crate::ns;
use crate::payload::chat_state;
use crate::stanza::{Head, Message, MessageKind, Presence, PresenceKind, Stanza};

/// What becomes of a stanza for a client that is inactive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Urgency {
    /// It wakes the client, and all that waits is written before it.
    Now,
    /// It waits.
    Later,
    /// It is worthless when the client is active again.
    Never,
}

impl Urgency {
    pub(super) fn of(delivery: &Delivery, spared: Spared) -> Self {
        match &*delivery.stanza {
            _ if delivery.marker.is_some() => Self::Now,
            Stanza::Message(message) if spared.chat_states && chat_state::is_alone(message) => {
                Self::Never
            }
            Stanza::Message(message) if spared.events && is_event_of_others(delivery, message) => {
                Self::Later
            }
            Stanza::Presence(presence) if spared.presence && can_wait(presence) => Self::Later,
            Stanza::Iq(_) | Stanza::Message(_) | Stanza::Presence(_) => Self::Now,
        }
    }
}

/// An event of a node (XEP-0060 §7.1.2): one that this server made, or that the account of a contact on another server has
/// sent (XEP-0163 §4.3). Not one of the user's own account: such an event says what the user has done on another device:
/// read a message, joined a room, muted a contact. A phone that does not have it notifies when it should not.
fn is_event_of_others(delivery: &Delivery, message: &Message) -> bool {
    let to = delivery.to.as_ref().or(message.head.to.as_ref());
    let is_event = || {
        message.content.is_made_of(ns::PUBSUB_EVENT, "event")
            || message.head.from.as_ref().is_some_and(Jid::is_bare)
                && message.content.has_received_child(ns::PUBSUB_EVENT, "event")
                && !message.content.has_received_child(ns::CLIENT, "body")
    };
    message.kind == MessageKind::Headline
        && message.head.from.as_ref().map(Jid::bare_str) != to.map(Jid::bare_str)
        && is_event()
}

/// Requests for subscriptions and errors cannot wait, nor can the client's own presence in a room: it says
/// that the client is in (XEP-0045 §7.2.2) or no longer in.
fn can_wait(presence: &Presence) -> bool {
    let is_own = || {
        let room = presence.content.received_child(ns::MUC_USER, "x");
        room.is_some_and(|room| room.children().any(|c| c.attr("code").as_deref() == Some("110")))
    };
    matches!(presence.kind, PresenceKind::Available | PresenceKind::Unavailable) && !is_own()
}

impl MailboxState {
    /// A stanza is about to be queued that can wait: removes what it replaces, and returns that.
    pub(super) fn hold_back(&mut self, new: &Delivery, limits: MailboxLimits) -> Option<Delivery> {
        let replaced = self.remove_older_presence(new);
        // Before there is no room for what cannot wait.
        self.is_due |= self.queue.len() >= limits.stanzas / 2 || self.bytes >= limits.bytes / 2;
        replaced
    }

    /// Removes the presence of the same address that waits, if there is one and this is presence: the new one says
    /// more. Returns what it has removed.
    fn remove_older_presence(&mut self, new: &Delivery) -> Option<Delivery> {
        let Stanza::Presence(Presence { head, .. }) = &*new.stanza else { return None };
        let from = head.from.as_ref()?;
        let is_older = |old: &Delivery| {
            old.stanza.head().from.as_ref() == Some(from)
                && matches!(&*old.stanza, Stanza::Presence(presence) if can_wait(presence))
        };
        let at = self.queue.iter().position(is_older)?;
        let old = self.queue.remove(at)?;
        self.bytes = self.bytes.saturating_sub(old.stanza.size());
        Some(old)
    }
}

/// Says in the log that the session with the address `of` does not get this presence any more, which has waited in its
/// mailbox.
pub(super) fn note_replaced(of: &FullJid, old: &Stanza) {
    let Head { from, to, id, .. } = old.head();
    let (from, to) = (from.as_ref().map(Jid::as_str), to.as_ref().map(Jid::as_str));
    tracing::debug!(
        target: STANZA, parent: None, kind = old.kind(), from, to, id = id.as_deref(), session = %of,
        reason = "newer presence of the same address takes its place", "dropped from the mailbox"
    );
}
