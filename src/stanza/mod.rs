//! Stanzas (RFC 6120 §8): a head that the server reads and writes, and content that it forwards.
//!
//! A stanza is bytes plus a map of them. Cloning one costs a few reference counts; writing one
//! writes the head anew and copies the content.

mod answer;
pub mod content;
pub mod error;
pub mod stream_error;

use std::borrow::Cow;

use smol_str::{SmolStr, ToSmolStr};

pub use content::Content;
pub use error::{Condition, ErrorKind, StanzaError};
pub use stream_error::{Detail, StreamCondition, StreamError};

use crate::jid::Jid;
use crate::ns;
use crate::xml::{ElementRef, Frame, Node, escape_attr};

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

/// The `type` of an `<iq/>`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum IqKind {
    /// An answer: the request failed.
    Error,
    /// A request for information.
    Get,
    /// An answer: the request succeeded.
    Result,
    /// A request to change something.
    Set,
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

/// The `type` of a `<message/>` (RFC 6121 §5.2.2).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum MessageKind {
    /// Between two people.
    Chat,
    /// It could not be delivered.
    Error,
    /// To or from a room.
    Groupchat,
    /// The sender expects no answer.
    Headline,
    /// No `type`, `normal`, or an unknown value (RFC 6121 §5.2.2).
    #[default]
    Normal,
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

/// The `type` of a `<presence/>` (RFC 6121 §4.7.1).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum PresenceKind {
    /// No `type`: the sender is available.
    #[default]
    Available,
    /// It could not be delivered.
    Error,
    /// A request for the current presence.
    Probe,
    /// A request to see the recipient's presence.
    Subscribe,
    /// The sender allows the recipient to see its presence.
    Subscribed,
    /// The sender is no longer available.
    Unavailable,
    /// The sender no longer wants to see the recipient's presence.
    Unsubscribe,
    /// The sender refuses, or withdraws, the permission to see its presence.
    Unsubscribed,
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

/// Why a frame is not a valid stanza.
#[derive(Debug)]
pub enum Refusal {
    /// Not `<iq/>`, `<message/>` or `<presence/>` of the content namespace
    /// (RFC 6120 §4.9.3.24): the stream ends.
    NotAStanza,
    /// A stanza with a fault. The sender gets an error. The stanza has no `to` if its `to` was the fault.
    Faulty(Box<Stanza>, StanzaError),
}

impl Stanza {
    /// Reads the head of a frame.
    ///
    /// `from` is read as it stands. It must be checked or replaced before it is used.
    ///
    /// # Errors
    /// [`Refusal`] for an element that is not a stanza, or a stanza that cannot be routed: a malformed address
    /// (RFC 6120 §8.3.3.8), an `<iq/>` without id, with a wrong type, or without exactly one
    /// payload where one is due (RFC 6120 §8.2.3).
    pub fn read(frame: Frame) -> Result<Self, Refusal> {
        let root = frame.root();
        if root.ns() != ns::CLIENT {
            return Err(Refusal::NotAStanza);
        }
        let (head, mut fault) = read_head(&root);
        let kind = root.attr("type");
        let kind = kind.as_deref();
        let stanza = match root.name() {
            "iq" => {
                let kind = iq_kind(kind).unwrap_or_else(|| {
                    fault = Some(Condition::BadRequest.text("invalid iq type"));
                    IqKind::Get
                });
                fault = fault.or_else(|| iq_fault(&root, &head, kind));
                Self::Iq(Iq { head, kind, content: Content::of(frame) })
            }
            "message" => {
                let kind = message_kind(kind);
                Self::Message(Message { head, kind, content: Content::of(frame) })
            }
            "presence" => {
                let kind = presence_kind(kind).unwrap_or_else(|| {
                    fault = Some(Condition::BadRequest.text("invalid presence type"));
                    PresenceKind::Available
                });
                Self::Presence(Presence { head, kind, content: Content::of(frame) })
            }
            _ => return Err(Refusal::NotAStanza),
        };
        match fault {
            None => Ok(stanza),
            Some(error) => Err(Refusal::Faulty(Box::new(stanza), error)),
        }
    }

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

    /// Writes the stanza for a stream of `jabber:client`. `to`, if given, replaces the head's own.
    pub fn write(&self, to: Option<&Jid>, out: &mut Vec<u8>) {
        let (name, head) = (self.name(), self.head());
        out.push(b'<');
        out.extend_from_slice(name.as_bytes());
        let mut attr = |key: &str, value: &str| {
            out.push(b' ');
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"='");
            escape_attr(out, value);
            out.push(b'\'');
        };
        if let Some(from) = &head.from {
            attr("from", from.as_str());
        }
        if let Some(to) = to.or(head.to.as_ref()) {
            attr("to", to.as_str());
        }
        if let Some(id) = &head.id {
            attr("id", id);
        }
        if let Some(kind) = self.kind() {
            attr("type", kind);
        } else if let Some(kind) = self.kind_as_it_came() {
            attr("type", &kind);
        }
        if let Some(lang) = &head.lang {
            attr("xml:lang", lang);
        }
        self.content().write(name, out);
    }

    /// The `type` of a message that counts as `normal`, if it has one: whoever gets it may know it
    /// better (RFC 6121 §5.2.2).
    fn kind_as_it_came(&self) -> Option<Cow<'_, str>> {
        let Self::Message(message) = self else { return None };
        message.content.kind().filter(|kind| message_kind(Some(kind)) == MessageKind::Normal)
    }

    /// The stanza as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size());
        self.write(None, &mut out);
        out
    }

    /// Written out, on its own, as text for the store.
    #[must_use]
    pub fn to_xml(&self) -> String {
        String::from_utf8_lossy(&self.to_bytes()).into_owned()
    }
}

