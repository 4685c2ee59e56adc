//! Stanzas (RFC 6120 §8): a head that the server reads and writes, and content that it forwards.
//!
//! A stanza is bytes plus a map of them. Cloning one costs a few reference counts; writing one
//! writes the head anew and copies the content.

mod answer;
mod codec;
pub mod content;
pub mod error;
mod kind;
mod message_text;
pub mod stream_error;

use smol_str::SmolStr;

pub use codec::Refusal;
pub use content::Content;
pub use error::{Condition, ErrorKind, StanzaError};
pub use kind::{IqKind, MessageKind, PresenceKind};
pub use message_text::{is_encrypted, message_text, stored_message_text};
pub use stream_error::{Detail, StreamCondition, StreamError};

use crate::jid::Jid;
use crate::ns;
use crate::xml::{ElementRef, Node};

/// What every stanza has (RFC 6120 §8.1).
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The sender. The server stamps it from the authenticated address and never trusts what was sent.
    pub from: Option<Jid>,
    /// The recipient.
    pub to: Option<Jid>,
    /// The id that the sender chose.
    pub id: Option<SmolStr>,
    /// `xml:lang`.
    pub lang: Option<SmolStr>,
}

/// `<iq/>` (RFC 6120 §8.2.3).
#[derive(Clone, Debug)]
pub struct Iq {
    /// Addresses and id.
    pub head: Head,
    /// The `type`.
    pub kind: IqKind,
    /// The payload.
    pub content: Content,
}

/// `<message/>` (RFC 6121 §5).
#[derive(Clone, Debug)]
pub struct Message {
    /// Addresses and id.
    pub head: Head,
    /// The `type`.
    pub kind: MessageKind,
    /// The body and all other children.
    pub content: Content,
}

/// `<presence/>` (RFC 6121 §4).
#[derive(Clone, Debug)]
pub struct Presence {
    /// Addresses and id.
    pub head: Head,
    /// The `type`.
    pub kind: PresenceKind,
    /// Show, status, priority, and all other children.
    pub content: Content,
}

/// Any of the three kinds of stanza.
#[derive(Clone, Debug)]
pub enum Stanza {
    /// A request or its answer.
    Iq(Iq),
    /// A message.
    Message(Message),
    /// A presence stanza.
    Presence(Presence),
}

impl Stanza {
    /// The head.
    #[must_use]
    pub fn head(&self) -> &Head {
        match self {
            Self::Iq(iq) => &iq.head,
            Self::Message(message) => &message.head,
            Self::Presence(presence) => &presence.head,
        }
    }

    /// The head, for changes.
    pub fn head_mut(&mut self) -> &mut Head {
        match self {
            Self::Iq(iq) => &mut iq.head,
            Self::Message(message) => &mut message.head,
            Self::Presence(presence) => &mut presence.head,
        }
    }

    /// The content.
    #[must_use]
    pub fn content(&self) -> &Content {
        match self {
            Self::Iq(iq) => &iq.content,
            Self::Message(message) => &message.content,
            Self::Presence(presence) => &presence.content,
        }
    }

    /// `iq`, `message` or `presence`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Iq(_) => "iq",
            Self::Message(_) => "message",
            Self::Presence(_) => "presence",
        }
    }

    /// The value of `type`; `None` for the kind that has no `type`.
    #[must_use]
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Iq(iq) => Some(iq.kind.as_str()),
            Self::Message(message) => message.kind.as_str(),
            Self::Presence(presence) => presence.kind.as_str(),
        }
    }

    /// Whether the stanza has the type `error`. No error answers an error (RFC 6120 §8.3.1).
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.kind() == Some("error")
    }

    /// About how many bytes the stanza has when it is written. Bounds of queues use it.
    #[must_use]
    pub fn size(&self) -> usize {
        160 + self.content().size()
    }
}

impl Head {
    /// A head with a sender and a recipient.
    #[must_use]
    pub fn between(from: impl Into<Jid>, to: impl Into<Jid>) -> Self {
        Self { from: Some(from.into()), to: Some(to.into()), ..Self::default() }
    }

    /// A head for the answer: sender and recipient swapped, the same id.
    #[must_use]
    pub fn answer(&self) -> Self {
        Self { from: self.to.clone(), to: self.from.clone(), id: self.id.clone(), lang: None }
    }

    /// Addresses a stanza without `to` to the sender's own account (RFC 6120 §10.3).
    pub fn address_to_own_account(&mut self) {
        if self.to.is_none() {
            self.to = self.from.as_ref().map(|from| from.to_bare().into());
        }
    }
}

impl Iq {
    /// The payload: a request has exactly one, a result at most one.
    #[must_use]
    pub fn payload(&self) -> Option<ElementRef<'_>> {
        self.content.received_children().next()
    }

    /// Whether it is a request, which must be answered.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self.kind, IqKind::Get | IqKind::Set)
    }

    /// The answer to this request, with the payload, if any (RFC 6120 §8.2.3).
    #[must_use]
    pub fn result(&self, payload: Option<Node>) -> Self {
        Self {
            head: self.head.answer(),
            kind: IqKind::Result,
            content: payload.map_or_else(Content::default, Content::from),
        }
    }
}

impl Presence {
    /// A presence stanza of this kind without content.
    #[must_use]
    pub fn bare(kind: PresenceKind, from: impl Into<Jid>, to: impl Into<Jid>) -> Self {
        Self { head: Head::between(from, to), kind, content: Content::default() }
    }

    /// Whether it is a request to enter a room (XEP-0045 §7.2).
    #[must_use]
    pub fn enters_room(&self) -> bool {
        self.kind == PresenceKind::Available && self.content.has_received_child(ns::MUC, "x")
    }

    /// The priority; 0 if it is missing or invalid (RFC 6121 §4.7.2.3).
    #[must_use]
    pub fn priority(&self) -> i8 {
        self.content
            .received_child(ns::CLIENT, "priority")
            .and_then(|p| p.text().trim().parse().ok())
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
