//! Stanzas out of elements, and into bytes.
//!
//! [`Stanza::read`] reads the head, and keeps the element as the content. [`Stanza::write`] writes a new
//! head, and copies the content.

use std::borrow::Cow;

use smallvec::SmallVec;
use smol_str::ToSmolStr;

use super::{
    Condition, Content, Head, Iq, IqKind, Message, MessageKind, Presence, PresenceKind, Stanza,
    StanzaError,
};
use crate::jid::Jid;
use crate::ns;
use crate::xml::{ElementRef, Frame, escape_attr};

/// Why an element is not a valid stanza.
#[derive(Debug)]
pub enum Refusal {
    /// Not `<iq/>`, `<message/>` or `<presence/>` of the content namespace
    /// (RFC 6120 §4.9.3.24): the stream ends.
    NotAStanza,
    /// A stanza with a fault. The sender gets this error. The stanza has no `to` if its `to` is the fault.
    Faulty(Box<Stanza>, StanzaError),
}

impl Stanza {
    /// Makes a stanza of an element. `from` is what the sender wrote: `router/accept.rs` replaces or checks it
    /// before anything uses it.
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
                let kind = IqKind::parse(kind).unwrap_or_else(|| {
                    fault = Some(Condition::BadRequest.text("invalid iq type"));
                    IqKind::Get
                });
                fault = fault.or_else(|| iq_fault(&root, &head, kind));
                Self::Iq(Iq { head, kind, content: Content::of(frame) })
            }
            "message" => {
                let kind = MessageKind::parse(kind);
                Self::Message(Message { head, kind, content: Content::of(frame) })
            }
            "presence" => {
                let kind = PresenceKind::parse(kind).unwrap_or_else(|| {
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
        } else if let Some(kind) = self.received_type() {
            attr("type", &kind);
        }
        if let Some(lang) = &head.lang {
            attr("xml:lang", lang);
        }
        self.content().write(name, out);
    }

    /// The `type` with which a message was received that counts as `normal` (RFC 6121 §5.2.2). It is
    /// forwarded: the recipient may know a type that this server does not know.
    fn received_type(&self) -> Option<Cow<'_, str>> {
        let Self::Message(message) = self else { return None };
        let kind = message.content.frame.as_ref()?.root().attr("type");
        kind.filter(|kind| MessageKind::parse(Some(kind)) == MessageKind::Normal)
    }

    /// A stanza that this server has made, as if it had been received: only what is received can be read
    /// ([`Content::received_children`]), and those who store, copy or answer stanzas look into them. It costs a writing
    /// and a parsing: for what a room or a push sends once, not for what goes to many.
    #[must_use]
    pub fn reread(self) -> Self {
        match Frame::from_bytes(self.to_bytes()).map(Self::read) {
            Ok(Ok(read)) => read,
            Ok(Err(_)) | Err(_) => self,
        }
    }

    /// The stanza as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size());
        self.write(None, &mut out);
        out
    }

    /// The stanza as text, for the store.
    #[must_use]
    pub fn to_xml(&self) -> String {
        String::from_utf8_lossy(&self.to_bytes()).into_owned()
    }
}

impl Presence {
    /// A presence that is kept ([`Content::packed`]), so that it can be read again.
    #[must_use]
    pub fn unpacked(&self) -> Option<Self> {
        let frame = Frame::from_bytes(Stanza::Presence(self.clone()).to_bytes()).ok()?;
        match Stanza::read(frame) {
            Ok(Stanza::Presence(presence)) => Some(presence),
            _ => None,
        }
    }
}

impl Content {
    /// A copy for what is kept for long: it has the same attributes and children, and keeps no larger buffer
    /// in memory. It can be written, and no longer read. Do not use it for messages: their `type` is lost if
    /// it means `normal`.
    #[must_use]
    pub fn packed(&self) -> Self {
        let (mut attributes, mut out) = (Vec::new(), Vec::new());
        self.write_attributes(&mut attributes);
        self.write_children(&mut out);
        out.shrink_to_fit();
        Self {
            frame: None,
            attributes: (!attributes.is_empty()).then(|| attributes.into()),
            removed: SmallVec::new(),
            added: smallvec::smallvec![out.into()],
        }
    }

    /// Writes the rest of a stanza, after `<name key='value'`: the attributes that are not in the head, the
    /// children, and the end tag.
    fn write(&self, name: &str, out: &mut Vec<u8>) {
        self.write_attributes(out);
        let tag = out.len();
        out.push(b'>');
        let inside = out.len();
        self.write_children(out);
        if out.len() == inside {
            out.truncate(tag);
            out.extend_from_slice(b"/>");
            return;
        }
        out.extend_from_slice(b"</");
        out.extend_from_slice(name.as_bytes());
        out.push(b'>');
    }

    /// Writes the attributes that this server does not know, after the declarations of all prefixes. A value
    /// may contain a prefix, so no declaration is left out.
    fn write_attributes(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.attributes.as_deref().unwrap_or_default());
        let Some(frame) = &self.frame else { return };
        let others = frame.root().raw_attrs().filter(|(ns, name, _)| match *ns {
            "" => !matches!(*name, "from" | "to" | "id" | "type"),
            ns::XML => *name != "lang",
            _ => true,
        });
        for range in frame.declarations().chain(others.map(|(_, _, range)| range)) {
            out.push(b' ');
            out.extend_from_slice(&frame.bytes()[range]);
        }
    }

    /// Writes the children: those received, without the removed ones, and then those that were added.
    fn write_children(&self, out: &mut Vec<u8>) {
        if let Some(frame) = &self.frame {
            let inner = frame.root().inner();
            let mut from = inner.start;
            for gap in &self.removed {
                out.extend_from_slice(&frame.bytes()[from..gap.start as usize]);
                from = gap.end as usize;
            }
            out.extend_from_slice(&frame.bytes()[from..inner.end]);
        }
        for child in &self.added {
            out.extend_from_slice(child);
        }
    }
}

/// The head of a stanza, and the error if an address in it is malformed.
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

/// What is wrong with an iq, if anything (RFC 6120 §8.2.3).
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