impl Head {
    /// A head with a sender and a recipient.
    #[must_use]
    pub fn between(from: impl Into<Jid>, to: impl Into<Jid>) -> Self {
        Self { from: Some(from.into()), to: Some(to.into()), ..Self::default() }
    }
}

impl Iq {
    /// The payload: a request has exactly one, a result at most one.
    #[must_use]
    pub fn payload(&self) -> Option<ElementRef<'_>> {
        self.content.children().next()
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

impl Head {
    /// A head for the answer: sender and recipient swapped, the same id.
    #[must_use]
    pub fn answer(&self) -> Self {
        Self { from: self.to.clone(), to: self.from.clone(), id: self.id.clone(), lang: None }
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
        self.kind == PresenceKind::Available && self.content.has(ns::MUC, "x")
    }

    /// The priority; 0 if it is missing or invalid (RFC 6121 §4.7.2.3).
    #[must_use]
    pub fn priority(&self) -> i8 {
        self.content
            .child(ns::CLIENT, "priority")
            .and_then(|p| p.text().trim().parse().ok())
            .unwrap_or(0)
    }
}

impl IqKind {
    /// The value of `type` in XML.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Get => "get",
            Self::Result => "result",
            Self::Set => "set",
        }
    }
}

impl MessageKind {
    /// The value of `type` in XML; `None` for `normal`.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Chat => Some("chat"),
            Self::Error => Some("error"),
            Self::Groupchat => Some("groupchat"),
            Self::Headline => Some("headline"),
            Self::Normal => None,
        }
    }
}

impl PresenceKind {
    /// The value of `type` in XML; `None` for available.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Available => None,
            Self::Error => Some("error"),
            Self::Probe => Some("probe"),
            Self::Subscribe => Some("subscribe"),
            Self::Subscribed => Some("subscribed"),
            Self::Unavailable => Some("unavailable"),
            Self::Unsubscribe => Some("unsubscribe"),
            Self::Unsubscribed => Some("unsubscribed"),
        }
    }

    /// Whether it manages a subscription (RFC 6121 §3).
    #[must_use]
    pub fn is_subscription(self) -> bool {
        matches!(self, Self::Subscribe | Self::Subscribed | Self::Unsubscribe | Self::Unsubscribed)
    }
}

fn read_head(root: &ElementRef<'_>) -> (Head, Option<StanzaError>) {
    let mut fault = None;
    let mut address = |name| {
        let text = root.attr(name)?;
        let jid = Jid::parse(&text);
        if jid.is_err() {
            fault = Some(Condition::JidMalformed.into());
        }
        jid.ok()
    };
    let (from, to) = (address("from"), address("to"));
    let id = root.attr("id").map(|id| id.to_smolstr());
    let lang = root.attr_ns(ns::XML, "lang").map(|lang| lang.to_smolstr());
    (Head { from, to, id, lang }, fault)
}

fn iq_fault(root: &ElementRef<'_>, head: &Head, kind: IqKind) -> Option<StanzaError> {
    if head.id.is_none() {
        return Some(Condition::BadRequest.text("an iq must have an id"));
    }
    let children = root.children().take(2).count();
    match kind {
        IqKind::Get | IqKind::Set if children != 1 => {
            Some(Condition::BadRequest.text("a request must have exactly one payload"))
        }
        IqKind::Result if children > 1 => {
            Some(Condition::BadRequest.text("a result must have at most one payload"))
        }
        _ => None,
    }
}

fn iq_kind(text: Option<&str>) -> Option<IqKind> {
    Some(match text? {
        "error" => IqKind::Error,
        "get" => IqKind::Get,
        "result" => IqKind::Result,
        "set" => IqKind::Set,
        _ => return None,
    })
}

fn message_kind(text: Option<&str>) -> MessageKind {
    match text {
        Some("chat") => MessageKind::Chat,
        Some("error") => MessageKind::Error,
        Some("groupchat") => MessageKind::Groupchat,
        Some("headline") => MessageKind::Headline,
        _ => MessageKind::Normal,
    }
}

fn presence_kind(text: Option<&str>) -> Option<PresenceKind> {
    Some(match text {
        None => PresenceKind::Available,
        Some("error") => PresenceKind::Error,
        Some("probe") => PresenceKind::Probe,
        Some("subscribe") => PresenceKind::Subscribe,
        Some("subscribed") => PresenceKind::Subscribed,
        Some("unavailable") => PresenceKind::Unavailable,
        Some("unsubscribe") => PresenceKind::Unsubscribe,
        Some("unsubscribed") => PresenceKind::Unsubscribed,
        Some(_) => return None,
    })
}

#[cfg(test)]
mod tests;
