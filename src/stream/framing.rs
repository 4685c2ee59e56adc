//! Streams over WebSocket (RFC 7395 §3.3): each element is a document of its own, which names all
//! its namespaces, and `<open/>` and `<close/>` stand for the stream's tags.
//!
//! What comes is read by the same strict parser as ever, with nothing in force around it. What goes
//! is cut out of the stream that this server writes to everybody.

use bytes::{Buf, Bytes, BytesMut};

use super::header::END;
use super::input::StreamEvent;
use crate::ns;
use crate::xml::{
    self, ElementRef, Frame, Framer, Header, Limits, Piece, Scope, XmlError, declares_default,
    element,
};

/// What a client says with one message.
///
/// # Errors
/// What is wrong with it; the stream is to end.
pub fn heard(message: &Bytes, limits: &Limits) -> Result<StreamEvent, XmlError> {
    let range = xml::document(message, *limits)?;
    let frame = Frame::parse(message.slice(range), &Scope::none(), limits)?;
    let root = frame.root();
    Ok(match (root.ns(), root.name()) {
        (ns::FRAMING, "open") => StreamEvent::Header(header(&root)),
        (ns::FRAMING, "close") => StreamEvent::End,
        // RFC 7395 §3.3.2: these two are in no other namespace.
        (_, "open" | "close") => return Err(XmlError::InvalidNamespace),
        _ => StreamEvent::Element(frame),
    })
}

/// RFC 7395 §3.3.1: the attributes are those of the stream's open tag. What that would declare, each
/// message declares.
fn header(open: &ElementRef<'_>) -> Header {
    let attribute = |name| open.attr(name).map(std::borrow::Cow::into_owned);
    Header {
        name: "stream".to_owned(),
        ns: ns::STREAM.to_owned(),
        default_namespace: ns::CLIENT.to_owned(),
        prefixes: Vec::new(),
        to: attribute("to"),
        from: attribute("from"),
        id: attribute("id"),
        version: attribute("version"),
        lang: open.attr_ns(ns::XML, "lang").map(std::borrow::Cow::into_owned),
    }
}

/// Makes messages out of the stream that is written.
#[derive(Debug)]
pub struct Cutter {
    framer: Framer,
    buffer: BytesMut,
    /// The framer has seen a part of what is at the front of the buffer.
    is_within: bool,
    has_ended: bool,
}

impl Default for Cutter {
    fn default() -> Self {
        Self {
            framer: Framer::new(OURS),
            buffer: BytesMut::new(),
            is_within: false,
            has_ended: false,
        }
    }
}

impl Cutter {
    /// Takes more of the stream and gives out the messages that are whole now.
    ///
    /// # Errors
    /// If that is no stream.
    pub fn cut(&mut self, bytes: &[u8], mut send: impl FnMut(&[u8])) -> Result<(), XmlError> {
        if self.has_ended {
            return Ok(());
        }
        self.buffer.extend_from_slice(bytes);
        loop {
            // A declaration begins another stream (RFC 7395 §3.7); it takes two bytes to see that.
            if !self.is_within {
                if self.buffer.len() < 2 {
                    break;
                }
                if self.buffer.starts_with(b"<?") {
                    self.framer.restart();
                } else if self.buffer.starts_with(END) {
                    // Perhaps of a stream that was never opened (RFC 7395 §3.4).
                    send(&element("close").ns(ns::FRAMING).to_bytes());
                    self.has_ended = true;
                    self.buffer = BytesMut::new();
                    return Ok(());
                }
            }
            let piece = self.framer.next(&self.buffer)?;
            self.is_within = piece.is_none();
            let end = match piece {
                None => break,
                Some(Piece::Header(range)) => {
                    send(&open(&xml::header(&self.buffer[range.clone()])?));
                    range.end
                }
                Some(Piece::Child(range)) => {
                    send(&alone(&self.buffer[range.clone()]));
                    range.end
                }
                // It was seen above, unless it came in parts.
                Some(Piece::End) => {
                    send(&element("close").ns(ns::FRAMING).to_bytes());
                    self.has_ended = true;
                    self.buffer.len()
                }
            };
            self.buffer.advance(end);
            self.framer.drop_front(end);
        }
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        Ok(())
    }

    /// Whether the stream has been closed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }
}

fn open(header: &Header) -> Vec<u8> {
    element("open")
        .ns(ns::FRAMING)
        .maybe_attr("version", header.version.as_deref())
        .maybe_attr("xml:lang", header.lang.as_deref())
        .maybe_attr("id", header.id.as_deref())
        .maybe_attr("from", header.from.as_deref())
        .maybe_attr("to", header.to.as_deref())
        .to_bytes()
}

/// A child of our stream with the declarations that it had from there.
fn alone(child: &[u8]) -> Vec<u8> {
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>');
    let name = child.iter().skip(1).position(is_end).map_or(child.len(), |length| length + 1);
    let (name, rest) = child.split_at(name);
    let mut message = Vec::with_capacity(child.len() + 64);
    message.extend_from_slice(name);
    if name.starts_with(b"<stream:") {
        declare(&mut message, "xmlns:stream", ns::STREAM);
    }
    if !declares_default(child) {
        declare(&mut message, "xmlns", ns::CLIENT);
    }
    message.extend_from_slice(rest);
    message
}

fn declare(out: &mut Vec<u8>, name: &str, namespace: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    out.extend_from_slice(namespace.as_bytes());
    out.push(b'\'');
}

/// What we write needs no bounds.
const OURS: Limits =
    Limits { bytes: usize::MAX, depth: usize::MAX, attributes: usize::MAX, nodes: usize::MAX };
